# SPDX-License-Identifier: Apache-2.0
"""Writes ONNX files without the onnx package (onnx/onnx.proto, opset 17)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import protobuf as pb

OPSET = 17
_IR = 8
FLOAT, INT32, INT64, BOOL = 1, 6, 7, 9
DTYPES = {
    np.dtype(np.float32): FLOAT,
    np.dtype(np.int32): INT32,
    np.dtype(np.int64): INT64,
    np.dtype(np.bool_): BOOL,
}
Attribute = int | float | str | Sequence[int]
Port = tuple[str, int, Sequence[int | None]]
"""Name, element type and shape of an input or output; None: a free axis."""


class Graph:
    """Nodes and constants in the order in which they are added."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._constants: dict[str, bytes] = {}
        self._read: set[str] = set()
        self._count = 0

    def constant(self, value: Any, name: str = '') -> str:
        """Name of a tensor that holds an array; it is written if something reads it."""
        array = np.asarray(value)
        name = name or self._name('constant')
        little = array.astype(array.dtype.newbyteorder('<'), copy=False)
        raw = b''.join(pb.integer(1, size) for size in array.shape)
        raw += pb.integer(2, DTYPES[array.dtype]) + pb.text(8, name) + pb.data(9, little.tobytes())
        self._constants[name] = raw
        return name

    def add(self, op: str, *inputs: str, name: str = '', **attributes: Attribute) -> str:
        """Name of the one result of an operation."""
        return self.add_many(op, inputs, [name or self._name(op)], attributes)[0]

    def add_many(
        self,
        op: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        attributes: Mapping[str, Attribute] | None = None,
    ) -> Sequence[str]:
        """An operation of several results, which get these names."""
        self._read.update(inputs)
        raw = b''.join(pb.text(1, item) for item in inputs)
        raw += b''.join(pb.text(2, item) for item in outputs)
        raw += pb.text(3, outputs[0]) + pb.text(4, op)
        raw += b''.join(pb.data(5, _attribute(k, v)) for k, v in (attributes or {}).items())
        self._nodes.append(raw)
        return outputs

    def _name(self, op: str) -> str:
        self._count += 1
        return f'{op}_{self._count}'

    def write(self, path: Path, inputs: Sequence[Port], outputs: Sequence[Port]) -> None:
        """Write the model; OSError."""
        graph = b''.join(pb.data(1, node) for node in self._nodes) + pb.text(2, 'graph')
        used = (raw for name, raw in self._constants.items() if name in self._read)
        graph += b''.join(pb.data(5, raw) for raw in used)
        graph += b''.join(pb.data(11, _port(port)) for port in inputs)
        graph += b''.join(pb.data(12, _port(port)) for port in outputs)
        model = pb.integer(1, _IR) + pb.text(2, 'pose3d_ros') + pb.data(7, graph)
        model += pb.data(8, pb.integer(2, OPSET))
        path.write_bytes(model)


def _port(port: Port) -> bytes:
    name, dtype, shape = port
    sizes = b''.join(
        pb.data(1, pb.text(2, f'{name}_{axis}') if size is None else pb.integer(1, size))
        for axis, size in enumerate(shape)
    )
    tensor = pb.integer(1, dtype) + pb.data(2, sizes)
    return pb.text(1, name) + pb.data(2, pb.data(1, tensor))


def _attribute(name: str, value: Attribute) -> bytes:
    raw = pb.text(1, name)
    if isinstance(value, str):
        return raw + pb.text(4, value) + pb.integer(20, 3)
    if isinstance(value, float):
        return raw + pb.float32(2, value) + pb.integer(20, 1)
    if isinstance(value, int):
        return raw + pb.integer(3, value) + pb.integer(20, 2)
    return raw + b''.join(pb.integer(8, int(item)) for item in value) + pb.integer(20, 7)
