# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from shared import parity_files, stem_of
from support.metro_graph import MetroGraph, write_graph

from pose3d_ros.errors import ModelError
from pose3d_ros.estimators.metro import load_graph
from pose3d_ros.networks import metro as parts
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.zoo.graphdef import RANDOM_MARK, read_graph
from published import metro_cube

pytestmark = pytest.mark.slow

RANDOM = PipelineConfig(precision='f32', allow_random_weights=True)
IMAGES = np.random.default_rng(1).uniform(0, 1, (2, 256, 256, 3)).astype(np.float32)


def graph(joints: int, **settings) -> MetroGraph:
    known = parts.JOINTS[joints]
    return MetroGraph(known.names, known.edges, known.internal, known.inside, width=8, **settings)


def result(path: Path, what: MetroGraph) -> tuple[np.ndarray, np.ndarray]:
    """Root-relative exported joints by the graph, and as decoded here."""
    write_graph(path, what)
    network, channels_first = load_graph(path, RANDOM, 'f32')
    assert channels_first == what.first_release
    found = network({'image': np.moveaxis(IMAGES, 3, 1) if channels_first else IMAGES})
    joints = found['joints']
    if what.first_release:
        joints = (joints - joints[:, -1:])[:, list(what.gather)]
    unit, _ = parts.soft_argmax(parts.channels_last(found['volume']))
    own = metro_cube.to_millimetres(unit, what.stride)
    return joints, (own - own[:, -1:])[:, list(what.gather)]


@pytest.mark.parametrize('stride', [32, 16, 8, 4])
@pytest.mark.parametrize('joints', [17, 19])
def test_every_stride_and_joint_set(tmp_path: Path, stride: int, joints: int) -> None:
    found, own = result(tmp_path / 'a.pb', graph(joints, stride=stride))
    assert found.shape == (2, joints, 3)
    assert np.abs(found - own).max() < 0.05
    assert found.std() > 10


def test_both_memory_layouts_and_the_first_release_are_the_same_network(tmp_path: Path) -> None:
    plain, _ = result(tmp_path / 'a.pb', graph(19))
    for settings in ({'channels_first': True}, {'first_release': True}):
        found, own = result(tmp_path / 'b.pb', graph(19, **settings))
        assert np.abs(found - own).max() < 0.05
        assert np.abs(found - plain).max() < 0.05


@pytest.mark.parametrize('channels_first', [False, True])
def test_half_precision_inside(tmp_path: Path, channels_first: bool) -> None:
    plain, _ = result(tmp_path / 'a.pb', graph(19))
    found, _ = result(tmp_path / 'b.pb', graph(19, half=True, channels_first=channels_first))
    assert 0 < np.abs(found - plain).max() < 40
    assert np.abs(found - plain).mean() < 5


def test_the_deeper_backbone(tmp_path: Path) -> None:
    found, own = result(tmp_path / 'a.pb', graph(19, backbone=101))
    assert np.abs(found - own).max() < 0.05
    convolutions = Counter(n.op for n in read_graph(tmp_path / 'a.pb').values())['Conv2D']
    assert convolutions == 54 + 17 * 3


@pytest.mark.parametrize('path', parity_files('metro', 'mini_*.pb'), ids=stem_of)
def test_the_same_operations_as_recorded_graphs(path: Path, tmp_path: Path) -> None:
    joints = 17 if 'h36m17' in path.stem else 19
    stride = int(path.stem.rpartition('_st')[2])
    write_graph(tmp_path / 'a.pb', graph(joints, stride=stride))
    ours = Counter(node.op for node in read_graph(tmp_path / 'a.pb').values())
    theirs = Counter(node.op for node in read_graph(path).values())
    for op in ('Conv2D', 'BiasAdd', 'FusedBatchNormV3', 'Relu', 'Pad', 'Sum', 'Max', 'Exp'):
        assert ours[op] == theirs[op], op


def test_random_weights_are_marked_and_refused(tmp_path: Path) -> None:
    path = tmp_path / 'a.pb'
    write_graph(path, graph(17))
    assert read_graph(path)[RANDOM_MARK].value() == [b'random']
    with pytest.raises(ModelError, match='random weights'):
        load_graph(path, PipelineConfig(precision='f32'), 'f32')
