# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pose3d_ros.zoo.onnx_file import FLOAT, OPSET, Graph

onnx = pytest.importorskip('onnx')


def test_what_the_onnx_package_reads(tmp_path: Path) -> None:
    graph = Graph()
    graph.constant(np.zeros(9, np.float32), 'unread')
    weights = graph.constant(np.array([[1.5, -2]], np.float32), 'weights')
    graph.add('Gemm', 'x', weights, alpha=0.5, transB=1, name='a')
    graph.add_many('Split', ['a'], ['y'], {'axis': 0})
    flag = graph.constant(np.array([True, False]))
    count = graph.constant(np.int64(-3))
    graph.add('Where', flag, count, count, name='z')
    graph.add('Resize', 'y', '', mode='linear', name='r')
    path = tmp_path / 'a.onnx'
    graph.write(path, [('x', FLOAT, [None, 2])], [('y', FLOAT, [None, 1])])
    model = onnx.load(path)
    assert model.opset_import[0].version == OPSET
    tensors = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    assert 'unread' not in tensors
    np.testing.assert_array_equal(tensors['weights'], [[1.5, -2]])
    assert tensors[flag].tolist() == [True, False]
    assert tensors[count] == -3
    gemm, split, _, resize = model.graph.node
    found = {a.name: onnx.helper.get_attribute_value(a) for a in gemm.attribute}
    assert found == {'alpha': 0.5, 'transB': 1}
    assert list(split.output) == ['y']
    assert list(resize.input) == ['y', '']
    assert onnx.helper.get_attribute_value(resize.attribute[0]) == b'linear'
    (x,) = model.graph.input
    shape = x.type.tensor_type.shape.dim
    assert (shape[0].dim_param, shape[1].dim_value) == ('x_0', 2)


def test_the_same_bytes_each_time(tmp_path: Path) -> None:
    written = []
    for name in ('a.onnx', 'b.onnx'):
        graph = Graph()
        graph.add('Abs', 'x', name='y')
        graph.write(tmp_path / name, [('x', FLOAT, [1])], [('y', FLOAT, [1])])
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]
