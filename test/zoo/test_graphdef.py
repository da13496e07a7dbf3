# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.metro_graph import MetroGraph, write_graph

from pose3d_ros.errors import ModelError
from pose3d_ros.zoo import graphdef as graphs
from pose3d_ros.zoo.graphdef import Node, constant, read_graph

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


def test_what_was_written_is_read(tmp_path: Path) -> None:
    attributes = {
        'dtype': graphs.of_type(graphs.INT32),
        'shape': graphs.of_shape([1, -1, 3]),
        'count': graphs.of_integer(-2),
        'flag': graphs.of_flag(True),
        'share': graphs.of_number(0.25),
        'kind': graphs.of_text(b'SAME'),
        'sizes': graphs.of_integers([1, -1, 300]),
        'none': graphs.of_integers([]),
    }
    large = np.arange(40_000, dtype=np.float32).reshape(200, 200)
    nodes = [
        Node('x', 'Placeholder', (), attributes),
        constant('large', large),
        constant('small', np.array([True, False])),
        constant('empty', np.zeros((0, 4), np.int64)),
        constant('words', ('left', 'right')),
        Node('y', 'Add', ('x', 'large:0'), {}),
    ]
    graphs.write_graph(tmp_path / 'a.pb', nodes)
    found = read_graph(tmp_path / 'a.pb', weights=True)
    assert list(found) == ['x', 'large', 'small', 'empty', 'words', 'y']
    assert found['y'].inputs == ('x', 'large:0')
    x = found['x']
    assert x.shape == (1, None, 3)
    assert (x.integer('dtype'), x.integer('count'), x.integer('flag')) == (graphs.INT32, -2, 1)
    assert (x.number('share'), x.text('kind')) == (0.25, 'SAME')
    assert x.integers('sizes') == (1, -1, 300)
    assert x.integers('none') == x.integers('absent') == ()
    assert (x.integer('absent', 7), x.text('absent', 'NHWC')) == (7, 'NHWC')
    np.testing.assert_array_equal(found['large'].value(), large)
    np.testing.assert_array_equal(found['small'].value(), [True, False])
    assert np.shape(found['empty'].value()) == (0, 4)
    assert found['words'].value() == [b'left', b'right']
    # Weights are left in the file unless they are wanted.
    assert 'value' not in read_graph(tmp_path / 'a.pb')['large'].attributes
