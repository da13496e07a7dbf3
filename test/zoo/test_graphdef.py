# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.metro_graph import MetroGraph, write_graph

from pose3d_ros.errors import ModelError
from pose3d_ros.zoo.graphdef import Node, read_graph

GRAPH = MetroGraph(('pelv', 'head'), ((0, 1),), (1, 0), 2, width=4)


@pytest.fixture(scope='module')
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('graph') / 'toy.pb'
    write_graph(path, GRAPH)
    return path


def test_names_shapes_and_constants(path: Path) -> None:
    nodes = read_graph(path)
    assert nodes['input'].op == 'Placeholder'
    assert nodes['input'].shape == (None, 256, 256, 3)
    assert nodes['joint_names'].value() == [b'pelv', b'head']
    edges = nodes['joint_edges'].value()
    assert edges.dtype == np.int64
    assert edges.tolist() == [[0, 1]]
    assert nodes['output'].op == 'GatherV2'
    assert nodes[nodes['output'].inputs[1]].value().tolist() == [1, 0]


def test_other_files_are_refused(path: Path, tmp_path: Path) -> None:
    bad = tmp_path / 'bad.pb'
    for content in (b'', b'<html>Not found</html>', bytes(1000), path.read_bytes()[:5000]):
        bad.write_bytes(content)
        with pytest.raises(ModelError, match='not a frozen TensorFlow graph'):
            read_graph(bad)
    with pytest.raises(ModelError, match='not a frozen TensorFlow graph'):
        read_graph(tmp_path / 'missing.pb')
    empty = Node('x', 'Const', (), {'value': b''})
    with pytest.raises(ValueError, match='packed constant'):
        empty.value()
