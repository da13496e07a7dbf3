# SPDX-License-Identifier: Apache-2.0
"""Topic types for Cyclone DDS that carry serialised messages.

The library wants a true type description of each topic, but its own (de)serialisation in Python
takes tens of milliseconds for an image. So the description is generated from the message's
definition, and samples carry CDR bytes that rosbags makes and reads.
"""

from __future__ import annotations

from typing import Any, cast

from cyclonedds.idl import IdlStruct, make_idl_struct
from cyclonedds.idl import types as idl
from rosbags.interfaces import Nodetype
from rosbags.typesys.store import Typestore

from ..standalone.names import wire_type

_BASE = {
    'bool': bool,
    'byte': idl.uint8,
    'char': idl.uint8,
    'int8': idl.int8,
    'uint8': idl.uint8,
    'int16': idl.int16,
    'uint16': idl.uint16,
    'int32': idl.int32,
    'uint32': idl.uint32,
    'int64': idl.int64,
    'uint64': idl.uint64,
    'float32': idl.float32,
    'float64': idl.float64,
    'string': str,
}

# The library leaves their use untyped.
_array: Any = idl.array
_sequence: Any = idl.sequence


class Sample:
    """A message as CDR bytes with their 4-byte header: the methods of every topic type."""

    raw: bytes
    sample_info: Any

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    def serialize(
        self, buffer: Any = None, endianness: Any = None, use_version_2: bool | None = None
    ) -> bytes:
        """For the library: the bytes as they are."""
        return self.raw

    @classmethod
    def deserialize(
        cls, data: bytes, has_header: bool = True, use_version_2: bool | None = None
    ) -> Sample:
        """For the library: keeps the bytes."""
        return cls(data)

    @classmethod
    def deserialize_key(
        cls, data: bytes, has_header: bool = True, use_version_2: bool | None = None
    ) -> Sample:
        """For the library: what tells that a writer left has no content."""
        return cls(b'')


class TopicTypes:
    """Makes the topic type of each message once."""

    def __init__(self, store: Typestore) -> None:
        self._store = store
        self._structs: dict[str, type[IdlStruct]] = {}
        self._samples: dict[str, type[Sample]] = {}

    def __call__(self, name: str) -> type[Sample]:
        """A class of Sample that Cyclone DDS accepts as the data type of a topic."""
        if name not in self._samples:
            # Not a subclass, because the library takes bases for inheritance on the wire; and not
            # the class of nested fields, which has to remain a true description.
            made = self._make(name, dataclassify=False)
            for method in ('__init__', 'serialize', 'deserialize', 'deserialize_key'):
                setattr(made, method, Sample.__dict__[method])
            self._samples[name] = cast(type[Sample], made)
        return self._samples[name]

    def _struct(self, name: str) -> type[IdlStruct]:
        if name not in self._structs:
            self._structs[name] = self._make(name)
        return self._structs[name]

    def _make(self, name: str, dataclassify: bool = True) -> type[IdlStruct]:
        fields = {
            field: self._field(description) for field, description in self._store.fielddefs[name][1]
        }
        wire = wire_type(name)
        made: type[IdlStruct] = make_idl_struct(
            wire.rpartition('::')[2], wire.replace('::', '.'), fields, dataclassify=dataclassify
        )
        return made

    def _field(self, description: Any) -> Any:
        node_type, detail = description
        if node_type == Nodetype.NAME:
            return self._struct(detail)
        if node_type == Nodetype.BASE:
            return _BASE[detail[0]]
        element, length = detail
        inner = self._field(element)
        if node_type == Nodetype.ARRAY:
            return _array[inner, length]
        return _sequence[inner, length] if length else _sequence[inner]
