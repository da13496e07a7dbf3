# SPDX-License-Identifier: Apache-2.0
"""Looks into a frozen TensorFlow graph without TensorFlow: nodes, inputs, small constants.

The file is a protocol buffer of type GraphDef (tensorflow/core/framework/graph.proto); only the
fields that are named here are read, in place, so that a file of 170 MB takes no time.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError

RANDOM_MARK = 'pose3d.weights'
"""Name of a constant in graphs of random weights, which see nobody."""
_TYPES = {1: np.float32, 2: np.float64, 3: np.int32, 9: np.int64}
_BYTES = 7
Buffer = memoryview


@dataclass(frozen=True)
class Node:
    """One operation. attributes: raw AttrValue messages by name."""

    name: str
    op: str
    inputs: tuple[str, ...]
    attributes: dict[str, bytes] = field(repr=False)

    @property
    def shape(self) -> tuple[int | None, ...] | None:
        """Of a placeholder; None for a free axis; no shape: None."""
        raw = self.attributes.get('shape')
        return None if raw is None else _shape(_one(_fields(memoryview(raw)), 7))

    def value(self) -> NDArray[np.generic] | list[bytes]:
        """Of a constant: numbers, or byte strings."""
        tensor = _fields(memoryview(_one(_fields(memoryview(self.attributes['value'])), 8)))
        kind = int(_number(tensor, 1))
        shape = _shape(_one(tensor, 2))
        if kind == _BYTES:
            return [bytes(v) for number, v in tensor if number == 8 and isinstance(v, memoryview)]
        content = _one(tensor, 4)
        if kind not in _TYPES or not content:
            raise ValueError(f'{self.name} is no packed constant of a known type')
        return np.frombuffer(content, np.dtype(_TYPES[kind]).newbyteorder('<')).reshape(
            [size or 0 for size in shape or ()]
        )


def read_graph(path: Path) -> dict[str, Node]:
    """Nodes of a frozen graph by name, in order. ModelError if the file is no such graph.

    Weights (constants of over 64 KB) are left in the file.
    """
    try:
        with path.open('rb') as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as m:
            view = memoryview(m)
            try:
                found = {
                    node.name: node
                    for number, raw in _fields(view)
                    if number == 1 and isinstance(raw, memoryview)
                    for node in [_node(raw)]
                }
            finally:
                view.release()
    except (OSError, ValueError, IndexError, UnicodeDecodeError, BufferError) as error:
        raise ModelError(f'{path} is not a frozen TensorFlow graph: {error}') from error
    if not found or not any(node.op == 'Placeholder' for node in found.values()):
        raise ModelError(f'{path} is not a frozen TensorFlow graph: it has no placeholder')
    return found


def _node(raw: Buffer) -> Node:
    name = op = ''
    inputs, attributes = [], {}
    for number, value in _fields(raw):
        if not isinstance(value, memoryview):
            continue
        if number == 1:
            name = bytes(value).decode()
        elif number == 2:
            op = bytes(value).decode()
        elif number == 3:
            inputs.append(bytes(value).decode())
        elif number == 5 and len(value) < 1 << 16:
            entry = _fields(value)
            attributes[bytes(_one(entry, 1)).decode()] = bytes(_one(entry, 2))
    return Node(name, op, tuple(inputs), attributes)


def _fields(raw: Buffer) -> list[tuple[int, Buffer | int]]:
    """Field numbers and values of a message; sub-messages stay raw."""
    return list(_walk(raw))


def _walk(raw: Buffer) -> Iterator[tuple[int, Buffer | int]]:
    place, end = 0, len(raw)
    while place < end:
        key, place = _varint(raw, place)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, place = _varint(raw, place)
            yield number, value
            continue
        if kind == 2:
            size, place = _varint(raw, place)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f'wire type {kind}')
        if number == 0 or place + size > end:
            raise ValueError('cut off or not a protocol buffer')
        yield number, raw[place : place + size]
        place += size


def _varint(raw: Buffer, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
        if shift > 63:
            raise ValueError('not a protocol buffer')


def _one(fields: list[tuple[int, Buffer | int]], number: int) -> Buffer:
    for key, value in fields:
        if key == number and isinstance(value, memoryview):
            return value
    return memoryview(b'')


def _number(fields: list[tuple[int, Buffer | int]], number: int) -> int:
    return next((v for k, v in fields if k == number and isinstance(v, int)), 0)


def _shape(raw: Buffer) -> tuple[int | None, ...]:
    sizes = []
    for number, dim in _fields(raw):
        if number == 2 and isinstance(dim, memoryview):
            size = _number(_fields(dim), 1)
            sizes.append(None if size >= 1 << 63 else size)  # -1: free
    return tuple(sizes)
