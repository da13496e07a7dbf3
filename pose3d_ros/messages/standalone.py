# SPDX-License-Identifier: Apache-2.0
"""Message classes and their serialisation where no ROS is installed.

Made of the definitions that come with rosbags and of this package's own .msg files; they construct
with ROS's default values, in any field order, as the generated classes of ROS do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.base import normalize_fieldname
from rosbags.typesys.store import Typestore

from ..errors import ConfigError, InputError
from ..resources import folder
from .detections import DEFINITIONS
from .types import Message

DISTROS = ('humble', 'jazzy', 'kilted', 'lyrical')
# Default values that a .msg file may give and rosbags does not keep.
_DEFAULTS = {('geometry_msgs/msg/Quaternion', 'w'): 1.0}
_NUMPY = {'float32': 'f4', 'float64': 'f8', 'byte': 'u1', 'char': 'u1', 'bool': '?'}


def typestore(distro: str = 'jazzy') -> Typestore:
    """Definitions of a ROS distribution, as rosbags has them, with this package's added."""
    if distro not in DISTROS:
        raise ConfigError(f'peers must be one of {", ".join(DISTROS)}, not {distro!r}')
    store = get_typestore(Stores(f'ros2_{distro}'))
    add_own(store)
    return store


def add_own(store: Typestore) -> None:
    """Register this package's messages, and vision_msgs where it lacks, in a typestore."""
    definitions = {}
    for path in sorted(folder('msg').glob('*.msg')):
        text = path.read_text(encoding='utf-8')
        definitions.update(get_types_from_msg(text, f'pose3d_ros/msg/{path.stem}'))
    for name, text in DEFINITIONS.items():
        if name not in store.fielddefs:
            definitions.update(get_types_from_msg(text, name))
    store.register(definitions)


class StandaloneTypes:
    """Callable that finds message classes; (de)serialises them as CDR."""

    def __init__(self, distro: str = 'jazzy') -> None:
        self.store = typestore(distro)
        self._made: dict[str, type[Any]] = {}

    def __call__(self, name: str) -> type[Any]:
        """The class of that name; ConfigError if there is none."""
        made = self._made.get(name)
        if made is None:
            if name not in self.store.fielddefs:
                raise ConfigError(f'message type {name!r} is unknown')
            made = self._made[name] = self._make(name)
            # Deserialised messages are of this class too; rosbags looks it up once, later.
            self.store.types[name] = made
        return made

    def serialize(self, message: Message, name: str) -> memoryview:
        """CDR with its 4-byte header."""
        self(name)
        return self.store.serialize_cdr(message, name)

    def deserialize(self, data: bytes | memoryview, name: str) -> Message:
        """Raises InputError if the bytes are no such message."""
        self(name)
        try:
            return self.store.deserialize_cdr(data, name)
        except (SerdeError, IndexError) as error:
            raise InputError(f'broken {name} message: {error}') from error

    def type_hash(self, name: str) -> str:
        """RIHS01_... of REP-2016."""
        return self.store.hash_rihs01(name)

    def _make(self, name: str) -> type[Any]:
        constants, definitions = self.store.fielddefs[name]
        fields = []
        for field, description in definitions:
            default = self._default(name, field, description)
            fields.append(
                (
                    normalize_fieldname(field),
                    Any,
                    dataclasses.field(default_factory=default)
                    if callable(default)
                    else dataclasses.field(default=default),
                )
            )
        namespace = {'__msgtype__': name, **{key: value for key, _, value in constants}}
        return dataclasses.make_dataclass(
            name.rpartition('/')[2], fields, namespace=namespace, eq=False, slots=True
        )

    def _default(self, message: str, field: str, description: Any) -> Any:
        """A value, or a callable that makes one."""
        if (message, field) in _DEFAULTS:
            return _DEFAULTS[message, field]
        node_type, detail = description
        if node_type == Nodetype.NAME:
            return self(detail)
        if node_type == Nodetype.BASE:
            return _scalar(detail[0])
        element, length = detail
        count = length if node_type == Nodetype.ARRAY else 0
        if element[0] == Nodetype.NAME:
            return partial(_several, self(element[1]), count)
        if element[1][0] == 'string':
            return partial(_several, str, count)
        return partial(np.zeros, count, dtype=_NUMPY.get(element[1][0], element[1][0]))


def _several(make: Callable[[], Any], count: int) -> list[Any]:
    return [make() for _ in range(count)]


def _scalar(base: str) -> Any:
    return '' if base == 'string' else {'bool': False, 'float32': 0.0, 'float64': 0.0}.get(base, 0)
