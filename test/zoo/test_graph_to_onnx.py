# SPDX-License-Identifier: Apache-2.0
"""Each operation by itself, in ONNX Runtime, against NumPy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pose3d_ros.errors import ModelError
from pose3d_ros.zoo import graphdef as graphs
from pose3d_ros.zoo.graph_to_onnx import convert
from pose3d_ros.zoo.graphdef import Node, constant

onnx = pytest.importorskip('onnx')
ort = pytest.importorskip('onnxruntime')
RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 3, 4)).astype(np.float32)
IMAGE = RNG.normal(size=(1, 7, 9, 4)).astype(np.float32)


def run(
    folder: Path, x: np.ndarray, nodes: Sequence[Node], result: str = 'y', rank: int | None = None
) -> np.ndarray:
    """What the last node makes of the input `x`."""
    code = graphs.CODES[x.dtype]
    attributes = {'dtype': graphs.of_type(code), 'shape': graphs.of_shape([-1] * x.ndim)}
    graph = {'x': Node('x', 'Placeholder', (), attributes)} | {node.name: node for node in nodes}
    # ONNX results are floats here.
    cast = {'SrcT': graphs.of_type(graphs.FLOAT), 'DstT': graphs.of_type(graphs.FLOAT)}
    graph['out'] = Node('out', 'Cast', (result,), cast)
    path = folder / 'a.onnx'
    convert(graph, path, {'out': [None] * (x.ndim if rank is None else rank)})
    onnx.checker.check_model(onnx.load(path))
    session = ort.InferenceSession(path, providers=['CPUExecutionProvider'])
    (found,) = session.run(['out:0'], {'x:0': x})
    return np.asarray(found)


def node(op: str, *inputs: str, **attributes: bytes) -> Node:
    return Node('y', op, inputs, attributes)


@pytest.mark.parametrize(
    ('op', 'function'),
    [
        ('Abs', np.abs),
        ('Exp', np.exp),
        ('Identity', lambda x: x),
        ('Reciprocal', lambda x: 1 / x),
        ('Relu', lambda x: np.maximum(x, 0)),
        ('Relu6', lambda x: np.clip(x, 0, 6)),
        ('Sigmoid', lambda x: 1 / (1 + np.exp(-x))),
    ],
)
def test_of_one(tmp_path: Path, op: str, function: Any) -> None:
    found = run(tmp_path, X * 5, [node(op, 'x')])
    np.testing.assert_allclose(found, function(X * 5), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ('op', 'function'),
    [
        ('Add', np.add),
        ('AddN', np.add),
        ('AddV2', np.add),
        ('BiasAdd', np.add),
        ('Maximum', np.maximum),
        ('Minimum', np.minimum),
        ('Mul', np.multiply),
        ('RealDiv', np.divide),
        ('SquaredDifference', lambda a, b: (a - b) ** 2),
        ('Sub', np.subtract),
    ],
)
def test_of_two(tmp_path: Path, op: str, function: Any) -> None:
    other = np.array([0.5, -2, 3, -0.1], np.float32)
    found = run(tmp_path, X, [constant('b', other), node(op, 'x', 'b')])
    np.testing.assert_allclose(found, function(X, other), rtol=1e-6)


@pytest.mark.parametrize('op', ['Equal', 'Greater', 'GreaterEqual', 'Less'])
def test_comparisons_choose(tmp_path: Path, op: str) -> None:
    compare = {
        'Equal': np.equal,
        'Greater': np.greater,
        'GreaterEqual': np.greater_equal,
        'Less': np.less,
    }[op]
    x = np.arange(6, dtype=np.int32).reshape(2, 3)
    limit = np.full((2, 3), 3, np.int32)
    nodes = [
        constant('limit', limit),
        constant('yes', np.full((2, 3), 10, np.int32)),
        Node('c', op, ('x', 'limit'), {}),
        node('Select', 'c', 'yes', 'x'),
    ]
    assert run(tmp_path, x, nodes).tolist() == np.where(compare(x, limit), 10, x).tolist()


def test_and_of_comparisons(tmp_path: Path) -> None:
    nodes = [
        constant('low', np.float32(-0.5)),
        constant('high', np.float32(0.5)),
        Node('a', 'Greater', ('x', 'low'), {}),
        Node('b', 'Less', ('x', 'high'), {}),
        node('LogicalAnd', 'a', 'b'),
    ]
    assert run(tmp_path, X, nodes).tolist() == ((X > -0.5) & (X < 0.5)).tolist()


@pytest.mark.parametrize('kind', [np.int32, np.float32])
def test_division_rounds_down(tmp_path: Path, kind: Any) -> None:
    x = np.array([-7, -6, -1, 0, 1, 6, 7], kind)
    for divisor in (3, -3):
        attributes = {'T': graphs.of_type(graphs.CODES[x.dtype])}
        nodes = [constant('d', kind(divisor)), node('FloorDiv', 'x', 'd', **attributes)]
        assert run(tmp_path, x, nodes).tolist() == (x // kind(divisor)).tolist()


SLICES = [
    # begin, end, step, masks, the same in NumPy
    ((0, 1), (1, 3), (1, 1), {}, np.s_[0:1, 1:3]),
    ((0, 1), (0, 3), (1, 2), {'begin': 1, 'end': 1}, np.s_[:, 1:3:2]),
    ((-1, 0), (0, 0), (1, 1), {'shrink_axis': 1, 'end': 2}, np.s_[-1, :]),
    ((1, 2), (2, 3), (1, 1), {'shrink_axis': 3}, np.s_[1, 2]),
    ((0, 0, 1), (0, 0, 4), (1, 1, 1), {'begin': 1, 'end': 1, 'new_axis': 2}, np.s_[:, None, 1:4]),
    ((0, 0, 0), (0, 0, 0), (1, 1, 1), {'begin': 3, 'end': 3, 'new_axis': 4}, np.s_[:, :, None]),
    ((0, 0, 0), (0, 0, 0), (1, 1, 1), {'begin': 6, 'end': 6, 'new_axis': 1}, np.s_[None, :, :]),
    ((0, 0, 0), (0, 0, 0), (1, 1, 1), {'end': 3, 'begin': 3, 'shrink_axis': 4}, np.s_[:, :, 0]),
    ((0, 3), (0, 0), (1, -1), {'begin': 1, 'end': 1}, np.s_[:, 3:0:-1]),
    ((0, 0), (0, 0), (1, -1), {'begin': 3, 'end': 3}, np.s_[:, ::-1]),
    ((1,), (-1,), (1,), {}, np.s_[1:-1]),
    (
        (0, 0, 0, 1),
        (0, 0, 0, 3),
        (1, 1, 1, 1),
        {'begin': 1, 'end': 1, 'new_axis': 4, 'shrink_axis': 2},
        np.s_[:, 0, None, 1:3],
    ),
]


@pytest.mark.parametrize(('begin', 'end', 'step', 'masks', 'same'), SLICES)
def test_strided_slice(
    tmp_path: Path, begin: Any, end: Any, step: Any, masks: Mapping[str, int], same: Any
) -> None:
    x = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    nodes = [constant(n, np.array(v, np.int32)) for n, v in zip('bes', (begin, end, step))]
    attributes = {f'{key}_mask': graphs.of_integer(value) for key, value in masks.items()}
    wanted = x[same]
    found = run(
        tmp_path, x, [*nodes, node('StridedSlice', 'x', *'bes', **attributes)], rank=wanted.ndim
    )
    np.testing.assert_array_equal(found, wanted)


def test_shapes_of_open_axes(tmp_path: Path) -> None:
    """Half of the size, computed from the shape: the way of images of any size."""
    nodes = [
        Node('shape', 'Shape', ('x',), {}),
        constant('b', np.array([1], np.int32)),
        constant('e', np.array([2], np.int32)),
        constant('s', np.array([1], np.int32)),
        Node('rows', 'StridedSlice', ('shape', *'bes'), {'shrink_axis_mask': graphs.of_integer(1)}),
        constant('two', np.int32(2)),
        Node('half', 'FloorDiv', ('rows', 'two'), {'T': graphs.of_type(graphs.INT32)}),
        constant('rest', np.int32(-1)),
        Node('sizes', 'Pack', ('half', 'two', 'rest'), {'axis': graphs.of_integer(0)}),
        node('Reshape', 'x', 'sizes'),
    ]
    x = np.arange(2 * 6 * 5, dtype=np.float32).reshape(2, 6, 5)
    np.testing.assert_array_equal(run(tmp_path, x, nodes), x.reshape(3, 2, 10))


def test_count_range_and_fill(tmp_path: Path) -> None:
    nodes = [
        Node('n', 'Size', ('x',), {'out_type': graphs.of_type(graphs.INT32)}),
        constant('zero', np.int32(0)),
        constant('one', np.int32(1)),
        constant('shape', np.array([3, 1], np.int32)),
        Node('line', 'Range', ('zero', 'n', 'one'), {}),
        Node('column', 'Fill', ('shape', 'one'), {}),
        node('AddV2', 'line', 'column'),
    ]
    wanted = np.tile(np.arange(1, 25), (3, 1))
    np.testing.assert_array_equal(run(tmp_path, X, nodes, rank=2), wanted)


@pytest.mark.parametrize('axis', [0, 1, -1])
def test_pieces_and_back(tmp_path: Path, axis: int) -> None:
    """Unpack, Pack, ConcatV2, Split and SplitV."""
    count = X.shape[axis]
    along = graphs.of_integer(axis)
    parts = tuple(f'u:{k}' if k else 'u' for k in range(count))
    unpacked = Node('u', 'Unpack', ('x',), {'axis': along, 'num': graphs.of_integer(count)})
    packed = node('Pack', *reversed(parts), axis=along)
    np.testing.assert_array_equal(run(tmp_path, X, [unpacked, packed]), np.flip(X, axis))
    number = constant('axis', np.int32(axis))
    split = Node('u', 'Split', ('axis', 'x'), {'num_split': graphs.of_integer(count)})
    joined = node('ConcatV2', *reversed(parts), 'axis')
    np.testing.assert_array_equal(run(tmp_path, X, [number, split, joined]), np.flip(X, axis))
    sizes = constant('sizes', np.array([1, count - 1], np.int32))
    split = Node('u', 'SplitV', ('x', 'sizes', 'axis'), {'num_split': graphs.of_integer(2)})
    joined = node('ConcatV2', 'u:1', 'u', 'axis')
    found = run(tmp_path, X, [number, sizes, split, joined])
    np.testing.assert_array_equal(found, np.roll(X, -1, axis))


def test_axes_and_repeats(tmp_path: Path) -> None:
    nodes = [
        constant('perm', np.array([2, 0, 1], np.int32)),
        Node('t', 'Transpose', ('x', 'perm'), {}),
        constant('one', np.int32(1)),
        Node('e', 'ExpandDims', ('t', 'one'), {}),
        constant('times', np.array([1, 1, 2, 1], np.int32)),
        Node('r', 'Tile', ('e', 'times'), {}),
        node('Squeeze', 'r', squeeze_dims=graphs.of_integers([1])),
    ]
    wanted = np.tile(X.transpose(2, 0, 1), (1, 2, 1))
    np.testing.assert_array_equal(run(tmp_path, X, nodes), wanted)
    squeezed = run(
        tmp_path, X[:1, :1], [node('Squeeze', 'x', squeeze_dims=graphs.of_integers([]))], rank=1
    )
    np.testing.assert_array_equal(squeezed, X[0, 0])


@pytest.mark.parametrize('keep', [False, True])
def test_reductions(tmp_path: Path, keep: bool) -> None:
    rank = 3 if keep else 1
    axes = constant('axes', np.array([0, 2], np.int32))
    for op, function in (('Sum', np.sum), ('Max', np.max)):
        found = run(
            tmp_path, X, [axes, node(op, 'x', 'axes', keep_dims=graphs.of_flag(keep))], rank=rank
        )
        wanted = function(X, axis=(0, 2), keepdims=keep)
        np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_best_ones(tmp_path: Path) -> None:
    axis = constant('axis', np.int32(1))
    kind = graphs.of_type(graphs.INT32)
    found = run(tmp_path, X, [axis, node('ArgMax', 'x', 'axis', output_type=kind)], rank=2)
    np.testing.assert_array_equal(found, X.argmax(axis=1))
    count = constant('k', np.int32(3))
    top = [count, Node('t', 'TopKV2', ('x', 'k'), {})]
    order = np.argsort(-X, axis=-1)[..., :3]
    np.testing.assert_array_equal(run(tmp_path, X, [*top, node('Identity', 't:1')]), order)
    wanted = np.take_along_axis(X, order, axis=-1)
    np.testing.assert_array_equal(run(tmp_path, X, [*top, node('Identity', 't')]), wanted)


def test_places(tmp_path: Path) -> None:
    places = np.array([[0, 2, 3], [1, 0, 1]], np.int32)
    nodes = [constant('p', places), node('GatherNd', 'x', 'p')]
    np.testing.assert_array_equal(run(tmp_path, X, nodes, rank=1), X[tuple(places.T)])
    nodes = [
        constant('p', np.array([[0], [2]], np.int64)),
        constant('n', np.array([4], np.int64)),
        constant('v', np.array([5, 7], np.int32)),
        constant('rest', np.int32(-1)),
        node('SparseToDense', 'p', 'n', 'v', 'rest'),
    ]
    assert run(tmp_path, X, nodes, rank=1).tolist() == [5, -1, 7, -1]


def test_padding(tmp_path: Path) -> None:
    rows = np.array([[0, 1], [2, 0], [1, 1]], np.int32)
    nodes = [constant('p', rows), node('Pad', 'x', 'p')]
    np.testing.assert_array_equal(run(tmp_path, X, nodes), np.pad(X, rows))
    nodes = [constant('p', rows), constant('v', np.float32(-9)), node('PadV2', 'x', 'p', 'v')]
    wanted = np.pad(X, rows, constant_values=-9)
    np.testing.assert_array_equal(run(tmp_path, X, nodes), wanted)


def windows(image: np.ndarray, side: int, stride: int, same: bool, fill: float) -> np.ndarray:
    """(N, rows, columns, side, side, C) as TensorFlow places them."""
    if same:
        pads = [(0, 0)]
        for size in image.shape[1:3]:
            total = max((-(-size // stride) - 1) * stride + side - size, 0)
            pads.append((total // 2, total - total // 2))
        image = np.pad(image, [*pads, (0, 0)], constant_values=fill)
    rows = range(0, image.shape[1] - side + 1, stride)
    columns = range(0, image.shape[2] - side + 1, stride)
    cut = [[image[:, r : r + side, c : c + side] for c in columns] for r in rows]
    return np.array(cut).transpose(2, 0, 1, 3, 4, 5)


@pytest.mark.parametrize('same', [False, True])
@pytest.mark.parametrize('stride', [1, 2])
@pytest.mark.parametrize('side', [1, 3])
def test_convolutions(tmp_path: Path, same: bool, stride: int, side: int) -> None:
    attributes = {
        'padding': graphs.of_text(b'SAME' if same else b'VALID'),
        'strides': graphs.of_integers([1, stride, stride, 1]),
        'dilations': graphs.of_integers([1, 1, 1, 1]),
        'data_format': graphs.of_text(b'NHWC'),
    }
    parts = windows(IMAGE, side, stride, same, 0)
    kernel = RNG.normal(size=(side, side, 4, 5)).astype(np.float32)
    nodes = [constant('k', kernel), node('Conv2D', 'x', 'k', **attributes)]
    wanted = np.einsum('nrcijk,ijkl->nrcl', parts, kernel)
    np.testing.assert_allclose(run(tmp_path, IMAGE, nodes), wanted, atol=1e-4)
    kernel = RNG.normal(size=(side, side, 4, 2)).astype(np.float32)
    nodes = [constant('k', kernel), node('DepthwiseConv2dNative', 'x', 'k', **attributes)]
    wanted = np.einsum('nrcijk,ijkl->nrckl', parts, kernel).reshape(*parts.shape[:3], 8)
    np.testing.assert_allclose(run(tmp_path, IMAGE, nodes), wanted, atol=1e-4)
    attributes['ksize'] = graphs.of_integers([1, side, side, 1])
    found = run(tmp_path, IMAGE, [node('MaxPool', 'x', **attributes)])
    parts = windows(IMAGE, side, stride, same, -np.inf)
    np.testing.assert_array_equal(found, parts.max(axis=(3, 4)))


def test_leaky_relu(tmp_path: Path) -> None:
    found = run(tmp_path, X, [node('LeakyRelu', 'x', alpha=graphs.of_number(0.1))])
    np.testing.assert_allclose(found, np.where(X > 0, X, X * 0.1), rtol=1e-6)


@pytest.mark.parametrize('mode', ['half_pixel_centers', 'align_corners', ''])
def test_resize(tmp_path: Path, mode: str) -> None:
    size = (14, 5)
    attributes = {mode: graphs.of_flag(True)} if mode else {}
    nodes = [
        constant('size', np.array(size, np.int32)),
        node('ResizeBilinear', 'x', 'size', **attributes),
    ]
    line = IMAGE[0]
    for axis, (old, new) in enumerate(zip(IMAGE.shape[1:3], size)):
        place = np.arange(new) * (old / new)
        if mode == 'half_pixel_centers':
            place = (np.arange(new) + 0.5) * (old / new) - 0.5
        elif mode == 'align_corners':
            place = np.arange(new) * ((old - 1) / (new - 1))
        place = np.clip(place, 0, old - 1)
        low = np.minimum(place.astype(int), old - 2)
        share = (place - low).reshape(-1, 1, 1) if axis == 0 else (place - low)[:, None]
        line = np.take(line, low, axis) * (1 - share) + np.take(line, low + 1, axis) * share
    np.testing.assert_allclose(run(tmp_path, IMAGE, nodes)[0], line, atol=1e-5)


@pytest.mark.parametrize(
    ('made', 'message'),
    [
        (node('Erf', 'x'), 'operation Erf .y. is not known'),
        (node('Transpose', 'x', 'x'), 'y: input 1 of Transpose must be a constant'),
        (node('Relu', 'nowhere'), 'nowhere'),
        (node('Relu', 'y'), 'form a loop'),
        (node('MaxPool', 'x', data_format=graphs.of_text(b'NCHW')), 'only NHWC'),
        (node('MaxPool', 'x', padding=graphs.of_text(b'EXPLICIT')), 'padding EXPLICIT'),
    ],
)
def test_what_is_not_known(tmp_path: Path, made: Node, message: str) -> None:
    with pytest.raises(ModelError, match=f'a.onnx cannot be made: .*{message}'):
        run(tmp_path, X, [made])
    assert not (tmp_path / 'a.onnx').exists()


def test_order_does_not_matter(tmp_path: Path) -> None:
    nodes = [node('Abs', 'b'), Node('b', 'Sub', ('x', 'c'), {}), constant('c', np.float32(1))]
    np.testing.assert_allclose(run(tmp_path, X, nodes), np.abs(X - 1), rtol=1e-6)
