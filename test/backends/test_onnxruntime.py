# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime beside OpenVINO on the same small network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
from onnx import TensorProto, helper, numpy_helper

from pose3d_ros.backends import NetworkSpec, Port, RuntimeOptions, load_network
from pose3d_ros.backends.onnxruntime import devices
from pose3d_ros.errors import BackendError, ModelError

RNG = np.random.default_rng(0)
CPU = RuntimeOptions(device='cpu')


def save(path: Path, batch: int | str) -> NetworkSpec:
    """y = x W, z = relu(x), with a free or a fixed batch."""
    weights = numpy_helper.from_array(RNG.normal(size=(6, 4)).astype(np.float32), 'W')
    graph = helper.make_graph(
        [helper.make_node('MatMul', ['x', 'W'], ['y']), helper.make_node('Relu', ['x'], ['z'])],
        'toy',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, [batch, 6])],
        [
            helper.make_tensor_value_info('z', TensorProto.FLOAT, [batch, 6]),
            helper.make_tensor_value_info('y', TensorProto.FLOAT, [batch, 4]),
        ],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
    onnx.save(model, path)
    return NetworkSpec(path, {'in': Port((None, 6))}, {'out': Port((None, 4))})


@pytest.fixture(params=['N', 1])
def spec(tmp_path: Path, request: pytest.FixtureRequest) -> NetworkSpec:
    return save(tmp_path / 'toy.onnx', request.param)


def test_agrees_with_openvino(spec: NetworkSpec) -> None:
    pytest.importorskip('openvino')
    x = RNG.normal(size=(5, 6)).astype(np.float32)
    ours = load_network(spec, CPU, 'onnxruntime')
    other = load_network(spec, RuntimeOptions(), 'openvino')
    assert (ours.backend, other.backend) == ('onnxruntime', 'openvino')
    for batch in (1, 5):
        a, b = ours({'in': x[:batch]}), other({'in': x[:batch]})
        assert set(a) == set(b) == {'out'}
        np.testing.assert_allclose(a['out'], b['out'], rtol=1e-4, atol=1e-5)


def test_submit(spec: NetworkSpec) -> None:
    network = load_network(spec, CPU, 'onnxruntime')
    x = RNG.normal(size=(1, 6)).astype(np.float32)
    futures = [network.submit({'in': x * k}) for k in range(6)]
    for k, future in enumerate(futures):
        np.testing.assert_allclose(future.result(10)['out'], network({'in': x * k})['out'])


def test_by_name(spec: NetworkSpec) -> None:
    named = replace(spec, outputs={'out': Port((None, None), 'z')})
    found = load_network(named, CPU, 'onnxruntime')({'in': -np.ones((1, 6), np.float32)})
    assert found['out'].tolist() == [[0.0] * 6]
    with pytest.raises(ModelError, match='another network'):
        load_network(replace(spec, outputs={'out': Port((None, None))}), CPU, 'onnxruntime')


def test_unknown_device_lists_the_known(spec: NetworkSpec) -> None:
    missing = next(name for name in ('rocm', 'dml', 'cuda') if name not in devices())
    with pytest.raises(BackendError, match='available: .*cpu'):
        load_network(spec, RuntimeOptions(device=missing), 'onnxruntime')
    fallback = RuntimeOptions(device=missing, device_fallback=True)
    assert load_network(spec, fallback, 'onnxruntime').device == 'cpu'


def test_precision(spec: NetworkSpec) -> None:
    with pytest.raises(BackendError, match='bf16'):
        load_network(spec, replace(CPU, precision='bf16'), 'onnxruntime')
    assert load_network(spec, replace(CPU, precision='mixed'), 'onnxruntime').precision == 'f32'


def test_damaged_file(spec: NetworkSpec, tmp_path: Path) -> None:
    path = tmp_path / 'half.onnx'
    path.write_bytes(spec.path.read_bytes()[:60])
    with pytest.raises(ModelError, match=r'half\.onnx'):
        load_network(replace(spec, path=path), CPU, 'onnxruntime')


def test_wrong_input_is_an_error_of_the_backend(spec: NetworkSpec) -> None:
    network = load_network(spec, CPU, 'onnxruntime')
    with pytest.raises(BackendError, match=r'toy\.onnx'):
        network({'in': np.zeros((1, 9), np.float32)})
