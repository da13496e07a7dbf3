# SPDX-License-Identifier: Apache-2.0
"""Settings from mappings, YAML files and ROS parameters files."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml

from ..errors import ConfigError
from .declare import Setting, Value, settings_of
from .estimators import ESTIMATORS, defaults_of, options_of

T = TypeVar('T')

# Parameters that ROS itself puts into every node's file; they are no settings of ours.
ROS_PARAMETERS = ('use_sim_time', 'qos_overrides', 'start_type_description_service')


def from_mapping(config_class: type[T], values: Mapping[str, Any], origin: str = '') -> T:
    """Build a config dataclass from flat or nested names; ConfigError on any that is unknown.

    Keys `<estimator>.<name>` (or a mapping under the estimator's name) become `options`; those of
    other estimators are left alone, so that one file can serve several. What is not set has the
    estimator's own default, if it has one.
    """
    settings = {item.name: item for item in settings_of(config_class)}
    where = f'{origin}: ' if origin else ''
    plain: dict[str, Any] = {}
    options: dict[str, dict[str, Any]] = {}
    name = str(values.get('estimator', settings['estimator'].default))
    for key, value in _leaves(values):
        # An estimator of another package has dots in its own name.
        own = key == name or key.startswith(f'{name}.')
        head, tail = (name, key[len(name) + 1 :]) if own else key.partition('.')[::2]
        if isinstance(value, Mapping):
            options.setdefault(head, {})
        elif tail:
            options.setdefault(head, {})[tail] = value
        elif key in settings:
            plain[key] = _checked(settings[key], value, where)
        else:
            raise ConfigError(f'{where}unknown setting {key!r}{_hint(key, settings)}')
    estimator = str(plain.get('estimator', settings['estimator'].default))
    for head in options:
        if head != estimator and head not in ESTIMATORS:
            raise ConfigError(f'{where}unknown setting {head!r}{_hint(head, ESTIMATORS.table)}')
    for key, value in defaults_of(estimator).items():
        plain.setdefault(key, value)
    chosen = options.get(estimator, {})
    allowed = {item.name: item for item in settings_of(options_of(estimator))} if chosen else {}
    for key, value in chosen.items():
        if key not in allowed:
            raise ConfigError(f'{where}unknown setting {estimator}.{key}{_hint(key, allowed)}')
        chosen[key] = _checked(allowed[key], value, where)
    return config_class(**plain, options=chosen)  # type: ignore[call-arg]


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Raw settings of a YAML file; in the ROS form all `ros__parameters` sections are merged."""
    try:
        content = yaml.safe_load(Path(path).read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f'cannot read settings from {path}: {error}') from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f'{path}: settings must be a mapping, not {type(content).__name__}')
    sections = [v for v in content.values() if isinstance(v, dict) and 'ros__parameters' in v]
    if not sections:
        return cast(dict[str, Any], content)
    merged: dict[str, Any] = {}
    for section in sections:
        merged.update(section['ros__parameters'] or {})
    return merged


def without_ros_parameters(values: Mapping[str, Any]) -> dict[str, Any]:
    """Raw settings without those that belong to ROS, nested or dotted."""
    return {k: v for k, v in values.items() if k.partition('.')[0] not in ROS_PARAMETERS}


def _leaves(values: Mapping[str, Any], prefix: str = '') -> Iterator[tuple[str, Any]]:
    """Dotted names and values of nested mappings; empty mappings are values."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f'{prefix}{key}.')
        else:
            yield f'{prefix}{key}', value


def _checked(item: Setting, value: Any, where: str) -> Value:
    try:
        return item.check(value)
    except ConfigError as error:
        raise ConfigError(f'{where}{error}') from None


def _hint(key: str, names: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(key, list(names), n=1)
    return f'; did you mean {close[0]!r}?' if close else ''
