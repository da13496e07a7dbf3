# SPDX-License-Identifier: Apache-2.0
"""The 2D stage held against what rtmlib and MMPose compute."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from shared import PARITY, Recorded

from pose3d_ros.detectors.rtmpose import OnnxPeople, RTMPose
from pose3d_ros.errors import ModelError
from pose3d_ros.networks import topdown
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.types import Frame
from published import topdown_variants

FOLDER = PARITY / 'lifters' / 'topdown'
INDEX = FOLDER / 'index_topdown.json'
CASES = json.loads(INDEX.read_text(encoding='utf-8'))['cases'] if INDEX.is_file() else []


def cases(key: str) -> list[Any]:
    return [pytest.param(c, id=c['id']) for c in CASES if key in c or c['id'] == key]


def data_of(case: dict[str, Any]) -> Any:
    return np.load(FOLDER / f'{case["id"]}.npz')


@pytest.mark.slow
@pytest.mark.parametrize('case', cases('detector'))
def test_pipeline_as_rtmlib(case: dict[str, Any]) -> None:
    data = data_of(case)
    frame = Frame(data['image_bgr'])
    config = PipelineConfig(precision='f32', parity=True, threads=1)
    detector = OnnxPeople(config.replace(model=str(FOLDER / case['detector'])))
    found = detector.detect([frame])[0]
    corners = np.concatenate([found[:, :2], found[:, :2] + found[:, 2:4]], axis=1)
    expected = data['det_boxes'][:, :4]
    assert len(corners) == len(expected)
    for box in expected:
        assert np.abs(corners - box).max(axis=1).min() < 1e-3
    pose = RTMPose(config.replace(model=str(FOLDER / case['pose'])))
    boxes = data['pose_boxes']
    given = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2], np.ones((len(boxes), 1))], 1)
    people = pose.keypoints(frame, given)
    seen = np.array([p.pixels for p in people])
    good = data['scores'] > 0
    assert np.abs(seen - data['keypoints'])[good].max() < 1e-3


@pytest.mark.parametrize('case', cases('yolox_raw'))
def test_raw_yolox(case: dict[str, Any]) -> None:
    data, size = data_of(case), (416, 416)
    first, second = case['params'], case['second']
    ratio = float(data['ratio'])
    boxes, _, kinds = topdown.yolox_people(
        data['raw'][0], size, ratio, first['score_thr'], first['nms_thr']
    )
    np.testing.assert_allclose(boxes, data['boxes'], atol=1e-3)
    np.testing.assert_array_equal(kinds, data['classes'])
    boxes, scores, kinds = topdown.yolox_people(
        data['raw'][0], size, ratio, second['score_thr'], second['nms_thr']
    )
    kept = scores > second['nms_thr']
    boxes, scores, kinds = boxes[kept], scores[kept], kinds[kept]
    assert boxes.shape == data['boxes_thr03'].shape
    # Equal scores of a class stand in the order in which the recording machine sorted them.
    edges = np.flatnonzero((np.diff(scores) != 0) | (np.diff(kinds) != 0)) + 1
    for ours, theirs in zip(np.split(boxes, edges), np.split(data['boxes_thr03'], edges)):
        apart = np.abs(ours[:, None] - theirs).max(axis=2)
        assert apart.min(axis=1).max() < 1e-3
        assert len(set(apart.argmin(axis=1).tolist())) == len(ours)


@pytest.mark.parametrize('case', cases('rtmo'))
def test_one_stage(case: dict[str, Any]) -> None:
    data, params = data_of(case), case['params']
    config = PipelineConfig(
        model=str(FOLDER / case['model']), precision='f32', threads=1, parity=True,
        min_score=params['score_thr'], max_people=100,
    )  # fmt: skip
    people = RTMPose(config).estimate([Frame(data['image_bgr'])])[0]
    assert len(people) == len(data['keypoints'])
    for expected, scores in zip(data['keypoints'], data['scores']):
        apart = [np.abs(p.pixels - expected)[scores > 0].max() for p in people]
        assert np.nanmin(apart) < 1e-2


@pytest.mark.parametrize('case', cases('mmpose_affine'))
def test_crops(case: dict[str, Any]) -> None:
    data, size = data_of(case), tuple(case['size_wh'])
    centre, extent = topdown.centre_scale(data['bboxes'], size, case['padding'])
    np.testing.assert_allclose(centre, data['center'], atol=1e-3)
    np.testing.assert_allclose(extent, data['scale'], atol=1e-3)
    for k, (c, e) in enumerate(zip(centre, extent)):
        np.testing.assert_allclose(topdown.warp_matrix(c, e, size), data['warp'][k], atol=1e-3)
        udp = topdown.warp_matrix(c, e, size, udp=True)
        np.testing.assert_allclose(udp, data['warp_udp'][k], atol=1e-3)
    for k, key in ((0, 'crop_first'), (-1, 'crop_last')):
        found = topdown.crop(data['image_bgr'], centre[k], extent[k], size).astype(int)
        assert np.abs(found - data[key]).max() <= 3


def test_decoding(recorded: Recorded) -> None:
    data = np.load(recorded('lifters/topdown/simcc_decode.npz'))
    points, scores = topdown.simcc(data['simcc_x'], data['simcc_y'])
    np.testing.assert_allclose(points, data['mmpose_keypoints'], atol=1e-5)
    np.testing.assert_allclose(scores, data['mmpose_scores'], rtol=1e-6)
    points, scores = topdown.simcc(data['simcc_x'], data['simcc_y'], mean_score=True)
    np.testing.assert_allclose(2 * points, data['rtmlib_locs'], atol=1e-5)
    np.testing.assert_allclose(scores, data['rtmlib_scores'], rtol=1e-6)
    data = np.load(recorded('lifters/topdown/heatmap_decode.npz'))
    points, scores = topdown_variants.heatmap_peaks(data['heatmaps'])
    np.testing.assert_allclose(points, data['keypoints_input_space'], atol=1e-5)
    np.testing.assert_allclose(scores, data['scores'], rtol=1e-6)
    height, width = data['heatmaps'].shape[1:]
    back = topdown.to_image(points, (4 * width, 4 * height), data['center'], data['scale'])
    np.testing.assert_allclose(back, data['keypoints_image'], atol=1e-3)


def test_suppression_and_similarity(recorded: Recorded) -> None:
    data = np.load(recorded('lifters/topdown/nms_oks.npz'))
    boxes, scores = data['dets'][:, :4], data['dets'][:, 4]
    assert sorted(topdown.nms(boxes, scores, 0.3)) == sorted(data['keep_mmpose_thr03'])
    assert topdown.nms(boxes, scores, 0.45) == data['keep_rtmlib_thr045'].tolist()
    points, areas = data['kpts'], data['areas']
    for k, expected in enumerate(data['oks_0_vs_rest'], start=1):
        found = topdown_variants.oks(points[0], points[k], (areas[0] + areas[k]) / 2)
        assert found == pytest.approx(float(expected), rel=1e-6)


def test_another_network_is_refused(recorded: Recorded) -> None:
    path = recorded('lifters/topdown/mini_yolox_nms.onnx')
    with pytest.raises(ModelError, match='simcc_x'):
        RTMPose(PipelineConfig(model=str(path)))
