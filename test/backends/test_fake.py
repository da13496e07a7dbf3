# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pose3d_ros.backends import NetworkSpec, Port, RuntimeOptions, available, fake, load_network
from pose3d_ros.errors import BackendError, ConfigError, ModelError
from pose3d_ros.settings.pipeline import PipelineConfig

SPEC = {'inputs': {'x': Port((None, 2))}, 'outputs': {'y': Port((None, 1))}}
ONES = {'x': np.ones((3, 2), np.float32)}


def total(inputs):
    return {'y': inputs['x'].sum(axis=1, keepdims=True)}


def test_a_function_stands_in_for_a_file(tmp_path: Path) -> None:
    path = tmp_path / 'sum.onnx'
    with fake.serving(path, total):
        network = load_network(NetworkSpec(path, **SPEC), RuntimeOptions(precision='bf16'))
    assert network(ONES)['y'].tolist() == [[2], [2], [2]]
    assert network.submit(ONES).result()['y'].tolist() == [[2], [2], [2]]
    assert (network.backend, network.device, network.precision) == ('fake', 'CPU', 'bf16')
    with pytest.raises(ModelError, match='does not exist'):
        load_network(NetworkSpec(path, **SPEC), RuntimeOptions())


def test_blocks_within_blocks(tmp_path: Path) -> None:
    path, spec = tmp_path / 'sum.onnx', NetworkSpec(tmp_path / 'sum.onnx', **SPEC)
    with fake.serving(path, total):
        with fake.serving(path, lambda inputs: {'y': np.zeros((3, 1))}):
            inner = load_network(spec, RuntimeOptions())
        outer = load_network(spec, RuntimeOptions())
    assert inner(ONES)['y'].max() == 0
    assert outer(ONES)['y'].max() == 2


def test_arrays_are_checked_as_a_runtime_would(tmp_path: Path) -> None:
    path = tmp_path / 'sum.onnx'
    with fake.serving(path, lambda inputs: {'z': inputs['x']}):
        network = load_network(NetworkSpec(path, **SPEC), RuntimeOptions())
    with pytest.raises(BackendError, match=r'input x is \[3, 5\], not \[None, 2\]'):
        network({'x': np.ones((3, 5))})
    with pytest.raises(BackendError, match='output y is missing'):
        network.submit(ONES).result()


def test_nobody_chooses_it_unawares() -> None:
    assert 'fake' not in available()
    with pytest.raises(ConfigError, match='backend'):
        PipelineConfig(backend='fake')
