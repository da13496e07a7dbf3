# SPDX-License-Identifier: Apache-2.0
"""Files whose outputs have names that this package does not give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pose3d_ros.errors import ModelError
from pose3d_ros.networks.pose_hg_3d_outputs import MAPS, NUMBERS, find_outputs

onnx = pytest.importorskip('onnx', reason='writes the models that the tests run')
from onnx import TensorProto, helper

from ..estimators.test_pose_hg_3d import BODY, FRAME, estimator, maps_of, write_model


def model(folder: Path, **outputs: tuple) -> Path:
    """A file with outputs of those names and shapes; it is only read, never run."""
    made = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ['n', *shape[1:]])
        for name, shape in outputs.items()
    ]
    image = helper.make_tensor_value_info('image', TensorProto.FLOAT, ['n', 3, 256, 256])
    nodes, weights = [], []
    for name, shape in outputs.items():
        weights.append(
            helper.make_tensor(
                f'{name}_', TensorProto.FLOAT, [1, *shape[1:]], np.zeros(shape[1:]).ravel()
            )
        )
        mean = 'flat' if len(shape) == 2 else 'mean'
        nodes.append(helper.make_node('Add', [f'{name}_', mean], [name]))
    nodes = [
        helper.make_node('ReduceMean', ['image'], ['mean'], axes=[1, 2, 3], keepdims=1),
        helper.make_node('Flatten', ['mean'], ['flat']),
        *nodes,
    ]
    graph = helper.make_graph(nodes, 'drawn', [image], made, weights)
    path = folder / 'theirs.onnx'
    made_model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
    onnx.save(made_model, str(path))
    return path


@pytest.mark.parametrize(
    ('outputs', 'heatmaps', 'depth', 'shape'),
    [
        ({'heatmaps': MAPS, 'depth': MAPS}, 'heatmaps', 'depth', MAPS),
        ({'depth': MAPS, 'hm': MAPS}, 'hm', 'depth', MAPS),
        ({'output_1': MAPS, 'hm': MAPS}, 'hm', 'output_1', MAPS),
        ({'depth': MAPS, '437': MAPS}, '437', 'depth', MAPS),
        ({'437': MAPS, '438': NUMBERS}, '437', '438', NUMBERS),
        ({'hm': MAPS, 'first': MAPS, '438': NUMBERS}, 'hm', '438', NUMBERS),
    ],
)
def test_by_name_and_by_shape(tmp_path: Path, outputs, heatmaps, depth, shape) -> None:
    found = find_outputs(model(tmp_path, **outputs))
    assert (found['heatmaps'].name, found['heatmaps'].shape) == (heatmaps, MAPS)
    assert (found['depth'].name, found['depth'].shape) == (depth, shape)


@pytest.mark.parametrize('outputs', [{'a': MAPS, 'b': MAPS}, {'a': MAPS, 'b': MAPS, 'c': NUMBERS}])
def test_what_is_open_is_asked_for(tmp_path: Path, outputs) -> None:
    path = model(tmp_path, **outputs)
    with pytest.raises(ModelError, match=r'set pose_hg_3d\.outputs .* as in a,[bc]; it has a .*b'):
        find_outputs(path)
    found = find_outputs(path, 'b, a')
    assert (found['heatmaps'].name, found['depth'].name) == ('b', 'a')
    for wrong in ('b', 'b,b', 'b,x', 'c,a'):
        with pytest.raises(ModelError, match=f"outputs '{wrong}' are not heatmaps"):
            find_outputs(path, wrong)


@pytest.mark.parametrize(
    'outputs', [{'heatmaps': MAPS}, {'x': (None, 17, 64, 64), 'y': NUMBERS}, {'z': NUMBERS}]
)
def test_other_networks(tmp_path: Path, outputs) -> None:
    with pytest.raises(ModelError, match='is another network: heatmaps .* are needed; it has'):
        find_outputs(model(tmp_path, **outputs))


@pytest.mark.slow
@pytest.mark.parametrize(
    ('names', 'setting'), [(('first', 'depth'), ''), (('first', 'second'), 'first,second')]
)
def test_the_estimator_runs_them(tmp_path: Path, names, setting) -> None:
    depth = np.zeros((1, 16, 64, 64), np.float32)
    path = write_model(tmp_path / 'theirs.onnx', maps_of(BODY), depth, names)
    (poses,) = estimator(path, outputs=setting).estimate([FRAME])
    ours = write_model(tmp_path / 'ours.onnx', maps_of(BODY), depth)
    (expected,) = estimator(ours).estimate([FRAME])
    np.testing.assert_allclose(poses[0].xyz, expected[0].xyz)
