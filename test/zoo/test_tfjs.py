# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_tfjs

from pose3d_ros.backends import NetworkSpec, Port, RuntimeOptions, load_network
from pose3d_ros.errors import ModelError
from pose3d_ros.zoo import tfjs
from pose3d_ros.zoo.graphdef import read_graph

IMAGE = np.random.default_rng(2).integers(0, 256, (1, 5, 7, 3), dtype=np.int32)


@pytest.fixture
def model(tmp_path: Path) -> tuple[Path, list[Path]]:
    paths = [tmp_path / name for name in ('model.json', 'a.bin', 'b.bin')]
    for path, content in zip(paths, toy_tfjs.files()):
        path.write_bytes(content)
    return paths[0], paths[1:]


@pytest.mark.parametrize(
    ('backend', 'device', 'suffix'), [('openvino', 'CPU', 'pb'), ('onnxruntime', 'cpu', 'onnx')]
)
def test_both_files_compute_what_the_model_says(
    tmp_path: Path, model: tuple[Path, list[Path]], backend: str, device: str, suffix: str
) -> None:
    pytest.importorskip(backend)
    tfjs.convert(*model, tmp_path / 'toy.pb', tmp_path / 'toy.onnx')
    spec = NetworkSpec(
        tmp_path / f'toy.{suffix}',
        {'image': Port((1, None, None, 3), 'input:0')},
        {'found': Port((1, None, 4), 'result:0')},
        batched=False,
    )
    network = load_network(spec, RuntimeOptions(device=device), backend)
    wanted = toy_tfjs.result(IMAGE)
    assert wanted.std() > 0.1
    np.testing.assert_allclose(network({'image': IMAGE})['found'], wanted, rtol=1e-4, atol=1e-4)


def test_fused_operations_are_split(tmp_path: Path, model: tuple[Path, list[Path]]) -> None:
    tfjs.convert(*model, tmp_path / 'toy.pb', tmp_path / 'toy.onnx')
    nodes = read_graph(tmp_path / 'toy.pb')
    assert nodes['input'].shape == (1, None, None, 3)
    assert nodes['a'].op == 'Relu6'
    assert nodes[nodes['a'].inputs[0]].op == 'BiasAdd'
    assert [n.op for n in nodes.values() if 'Conv' in n.op] == ['Conv2D', 'DepthwiseConv2dNative']
    assert 'fused_ops' not in nodes['a/convolution'].attributes
    value = nodes['shape'].value()
    assert isinstance(value, np.ndarray)
    assert value.dtype == np.int64
    assert value.tolist() == [1, -1, 4]


def test_the_same_bytes_each_time(tmp_path: Path, model: tuple[Path, list[Path]]) -> None:
    for name in ('a', 'b'):
        tfjs.convert(*model, tmp_path / f'{name}.pb', tmp_path / f'{name}.onnx')
    for suffix in ('pb', 'onnx'):
        first, second = ((tmp_path / f'{name}.{suffix}').read_bytes() for name in ('a', 'b'))
        assert first == second


def fused(content: dict[str, Any]) -> Any:
    (node,) = (n for n in content['modelTopology']['node'] if n['name'] == 'a')
    return node['attr']['fused_ops']['list']


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda c: c.pop('modelTopology'), "KeyError 'modelTopology'"),
        (lambda c: c.update(weightsManifest=3), 'TypeError'),
        (lambda c: c['weightsManifest'][1]['weights'].pop(), 'bytes, the manifest'),
        (lambda c: c['weightsManifest'][1]['weights'][0].update(shape=[9, 9, 9]), 'ValueError'),
        (lambda c: c['weightsManifest'][0]['weights'][0].update(name='x'), "KeyError 'kernel'"),
        (lambda c: fused(c)['s'].append('RWx1'), 'a: unknown fused operations BiasAdd, Relu6, Elu'),
        (lambda c: c['modelTopology']['node'][6]['attr'].update(a={'z': 1}), 'unknown attribute z'),
        (lambda c: c['modelTopology']['node'].append(3), 'TypeError'),
        (lambda c: c.pop('signature'), "KeyError 'signature'"),
    ],
)
def test_what_is_wrong(
    tmp_path: Path,
    model: tuple[Path, list[Path]],
    change: Callable[[dict[str, Any]], object],
    message: str,
) -> None:
    content = copy.deepcopy(toy_tfjs.model())
    change(content)
    model[0].write_text(json.dumps(content))
    with pytest.raises(ModelError, match=message) as caught:
        tfjs.convert(*model, tmp_path / 'toy.pb', tmp_path / 'toy.onnx')
    assert 'model.json cannot be read' in str(caught.value)
    assert not (tmp_path / 'toy.pb').exists()


def test_other_files(tmp_path: Path, model: tuple[Path, list[Path]]) -> None:
    model[0].write_bytes(b'\xff\x00 no JSON')
    with pytest.raises(ModelError, match='cannot be read as a TensorFlow.js graph model'):
        tfjs.convert(*model, tmp_path / 'toy.pb', tmp_path / 'toy.onnx')
