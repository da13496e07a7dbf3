# SPDX-License-Identifier: Apache-2.0
"""Overrides of quality of service, from a parameters file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..errors import ConfigError
from ..node.qos import Profile

_CHOICES: dict[str, dict[str, dict[str, Any]]] = {
    'reliability': {'reliable': {'reliable': True}, 'best_effort': {'reliable': False}},
    'durability': {
        'transient_local': {'transient_local': True},
        'volatile': {'transient_local': False},
    },
    'history': {'keep_last': {}},
}


class Overrides:
    """The `qos_overrides` of a ROS parameters file.

    qos_overrides:
      /camera/image:
        subscription: {reliability: reliable, depth: 1}
    """

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        self._changes: dict[tuple[str, str], dict[str, Any]] = {}
        for topic, roles in _mapping('qos_overrides', values or {}).items():
            for role, policies in _mapping(f'qos_overrides.{topic}', roles).items():
                where = f'qos_overrides.{topic}.{role}'
                if role not in ('subscription', 'publisher'):
                    raise ConfigError(f'{where}: must be subscription or publisher')
                changes: dict[str, Any] = {}
                for policy, value in _mapping(where, policies).items():
                    changes |= _change(f'{where}.{policy}', policy, value)
                self._changes[topic, role] = changes

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Overrides:
        """From all the raw parameters of a file, nested or with dots."""
        nested: dict[str, Any] = {}
        for key, value in parameters.items():
            head, _, rest = key.partition('.')
            if head != 'qos_overrides':
                continue
            if not rest:
                nested |= _mapping(key, value)
                continue
            topic, _, rest = rest.partition('.')
            role, _, policy = rest.partition('.')
            at = nested.setdefault(topic, {})
            if policy:
                at.setdefault(role, {})[policy] = value
            elif role:
                at.setdefault(role, {}).update(_mapping(key, value))
            else:
                at.update(_mapping(key, value))
        return cls(nested)

    def apply(self, profile: Profile, topic: str, role: str) -> Profile:
        """The profile of an endpoint; topic: full name; role: subscription or publisher."""
        return replace(profile, **self._changes.get((topic, role), {}))


def _mapping(where: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f'{where} must be a mapping, not {value!r}')
    return dict(value)


def _change(where: str, policy: str, value: Any) -> dict[str, Any]:
    if policy == 'depth':
        if type(value) is not int or not 1 <= value <= 10000:
            raise ConfigError(f'{where} must be a whole number in [1, 10000], not {value!r}')
        return {'depth': value}
    if policy not in _CHOICES:
        raise ConfigError(f'{where}: must be one of depth, {", ".join(_CHOICES)}')
    choices = _CHOICES[policy]
    if value not in choices:
        raise ConfigError(f'{where} must be one of {", ".join(choices)}, not {value!r}')
    return choices[value]
