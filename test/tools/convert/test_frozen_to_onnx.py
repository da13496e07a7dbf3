# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from support.metro_graph import MetroGraph, write_graph

from pose3d_ros.errors import ModelError
from pose3d_ros.estimators.metro import load_graph
from pose3d_ros.networks import metro as parts
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.tools.convert.frozen_to_onnx import convert

HERE = find_spec('tf2onnx') is not None and find_spec('tensorflow') is not None
JOINTS = parts.JOINTS[19]


def graph(path: Path, **settings) -> Path:
    write_graph(
        path,
        MetroGraph(JOINTS.names, JOINTS.edges, JOINTS.internal, JOINTS.inside, width=4, **settings),
    )
    return path


@pytest.mark.skipif(not HERE, reason='tf2onnx and tensorflow are not installed')
@pytest.mark.parametrize('settings', [{}, {'stride': 16}, {'stride': 4}], ids=str)
def test_the_onnx_file_is_the_graph(tmp_path: Path, settings) -> None:
    source = graph(tmp_path / 'a.pb', **settings)
    assert convert(source, tmp_path / 'a.onnx') < 0.1
    config = PipelineConfig(precision='f32', allow_random_weights=True)
    images = np.random.default_rng(2).uniform(0, 1, (3, 256, 256, 3)).astype(np.float32)
    expected = load_graph(source, config, 'f32')[0]({'image': images})
    onnx = config.replace(backend='onnxruntime', device='cpu')
    found = load_graph(tmp_path / 'a.onnx', onnx, 'f32')[0]({'image': images})
    assert np.abs(found['joints'] - expected['joints']).max() < 0.1
    volumes = [parts.channels_last(tensors['volume']) for tensors in (found, expected)]
    assert np.abs(volumes[0] - volumes[1]).max() < 1e-2
    with pytest.raises(ModelError, match='random'):
        load_graph(tmp_path / 'a.onnx', onnx.replace(allow_random_weights=False), 'f32')


@pytest.mark.skipif(HERE, reason='tf2onnx and tensorflow are installed')
def test_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match='pose3d_ros.tensorflow'):
        convert(graph(tmp_path / 'a.pb'), tmp_path / 'a.onnx')
