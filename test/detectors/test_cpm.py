# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from pose3d_ros.detectors.cpm import CpmKeypoints
from pose3d_ros.networks import cpm as parts
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.types import Frame, JointStatus

BLOBS = [(200, 180), (460, 260)]


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks whose maps are the brightness of their image: bright blobs are people."""
    onnx = pytest.importorskip('onnx')
    helper = onnx.helper
    folder = tmp_path_factory.mktemp('cpm')
    half = onnx.numpy_helper.from_array(np.array(0.5, np.float32), 'half')

    def image(name: str, *shape: object) -> object:
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)

    bright = [
        helper.make_node('ReduceMean', ['image'], ['grey'], axes=[1], keepdims=1),
        helper.make_node('Add', ['grey', 'half'], ['light']),
    ]
    pool = {'kernel_shape': [8, 8], 'strides': [8, 8]}
    side, cells = parts.SIZE, parts.SIZE // parts.STRIDE
    graphs = {
        'person': (
            [*bright, helper.make_node('AveragePool', ['light'], ['people'], **pool)],
            [image('image', 'n', 3, 'h', 'w')],
            [image('people', 'n', 1, 'rows', 'columns')],
        ),
        'pose': (
            [
                *bright,
                helper.make_node('Mul', ['light', 'centre_map'], ['near']),
                helper.make_node('AveragePool', ['near'], ['one'], **pool),
                helper.make_node('Concat', ['one'] * (parts.JOINTS + 1), ['maps'], axis=1),
            ],
            [image('image', 'n', 3, side, side), image('centre_map', 'n', 1, side, side)],
            [image('maps', 'n', parts.JOINTS + 1, cells, cells)],
        ),
    }
    for role, (nodes, inputs, outputs) in graphs.items():
        graph = helper.make_graph(nodes, role, inputs, outputs, [half])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
        onnx.save(model, folder / f'{role}.onnx')
    return folder


def frame() -> Frame:
    image = np.zeros((480, 640, 3), np.uint8)
    for centre in BLOBS:
        cv2.circle(image, centre, 40, (255, 255, 255), -1)
    return Frame(cv2.GaussianBlur(image, (0, 0), 20))


def test_people_where_the_maps_are_bright(folder: Path) -> None:
    source = CpmKeypoints(PipelineConfig(model=str(folder), precision='f32'))
    (people,) = source.estimate([frame()])
    assert sorted(source.timings()) == ['joints', 'people']
    assert source.info.precision == 'f32'
    centres = sorted(tuple(pose.pixels.mean(axis=0)) for pose in people)
    np.testing.assert_allclose(centres, BLOBS, atol=12)
    for pose in people:
        assert pose.skeleton.name == 'cpm_14'
        assert np.isnan(pose.xyz).all()
        assert (pose.status == JointStatus.MEASURED).all()
        assert (pose.confidence > 0.3).all()
        assert pose.score == pytest.approx(pose.confidence.mean())
    assert source.estimate([Frame(np.zeros((480, 640, 3), np.uint8))]) == [[]]


def test_as_published_pixels_are_whole(folder: Path) -> None:
    source = CpmKeypoints(PipelineConfig(model=str(folder), precision='f32', parity=True))
    for pose in source.estimate([frame()])[0]:
        np.testing.assert_array_equal(pose.pixels, np.rint(pose.pixels))


def test_as_many_people_as_are_wanted(folder: Path) -> None:
    source = CpmKeypoints(PipelineConfig(model=str(folder), max_people=1))
    assert len(source.estimate([frame()])[0]) == 1
    source.configure(PipelineConfig(max_people=2))
    assert len(source.estimate([frame()])[0]) == 2


def test_models() -> None:
    assert CpmKeypoints.models('') == ('cpm',)
    assert CpmKeypoints.models('mine') == ('mine',)
