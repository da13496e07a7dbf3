# SPDX-License-Identifier: Apache-2.0
"""MeTRo's graphs with random weights, in the published format, written without TensorFlow.

For benchmarks and tests: same operations, names and signature as the published files (see
docs/estimators/metro.md), nobody's weights. They are marked and refused unless asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.zoo import graphdef as graphs
from pose3d_ros.zoo.graphdef import RANDOM_MARK, Node

Array = NDArray[Any]

UNITS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
_SIDE, _DEPTH, _BOX_MM = 256, 8, 2200.0
_FLOAT, _INT32 = graphs.of_type(graphs.FLOAT), graphs.of_type(graphs.INT32)


@dataclass(frozen=True)
class MetroGraph:
    """What to write.

    names, edges, gather: joints as exported. inside: joints in the network. width: of the first
    layer (64 is the published one). first_release: as the very first published file, channels-first
    input, result `pred`, no constants, joints ungathered.
    """

    names: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]
    gather: tuple[int, ...]
    inside: int
    backbone: int = 50
    stride: int = 32
    width: int = 64
    channels_first: bool = False
    half: bool = False
    first_release: bool = False
    seed: int = 0


def write_graph(path: Path, graph: MetroGraph) -> None:
    """Write the file; 95 MB at full width."""
    _Writer(graph).write(path)


class _Writer:
    def __init__(self, graph: MetroGraph) -> None:
        self.graph = graph
        self.first = graph.channels_first or graph.first_release
        self.random = np.random.default_rng(graph.seed)
        self.nodes: list[Node] = []
        self.count = 0
        self.type = np.dtype(np.float16 if graph.half else np.float32)

    def write(self, path: Path) -> None:
        graph = self.graph
        shape = [-1, 3, _SIDE, _SIDE] if graph.first_release else [-1, _SIDE, _SIDE, 3]
        self.op('Placeholder', [], {'dtype': _FLOAT, 'shape': graphs.of_shape(shape)}, 'input')
        x = 'input'
        if self.first and not graph.first_release:
            x = self.transpose(x, (0, 3, 1, 2), np.float32)
        if graph.half:
            x = self.cast(x, graphs.FLOAT, graphs.HALF)
        x = self.head(self.body(x))
        if not graph.first_release:
            self.constant(np.array(graph.edges, np.int64), 'joint_edges')
            self.constant(graph.names, 'joint_names')
        self.constant(('random',), RANDOM_MARK)
        graphs.write_graph(path, self.nodes)

    def body(self, x: str) -> str:
        """Pre-activation ResNet; strides beyond the wanted one become dilation."""
        graph, width = self.graph, self.graph.width
        x = self.convolve(self.pad(x, 3), 3, width, 7, stride=2, padding='VALID', bias=True)
        x = self.pool(self.pad(x, 1))
        reached, dilation, inside = 4, 1, width
        strides = [s for s in (8, 16, 32) if s <= graph.stride]
        for block, units in enumerate(UNITS[graph.backbone]):
            base = width * 2**block
            for unit in range(units):
                stride, after = 1, dilation
                if unit == units - 1 and block < 3:
                    if reached < graph.stride:
                        stride = 2
                        reached *= 2
                    else:
                        after = dilation * 2
                centred = stride == 2 and reached == (strides[-1] if strides else 0)
                x = self.unit(x, inside, base, stride, dilation, centred)
                inside, dilation = 4 * base, after
        x = self.activate(x, inside)
        return self.convolve(x, inside, _DEPTH * graph.inside, 1, bias=True, gain=0.2)

    def unit(
        self, x: str, inside: int, base: int, stride: int, dilation: int, centred: bool
    ) -> str:
        outside = 4 * base
        a = self.activate(x, inside)
        shortcut = x if inside == outside else self.convolve(a, inside, outside, 1, bias=True)
        if stride == 2:
            shortcut = self.every_second(shortcut, 1 if centred else 0)
        y = self.activate(self.convolve(a, inside, base, 1), base)
        if stride == 2 and not centred:
            y = self.convolve(self.pad(y, 1), base, base, 3, stride=2, padding='VALID')
        else:
            y = self.convolve(y, base, base, 3, stride=stride, dilation=dilation)
        y = self.convolve(self.activate(y, base), base, outside, 1, bias=True)
        return self.op('AddV2', [shortcut, y], {'T': self.kind()})

    def head(self, x: str) -> str:
        """Soft-argmax over the volume, millimetres, root subtracted, exported order."""
        graph = self.graph
        grid = _SIDE // graph.stride
        if graph.half:
            x = self.cast(x, graphs.HALF, graphs.FLOAT)
        if not self.first:
            x = self.transpose(x, (0, 3, 1, 2), np.float32)
        x = self.reshape(x, (-1, _DEPTH, graph.inside, grid, grid))
        x = self.transpose(x, (0, 2, 3, 4, 1), np.float32)
        t = {'T': _FLOAT}
        largest = self.reduce('Max', x, (2, 3, 4), True)
        e = self.op('Exp', [self.op('Sub', [x, largest], t)], t)
        p = self.op('RealDiv', [e, self.reduce('Sum', e, (2, 3, 4), True)], t)
        last = (_SIDE - 1) - (_SIDE - 1) % graph.stride - 1
        axes = []
        for others, cells, scale, shift, unit in (
            ((2, 4), grid, last, graph.stride // 2, _BOX_MM / _SIDE),
            ((3, 4), grid, last, graph.stride // 2, _BOX_MM / _SIDE),
            ((2, 3), _DEPTH, 1, 0, _BOX_MM),
        ):
            line = self.constant(np.linspace(0, 1, cells, dtype=np.float32))
            y = self.op('Mul', [self.reduce('Sum', p, others, False), line], t)
            y = self.reduce('Sum', y, (-1,), False)
            for op, number in (('Mul', scale), ('AddV2', shift), ('Mul', unit)):
                y = self.op(op, [y, self.constant(np.float32(number))], t)
            axes.append(y)
        x = self.op('Pack', axes, {**t, 'N': graphs.of_integer(3), 'axis': graphs.of_integer(-1)})
        if graph.first_release:
            return self.gather(x, tuple(range(graph.inside)), 'pred')
        root = self.gather(x, (graph.inside - 1,))
        return self.gather(self.op('Sub', [x, root], t), graph.gather, 'output')

    # Layers

    def convolve(
        self, x: str, inside: int, outside: int, side: int, *, stride: int = 1, dilation: int = 1,
        padding: str = 'SAME', bias: bool = False, gain: float = 1.0,
    ) -> str:  # fmt: skip
        spread = gain * np.sqrt(2 / (inside * side * side))
        kernel = self.random.normal(0, spread, (side, side, inside, outside))
        w = self.constant(kernel.astype(self.type))
        attributes = {
            'T': self.kind(), 'strides': self.four(stride), 'dilations': self.four(dilation),
            'padding': graphs.of_text(padding.encode()), 'data_format': self.layout(),
        }  # fmt: skip
        y = self.op('Conv2D', [x, w], attributes)
        if not bias:
            return y
        b = self.constant(self.random.normal(0, 0.05, outside).astype(self.type))
        return self.op('BiasAdd', [y, b], {'T': self.kind(), 'data_format': self.layout()})

    def activate(self, x: str, channels: int) -> str:
        draw = self.random
        values = (
            draw.uniform(0.8, 1.2, channels), draw.normal(0, 0.1, channels),
            draw.normal(0, 0.1, channels), draw.uniform(0.8, 1.5, channels),
        )  # fmt: skip
        parts = [self.constant(value.astype(np.float32)) for value in values]
        attributes = {
            'T': self.kind(), 'U': _FLOAT, 'epsilon': graphs.of_number(1e-5),
            'is_training': graphs.of_flag(False), 'data_format': self.layout(),
        }  # fmt: skip
        y = self.op('FusedBatchNormV3', [x, *parts], attributes)
        return self.op('Relu', [y], {'T': self.kind()})

    def pool(self, x: str) -> str:
        attributes = {
            'T': self.kind(), 'ksize': self.four(3), 'strides': self.four(2),
            'padding': graphs.of_text(b'VALID'), 'data_format': self.layout(),
        }  # fmt: skip
        return self.op('MaxPool', [x], attributes)

    def pad(self, x: str, by: int) -> str:
        rows = (
            [[0, 0], [0, 0], [by, by], [by, by]]
            if self.first
            else [[0, 0], [by, by], [by, by], [0, 0]]
        )
        paddings = self.constant(np.array(rows, np.int32))
        return self.op('Pad', [x, paddings], {'T': self.kind(), 'Tpaddings': _INT32})

    def every_second(self, x: str, begin: int) -> str:
        def four(outer: int, inner: int) -> str:
            values = (outer, outer, inner, inner) if self.first else (outer, inner, inner, outer)
            return self.constant(np.array(values, np.int32))

        # Whole axes are masked; the two of the image run from begin to the end.
        outer = 0b0011 if self.first else 0b1001
        attributes = {
            'T': self.kind(), 'Index': _INT32, 'begin_mask': graphs.of_integer(outer),
            'end_mask': graphs.of_integer(0b1111),
        }  # fmt: skip
        for mask in ('ellipsis', 'new_axis', 'shrink_axis'):
            attributes[f'{mask}_mask'] = graphs.of_integer(0)
        inputs = [x, four(0, begin), four(0, 0), four(1, 2)]
        return self.op('StridedSlice', inputs, attributes)

    # Operations

    def transpose(self, x: str, order: tuple[int, ...], kind: Any) -> str:
        perm = self.constant(np.array(order, np.int32))
        code = graphs.of_type(graphs.CODES[np.dtype(kind)])
        return self.op('Transpose', [x, perm], {'T': code, 'Tperm': _INT32})

    def reshape(self, x: str, shape: tuple[int, ...]) -> str:
        sizes = self.constant(np.array(shape, np.int32))
        return self.op('Reshape', [x, sizes], {'T': _FLOAT, 'Tshape': _INT32})

    def cast(self, x: str, source: int, target: int) -> str:
        return self.op(
            'Cast', [x], {'SrcT': graphs.of_type(source), 'DstT': graphs.of_type(target)}
        )

    def reduce(self, op: str, x: str, axes: tuple[int, ...], keep: bool) -> str:
        index = self.constant(np.array(axes, np.int32))
        attributes = {'T': _FLOAT, 'Tidx': _INT32, 'keep_dims': graphs.of_flag(keep)}
        return self.op(op, [x, index], attributes)

    def gather(self, x: str, chosen: tuple[int, ...], name: str = '') -> str:
        index = self.constant(np.array(chosen, np.int32))
        axis = self.constant(np.int32(1))
        attributes = {
            'Tparams': _FLOAT, 'Tindices': _INT32, 'Taxis': _INT32,
            'batch_dims': graphs.of_integer(0),
        }  # fmt: skip
        return self.op('GatherV2', [x, index, axis], attributes, name)

    def constant(self, value: Any, name: str = '') -> str:
        self.count += 1
        node = graphs.constant(name or f'Const_{self.count}', value)
        self.nodes.append(node)
        return node.name

    def op(self, op: str, inputs: list[str], attributes: dict[str, bytes], name: str = '') -> str:
        self.count += 1
        name = name or f'{op}_{self.count}'
        self.nodes.append(Node(name, op, tuple(inputs), attributes))
        return name

    def kind(self) -> bytes:
        return graphs.of_type(graphs.CODES[self.type])

    def layout(self) -> bytes:
        return graphs.of_text(b'NCHW' if self.first else b'NHWC')

    def four(self, value: int) -> bytes:
        """A list attribute with the value on the two axes of the image."""
        values = (1, 1, value, value) if self.first else (1, value, value, 1)
        return graphs.of_integers(values)
