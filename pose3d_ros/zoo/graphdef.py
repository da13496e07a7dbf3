# SPDX-License-Identifier: Apache-2.0
"""Frozen TensorFlow graphs, read and written without TensorFlow.

The file is a protocol buffer of type GraphDef (tensorflow/core/framework/graph.proto); only the
fields that are named here are read, in place, so that a file of 170 MB takes no time.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from . import protobuf as pb

RANDOM_MARK = 'pose3d.weights'
"""Name of a constant in graphs of random weights, which see nobody."""
FLOAT, DOUBLE, INT32, STRING, INT64, BOOL, HALF = 1, 2, 3, 7, 9, 10, 19
TYPES: dict[int, Any] = {
    FLOAT: np.float32, DOUBLE: np.float64, INT32: np.int32, INT64: np.int64, BOOL: np.bool_,
    HALF: np.float16,
}  # fmt: skip
CODES = {np.dtype(dtype): code for code, dtype in TYPES.items()}
_WEIGHTS_BYTES = 1 << 16  # constants over this are weights


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
        return None if raw is None else _read_shape(pb.message(_fields(raw), 7))

    def value(self) -> NDArray[np.generic] | list[bytes]:
        """Of a constant: numbers, or byte strings."""
        tensor = pb.fields(pb.message(_fields(self.attributes['value']), 8))
        code = pb.count(tensor, 1)
        shape = _read_shape(pb.message(tensor, 2))
        if code == STRING:
            return [bytes(v) for number, v in tensor if number == 8 and isinstance(v, memoryview)]
        content = pb.message(tensor, 4)
        sizes = [size or 0 for size in shape]
        if code not in TYPES or (not content and 0 not in sizes):
            raise ValueError(f'{self.name} is no packed constant of a known type')
        dtype = np.dtype(TYPES[code]).newbyteorder('<')
        return np.frombuffer(content, dtype).reshape(sizes)

    def integer(self, name: str, default: int = 0) -> int:
        """An attribute that is a number, a flag or a type."""
        raw = _fields(self.attributes[name]) if name in self.attributes else []
        values = (value for number, value in raw if number in (3, 5, 6) and isinstance(value, int))
        return pb.signed(next(values, default))

    def integers(self, name: str) -> tuple[int, ...]:
        """An attribute that is a list of numbers."""
        raw = pb.message(_fields(self.attributes[name]), 1) if name in self.attributes else b''
        return tuple(pb.signed(v) for v in pb.unpacked(pb.fields(memoryview(raw)), 3))

    def number(self, name: str) -> float:
        """An attribute that is a float."""
        (value,) = struct.unpack('<f', pb.message(_fields(self.attributes[name]), 4))
        return float(value)

    def text(self, name: str, default: str = '') -> str:
        """An attribute that is a string."""
        raw = self.attributes.get(name)
        return default if raw is None else bytes(pb.message(_fields(raw), 2)).decode()


def read_graph(path: Path, weights: bool = False) -> dict[str, Node]:
    """Nodes of a frozen graph by name, in order. ModelError if the file is no such graph.

    weights: with constants of over 64 KB, which are else left in the file.
    """
    try:
        with path.open('rb') as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as m:
            view = memoryview(m)
            try:
                nodes = [
                    _node(raw, weights)
                    for number, raw in pb.fields(view)
                    if number == 1 and isinstance(raw, memoryview)
                ]
            finally:
                view.release()
    except (OSError, ValueError, IndexError, UnicodeDecodeError, BufferError) as error:
        raise ModelError(f'{path} is not a frozen TensorFlow graph: {error}') from error
    if not any(node.op == 'Placeholder' for node in nodes):
        raise ModelError(f'{path} is not a frozen TensorFlow graph: it has no placeholder')
    return {node.name: node for node in nodes}


def _node(raw: pb.Buffer, weights: bool) -> Node:
    name = op = ''
    inputs, attributes = [], {}
    for number, value in pb.fields(raw):
        if not isinstance(value, memoryview):
            continue
        if number == 1:
            name = bytes(value).decode()
        elif number == 2:
            op = bytes(value).decode()
        elif number == 3:
            inputs.append(bytes(value).decode())
        elif number == 5 and (weights or len(value) < _WEIGHTS_BYTES):
            entry = pb.fields(value)
            attributes[bytes(pb.message(entry, 1)).decode()] = bytes(pb.message(entry, 2))
    return Node(name, op, tuple(inputs), attributes)


def _fields(raw: bytes) -> list[pb.Field]:
    return pb.fields(memoryview(raw))


def _read_shape(raw: pb.Buffer) -> tuple[int | None, ...]:
    sizes = []
    for number, dim in pb.fields(raw):
        if number == 2 and isinstance(dim, memoryview):
            size = pb.signed(pb.count(pb.fields(dim), 1))
            sizes.append(None if size < 0 else size)
    return tuple(sizes)


def write_graph(path: Path, nodes: Iterable[Node]) -> None:
    """Write a frozen graph; OSError."""
    with path.open('wb') as stream:
        for node in nodes:
            raw = pb.text(1, node.name) + pb.text(2, node.op)
            raw += b''.join(pb.text(3, name) for name in node.inputs)
            for name, value in sorted(node.attributes.items()):
                raw += pb.data(5, pb.text(1, name) + pb.data(2, value))
            stream.write(pb.data(1, raw))


def constant(name: str, value: Any) -> Node:
    """A node that holds an array, or strings."""
    if isinstance(value, tuple) and all(isinstance(item, str) for item in value):
        code, shape = STRING, [len(value)]
        content = b''.join(pb.text(8, item) for item in value)
    else:
        array = np.asarray(value)
        code, shape = CODES[array.dtype], list(array.shape)
        little = array.astype(array.dtype.newbyteorder('<'), copy=False)
        content = pb.data(4, little.tobytes())
    tensor = pb.integer(1, code) + pb.data(2, shape_message(shape)) + content
    return Node(name, 'Const', (), {'dtype': of_type(code), 'value': pb.data(8, tensor)})


def shape_message(sizes: Sequence[int]) -> bytes:
    """TensorShapeProto; -1: a free axis."""
    return b''.join(pb.data(2, pb.integer(1, int(size))) for size in sizes)


# Attributes: AttrValue messages.


def of_type(code: int) -> bytes:
    """A type."""
    return pb.integer(6, code)


def of_integer(value: int) -> bytes:
    """A number."""
    return pb.integer(3, value)


def of_flag(value: bool) -> bytes:
    """A flag."""
    return pb.integer(5, int(value))


def of_number(value: float) -> bytes:
    """A float."""
    return pb.float32(4, value)


def of_text(value: bytes) -> bytes:
    """A string."""
    return pb.data(2, value)


def of_shape(sizes: Sequence[int]) -> bytes:
    """A shape; -1: a free axis."""
    return pb.data(7, shape_message(sizes))


def of_integers(values: Sequence[int]) -> bytes:
    """A list of numbers."""
    return pb.data(1, pb.integers(3, values) if values else b'')


def of_texts(values: Sequence[bytes]) -> bytes:
    """A list of strings."""
    return pb.data(1, b''.join(pb.data(2, value) for value in values))
