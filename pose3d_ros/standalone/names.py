# SPDX-License-Identifier: Apache-2.0
"""Names as ROS 2 has them: namespaces, `~`, remappings, and those of types on the wire."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..errors import ConfigError

_NAME = r'[A-Za-z_][A-Za-z0-9_]*'
_TYPE = re.compile(r'(.+)::(.+)::dds_::(.+)_')


@dataclass(frozen=True)
class Names:
    """A node's name and namespace, and the remappings of its topics."""

    name: str
    namespace: str = '/'
    remaps: tuple[tuple[str, str], ...] = field(default=())

    def __post_init__(self) -> None:
        if not re.fullmatch(_NAME, self.name):
            raise ConfigError(
                f'node name {self.name!r} is not valid: letters, digits and _, not a digit first'
            )
        namespace = '/' + self.namespace.strip('/')
        if not re.fullmatch(rf'/|(/{_NAME})+', namespace):
            raise ConfigError(f'namespace {self.namespace!r} is not valid, as in /robot1/head')
        object.__setattr__(self, 'namespace', namespace)
        for source, target in self.remaps:
            self._expand(source)
            self._expand(target)

    @classmethod
    def parse(cls, name: str, namespace: str, rules: Iterable[str]) -> Names:
        """From remapping rules as after `--ros-args -r`: from:=to, __ns:=, __node:=."""
        remaps = []
        for rule in rules:
            source, assigned, target = rule.partition(':=')
            if not assigned or not source or not target:
                raise ConfigError(f'remapping {rule!r}: write FROM:=TO, as in image:=/camera/image')
            if source in ('__ns', '__node', '__name'):
                if source == '__ns':
                    namespace = target
                else:
                    name = target
            else:
                remaps.append((source, target))
        return cls(name, namespace, tuple(remaps))

    @property
    def full(self) -> str:
        """The node's full name."""
        return f'{self.namespace.rstrip("/")}/{self.name}'

    def topic(self, name: str) -> str:
        """Full name of a topic after remapping."""
        full = self._expand(name)
        for source, target in self.remaps:
            if self._expand(source) == full:
                return self._expand(target)
        return full

    def remapped(self, name: str) -> str:
        """Full name of a topic that a remapping names; empty if none does."""
        full = self._expand(name)
        named = any(self._expand(source) == full for source, _ in self.remaps)
        return self.topic(name) if named else ''

    def _expand(self, name: str) -> str:
        if name.startswith('~'):
            full = f'{self.full}/{name[1:].lstrip("/")}'
        elif name.startswith('/'):
            full = name
        else:
            full = f'{self.namespace.rstrip("/")}/{name}'
        if not re.fullmatch(rf'(/{_NAME})+', full):
            raise ConfigError(f'topic name {name!r} is not valid')
        return full


def wire_type(name: str) -> str:
    """Type name on the wire: std_msgs/msg/Header is std_msgs::msg::dds_::Header_."""
    package, namespace, message = name.split('/')
    return f'{package}::{namespace}::dds_::{message}_'


def ros_type(name: str) -> str:
    """Type name of one on the wire; what is no name of ROS stays as it is."""
    match = _TYPE.fullmatch(name)
    return '/'.join(match.groups()) if match else name
