# SPDX-License-Identifier: Apache-2.0
"""Frozen TensorFlow graphs become ONNX, without TensorFlow: the operations of the finder networks.

Images keep TensorFlow's order (N, H, W, C); what ONNX has in another order stands between
transpositions, which runtimes remove where two meet. Semantics: tensorflow.org/api_docs/python/tf/
raw_ops and github.com/onnx/onnx/blob/main/docs/Operators.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ..errors import ModelError
from ..types import Array
from . import graphdef, onnx_file
from .graphdef import Node

_DTYPES = {
    graphdef.FLOAT: onnx_file.FLOAT,
    graphdef.INT32: onnx_file.INT32,
    graphdef.INT64: onnx_file.INT64,
    graphdef.BOOL: onnx_file.BOOL,
}
# Operations that are the same but for their names.
_ALIKE = {
    'Abs': 'Abs', 'Add': 'Add', 'AddN': 'Sum', 'AddV2': 'Add', 'Equal': 'Equal', 'Exp': 'Exp',
    'Greater': 'Greater', 'GreaterEqual': 'GreaterOrEqual', 'Identity': 'Identity', 'Less': 'Less',
    'LogicalAnd': 'And', 'Maximum': 'Max', 'Minimum': 'Min', 'Mul': 'Mul', 'RealDiv': 'Div',
    'Reciprocal': 'Reciprocal', 'Relu': 'Relu', 'Select': 'Where', 'Sigmoid': 'Sigmoid',
    'Sqrt': 'Sqrt', 'Sub': 'Sub',
}  # fmt: skip
_PLANES_FIRST, _PLANES_LAST = (0, 3, 1, 2), (0, 2, 3, 1)


def convert(
    nodes: Mapping[str, Node], target: Path, results: Mapping[str, Sequence[int | None]]
) -> None:
    """Write the ONNX file of a frozen graph. results: shapes of the outputs, by the node's name.

    Raises ModelError for operations that are not known here, OSError.
    """
    translation = _Translation()
    try:
        for node in _sorted(nodes):
            translation.take(node)
    except (KeyError, ValueError, TypeError) as error:
        raise ModelError(f'{target.name} cannot be made: {error}') from error
    inputs = [node for node in nodes.values() if node.op == 'Placeholder']
    translation.graph.write(
        target,
        [(f'{node.name}:0', _DTYPES[node.integer('dtype')], node.shape or ()) for node in inputs],
        [(f'{name}:0', onnx_file.FLOAT, shape) for name, shape in results.items()],
    )


def _tensor(name: str) -> str:
    """Full name of a tensor; the number of an operation's first result may be left out."""
    return name if ':' in name else f'{name}:0'


def _sorted(nodes: Mapping[str, Node]) -> list[Node]:
    """In an order in which everything comes after what it reads."""
    order: dict[str, Node] = {}
    for start in nodes:
        waiting = [start]
        while waiting:
            node = nodes[waiting[-1]]
            lacking = [name.split(':')[0] for name in node.inputs]
            lacking = [name for name in lacking if name not in order]
            if not lacking:
                order[node.name] = node
                waiting.pop()
            elif set(lacking) & set(waiting):
                raise ValueError('its operations form a loop')
            else:
                waiting += lacking
    return list(order.values())


class _Translation:
    """Node after node; each tensor keeps its full name."""

    def __init__(self) -> None:
        self.graph = onnx_file.Graph()
        self.constants: dict[str, Array] = {}

    def take(self, node: Node) -> None:
        """Translate the next one."""
        if node.op == 'Placeholder':
            return
        if node.op == 'Const':
            self.hold(node, np.asarray(node.value()))
        elif node.op in _ALIKE:
            self.put(node, _ALIKE[node.op], *map(_tensor, node.inputs))
        elif node.op in _HANDLERS:
            _HANDLERS[node.op](self, node)
        else:
            raise ValueError(f'operation {node.op} ({node.name}) is not known')

    def hold(self, node: Node, value: Array) -> None:
        """A node that is a constant."""
        name = f'{node.name}:0'
        self.constants[name] = value
        self.graph.constant(value, name)

    def put(self, node: Node, op: str, *inputs: str, **attributes: onnx_file.Attribute) -> None:
        """The node's one result."""
        self.graph.add(op, *inputs, name=f'{node.name}:0', **attributes)

    def value(self, node: Node, number: int) -> Array:
        """An input that is a constant; ValueError if it is not."""
        name = _tensor(node.inputs[number])
        if name not in self.constants:
            raise ValueError(f'{node.name}: input {number} of {node.op} must be a constant')
        return self.constants[name]

    def wide(self, name: str) -> str:
        """A tensor of integers in eight bytes, as ONNX wants shapes and indices."""
        if name in self.constants:
            return self.graph.constant(self.constants[name].astype(np.int64))
        return self.graph.add('Cast', name, to=onnx_file.INT64)

    def integers(self, values: Sequence[int]) -> str:
        """A constant of integers."""
        return self.graph.constant(np.array(values, np.int64))


def _cast(t: _Translation, node: Node) -> None:
    t.put(node, 'Cast', _tensor(node.inputs[0]), to=_DTYPES[node.integer('DstT')])


def _convolution(t: _Translation, node: Node) -> None:
    """Conv2D and DepthwiseConv2dNative: kernels (h, w, in, out), or (h, w, in, multiple)."""
    _check_layout(node)
    kernel = t.value(node, 1)
    height, width, inside, outside = kernel.shape
    groups = 1
    if node.op == 'DepthwiseConv2dNative':
        groups = inside
        weights = kernel.transpose(2, 3, 0, 1).reshape(inside * outside, 1, height, width)
    else:
        weights = kernel.transpose(3, 2, 0, 1)
    x = t.graph.add('Transpose', _tensor(node.inputs[0]), perm=_PLANES_FIRST)
    y = t.graph.add(
        'Conv',
        x,
        t.graph.constant(np.ascontiguousarray(weights)),
        auto_pad=_padding(node),
        strides=node.integers('strides')[1:3],
        dilations=node.integers('dilations')[1:3] or (1, 1),
        group=groups,
    )
    t.put(node, 'Transpose', y, perm=_PLANES_LAST)


def _max_pool(t: _Translation, node: Node) -> None:
    _check_layout(node)
    x = t.graph.add('Transpose', _tensor(node.inputs[0]), perm=_PLANES_FIRST)
    y = t.graph.add(
        'MaxPool',
        x,
        auto_pad=_padding(node),
        strides=node.integers('strides')[1:3],
        kernel_shape=node.integers('ksize')[1:3],
    )
    t.put(node, 'Transpose', y, perm=_PLANES_LAST)


def _check_layout(node: Node) -> None:
    if node.text('data_format', 'NHWC') != 'NHWC':
        raise ValueError(f'{node.name}: only NHWC is known, not {node.text("data_format")}')


def _padding(node: Node) -> str:
    modes = {'SAME': 'SAME_UPPER', 'VALID': 'VALID'}
    if node.text('padding') not in modes:
        raise ValueError(f'{node.name}: padding {node.text("padding")} is not known')
    return modes[node.text('padding')]


def _bias(t: _Translation, node: Node) -> None:
    _check_layout(node)
    t.put(node, 'Add', *map(_tensor, node.inputs))


def _relu6(t: _Translation, node: Node) -> None:
    low, high = (t.graph.constant(np.float32(v)) for v in (0, 6))
    t.put(node, 'Clip', _tensor(node.inputs[0]), low, high)


def _leaky_relu(t: _Translation, node: Node) -> None:
    t.put(node, 'LeakyRelu', _tensor(node.inputs[0]), alpha=node.number('alpha'))


def _squared_difference(t: _Translation, node: Node) -> None:
    difference = t.graph.add('Sub', *map(_tensor, node.inputs))
    t.put(node, 'Mul', difference, difference)


def _floor_div(t: _Translation, node: Node) -> None:
    inputs = list(map(_tensor, node.inputs))
    if node.integer('T') == graphdef.FLOAT:
        t.put(node, 'Floor', t.graph.add('Div', *inputs))
        return
    # ONNX cuts off where TensorFlow rounds down: (a - mod(a, b)) / b, mod with the divisor's sign.
    rest = t.graph.add('Mod', *inputs)
    t.put(node, 'Div', t.graph.add('Sub', inputs[0], rest), inputs[1])


def _resize(t: _Translation, node: Node) -> None:
    x, size = map(_tensor, node.inputs)
    mode = 'asymmetric'
    if node.integer('half_pixel_centers'):
        mode = 'half_pixel'
    elif node.integer('align_corners'):
        mode = 'align_corners'
    planes = t.graph.add('Transpose', x, perm=_PLANES_FIRST)
    start = t.graph.add('Slice', t.graph.add('Shape', planes), t.integers([0]), t.integers([2]))
    sizes = t.graph.add('Concat', start, t.wide(size), axis=0)
    y = t.graph.add(
        'Resize', planes, '', '', sizes, mode='linear', coordinate_transformation_mode=mode
    )
    t.put(node, 'Transpose', y, perm=_PLANES_LAST)


def _pad(t: _Translation, node: Node) -> None:
    before, after = t.value(node, 1).T
    inputs = [_tensor(node.inputs[0]), t.integers([*before, *after])]
    if node.op == 'PadV2':
        inputs.append(_tensor(node.inputs[2]))
    t.put(node, 'Pad', *inputs)


# Shapes and places


def _shape(t: _Translation, node: Node) -> None:
    op = 'Size' if node.op == 'Size' else 'Shape'
    shape = t.graph.add(op, _tensor(node.inputs[0]))
    t.put(node, 'Cast', shape, to=_DTYPES[node.integer('out_type', graphdef.INT32)])


def _reshape(t: _Translation, node: Node) -> None:
    x, sizes = map(_tensor, node.inputs)
    t.put(node, 'Reshape', x, t.wide(sizes))


def _expand_dims(t: _Translation, node: Node) -> None:
    axis = int(t.value(node, 1))
    t.put(node, 'Unsqueeze', _tensor(node.inputs[0]), t.integers([axis]))


def _squeeze(t: _Translation, node: Node) -> None:
    axes = node.integers('squeeze_dims')
    t.put(node, 'Squeeze', _tensor(node.inputs[0]), *([t.integers(axes)] if axes else []))


def _transpose(t: _Translation, node: Node) -> None:
    t.put(node, 'Transpose', _tensor(node.inputs[0]), perm=[int(v) for v in t.value(node, 1)])


def _strided_slice(t: _Translation, node: Node) -> None:
    """Only with constant limits. Axes: those cut, whole ones, new ones, and single places."""
    begin, end, steps = (t.value(node, k).tolist() for k in (1, 2, 3))
    if node.integer('ellipsis_mask'):
        raise ValueError(f'{node.name}: an ellipsis is not known')
    new, single = node.integer('new_axis_mask'), node.integer('shrink_axis_mask')
    cuts: list[tuple[int, int, int, int]] = []  # axis, start, end, step
    fresh, gone = [], []
    axis = place = 0  # of the input, and of the result before single places go
    for k, step in enumerate(steps):
        if new >> k & 1:
            fresh.append(place)
            place += 1
            continue
        if single >> k & 1:
            # An end of 0 after a start of -1 would be none.
            last = begin[k] + 1 or np.iinfo(np.int64).max
            cuts.append((axis, begin[k], int(last), 1))
            gone.append(place)
        else:
            far = np.iinfo(np.int64).max if step > 0 else np.iinfo(np.int64).min
            near = 0 if step > 0 else np.iinfo(np.int64).max
            start = int(near) if node.integer('begin_mask') >> k & 1 else begin[k]
            stop = int(far) if node.integer('end_mask') >> k & 1 else end[k]
            cuts.append((axis, start, stop, step))
        axis += 1
        place += 1
    x = _tensor(node.inputs[0])
    cuts = [c for c in cuts if c[1:] != (0, np.iinfo(np.int64).max, 1)]
    if cuts:
        axes, starts, stops, by = (t.integers(column) for column in zip(*cuts))
        x = t.graph.add('Slice', x, starts, stops, axes, by)
    if fresh:
        x = t.graph.add('Unsqueeze', x, t.integers(fresh))
    if gone:
        x = t.graph.add('Squeeze', x, t.integers(gone))
    t.put(node, 'Identity', x)


def _pack(t: _Translation, node: Node) -> None:
    axis = node.integer('axis')
    rows = [t.graph.add('Unsqueeze', _tensor(x), t.integers([axis])) for x in node.inputs]
    t.put(node, 'Concat', *rows, axis=axis)


def _unpack(t: _Translation, node: Node) -> None:
    axis, count = node.integer('axis'), node.integer('num')
    parts = [f'{node.name}:{k}/part' for k in range(count)]
    t.graph.add_many('Split', [_tensor(node.inputs[0])], parts, {'axis': axis})
    for k, part in enumerate(parts):
        t.graph.add('Squeeze', part, t.integers([axis]), name=f'{node.name}:{k}')


def _concat(t: _Translation, node: Node) -> None:
    axis = int(t.value(node, len(node.inputs) - 1))
    t.put(node, 'Concat', *map(_tensor, node.inputs[:-1]), axis=axis)


def _split(t: _Translation, node: Node) -> None:
    names = [f'{node.name}:{k}' for k in range(node.integer('num_split'))]
    if node.op == 'SplitV':
        inputs = [_tensor(node.inputs[0]), t.wide(_tensor(node.inputs[1]))]
        axis = int(t.value(node, 2))
    else:
        inputs = [_tensor(node.inputs[1])]
        axis = int(t.value(node, 0))
    t.graph.add_many('Split', inputs, names, {'axis': axis})


def _tile(t: _Translation, node: Node) -> None:
    t.put(node, 'Tile', _tensor(node.inputs[0]), t.wide(_tensor(node.inputs[1])))


def _fill(t: _Translation, node: Node) -> None:
    t.put(node, 'Expand', _tensor(node.inputs[1]), t.wide(_tensor(node.inputs[0])))


def _range(t: _Translation, node: Node) -> None:
    t.put(node, 'Range', *map(_tensor, node.inputs))


def _reduce(t: _Translation, node: Node) -> None:
    axes = [int(v) for v in np.atleast_1d(t.value(node, 1))]
    x, keep = _tensor(node.inputs[0]), node.integer('keep_dims')
    if node.op == 'Sum':
        t.put(node, 'ReduceSum', x, t.integers(axes), keepdims=keep)
    else:  # its axes are no input before opset 18
        t.put(node, 'ReduceMax', x, axes=axes, keepdims=keep)


def _arg_max(t: _Translation, node: Node) -> None:
    axis = int(t.value(node, 1))
    index = t.graph.add('ArgMax', _tensor(node.inputs[0]), axis=axis, keepdims=0)
    t.put(node, 'Cast', index, to=_DTYPES[node.integer('output_type', graphdef.INT64)])


def _top_k(t: _Translation, node: Node) -> None:
    count = t.integers([int(t.value(node, 1))])
    wide = f'{node.name}:1/wide'
    t.graph.add_many('TopK', [_tensor(node.inputs[0]), count], [f'{node.name}:0', wide])
    t.graph.add('Cast', wide, name=f'{node.name}:1', to=onnx_file.INT32)


def _gather_nd(t: _Translation, node: Node) -> None:
    t.put(node, 'GatherND', _tensor(node.inputs[0]), t.wide(_tensor(node.inputs[1])))


def _sparse_to_dense(t: _Translation, node: Node) -> None:
    """Of constants: places (n, rank) or (n,), shape, values, and what lies between."""
    places, shape, values, rest = (t.value(node, k) for k in range(4))
    dense = np.full(shape, rest)
    dense[tuple(np.atleast_2d(places.T))] = values
    t.hold(node, dense)


_HANDLERS: dict[str, Callable[[_Translation, Node], None]] = {
    'ArgMax': _arg_max,
    'BiasAdd': _bias,
    'Cast': _cast,
    'ConcatV2': _concat,
    'Conv2D': _convolution,
    'DepthwiseConv2dNative': _convolution,
    'ExpandDims': _expand_dims,
    'Fill': _fill,
    'FloorDiv': _floor_div,
    'GatherNd': _gather_nd,
    'LeakyRelu': _leaky_relu,
    'Max': _reduce,
    'MaxPool': _max_pool,
    'Pack': _pack,
    'Pad': _pad,
    'PadV2': _pad,
    'Range': _range,
    'Relu6': _relu6,
    'Reshape': _reshape,
    'ResizeBilinear': _resize,
    'Shape': _shape,
    'Size': _shape,
    'SparseToDense': _sparse_to_dense,
    'Split': _split,
    'SplitV': _split,
    'SquaredDifference': _squared_difference,
    'Squeeze': _squeeze,
    'StridedSlice': _strided_slice,
    'Sum': _reduce,
    'Tile': _tile,
    'TopKV2': _top_k,
    'Transpose': _transpose,
    'Unpack': _unpack,
}
