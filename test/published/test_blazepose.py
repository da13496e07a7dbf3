# SPDX-License-Identifier: Apache-2.0
"""BlazePose against recorded results of the published package (MediaPipe Pose 0.10.21)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from shared import CLIPS, DATA, parity_files

from pose3d_ros.backends import Network
from pose3d_ros.detectors.blazepose import BlazePoseFinder
from pose3d_ros.estimators.blazepose.estimator import (
    _LANDMARK_FILTER,
    _WORLD_FILTER,
    Estimator,
)
from pose3d_ros.estimators.blazepose.slots import AUXILIARY_FILTER
from pose3d_ros.networks import blazepose as parts
from pose3d_ros.people.filters import OneEuro
from pose3d_ros.pipeline import Pipeline
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.types import Frame, Pose3D
from pose3d_ros.zoo import Model

pytestmark = pytest.mark.slow

TICK_NS = 33_333_000  # the published package's clock: so much per frame, whatever the video says
OPENCV_4 = cv2.__version__.startswith('4.')


def cases(pattern: str) -> Any:
    """Every recorded file of that name, or one case that skips."""
    found = parity_files('blazepose', pattern)
    if not found:
        skip = pytest.mark.skip(reason=f'no recorded results blazepose/{pattern}')
        return [pytest.param(None, marks=skip)]
    return [pytest.param(path, id=path.stem) for path in found]


def load(path: Path) -> dict[str, Any]:
    with np.load(path) as data:
        return {key: data[key] for key in data.files}


def close(found: np.ndarray, wanted: np.ndarray, limit: float) -> None:
    """Equal where there is a value, missing where there is none."""
    assert found.shape == wanted.shape
    assert np.nanmax(np.abs(found - wanted), initial=0.0) < limit


def frames_of(name: str) -> Iterator[np.ndarray]:
    path = CLIPS / f'{name}.mp4'
    if not path.is_file():
        pytest.skip(f'no clip {path}')
    video = cv2.VideoCapture(str(path))
    while True:
        good, image = video.read()
        if not good:
            return
        yield image


def crc(image: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(image[..., ::-1]).tobytes())


@pytest.fixture(scope='module')
def pipeline(blazepose_model: Model) -> Pipeline:
    return Pipeline(PipelineConfig(parity=True, precision='f32', threads=2))


class Errors:
    """Distances of all joints, in pixels and metres."""

    def __init__(self) -> None:
        self.pixels: list[np.ndarray] = []
        self.world: list[np.ndarray] = []

    def add(self, pose: Pose3D, landmarks: np.ndarray, world: np.ndarray, size: Any) -> None:
        self.pixels.append(np.linalg.norm(pose.pixels - landmarks[:, :2] * size, axis=1))
        self.world.append(np.linalg.norm(pose.xyz - world, axis=1))

    def check(self, median: tuple[float, float], p95: tuple[float, float]) -> None:
        for values, limit, far in zip((self.pixels, self.world), median, p95):
            joined = np.concatenate(values)
            assert np.median(joined) < limit
            assert np.percentile(joined, 95) < far


# Without a network ------------------------------------------------------------------------------


@pytest.mark.parametrize('path', cases('stages_*.npz'))
def test_parity_blazepose_stages(path: Path) -> None:
    stage = load(path)
    width, height = (int(v) for v in stage['size'])
    boxes, logits = np.zeros((2254, 12), np.float32), np.full(2254, -50, np.float32)
    boxes[stage['anchor_index']] = stage['anchor_raw']
    logits[stage['anchor_index']] = stage['anchor_logit']
    found = parts.to_frame(parts.decode_detections(boxes, logits, 0.5), (width, height))
    scale = np.array([1, *(width, height) * 6])
    wanted = stage['detections']
    close(found[:, :3], (wanted * scale)[:, :3], 0.1)
    close(found[:, 3:], (wanted * scale)[:, 3:], 0.1)

    cx, cy, w, h, rotation = stage['roi'].astype(float)
    assert abs(w * width - h * height) < 0.05
    roi = parts.roi_from_points(found[0, 5:7], found[0, 7:9])
    close(roi, np.array([cx * width, cy * height, w * width, rotation]), 0.1)
    rois = np.array([[cx * width, cy * height, w * width, rotation]])
    heatmaps = stage['heatmap_logit'].astype(np.float32)[None]
    points = parts.decode_landmarks(stage['landmark_raw'][None], heatmaps, rois)[0]
    published = points / [width, height, width, 1, 1]
    for got, key in ((published[:33], 'landmarks'), (published[33:35], 'auxiliary')):
        close(got[:, :2] * [width, height], stage[key][:, :2] * [width, height], 0.1)
        # Unrefined, so that the two runtimes' rounding shows: half a thousandth of the region.
        close(got[:, 2] * width, stage[key][:, 2] * width, 5e-4 * rois[0, 2])
        close(got[:, 3:], stage[key][:, 3:], 1e-3)
    close(parts.decode_world(stage['world_raw'][None], rois)[0, :33], stage['world'], 5e-4)


def unfiltered() -> list[Any]:
    return [
        case
        for case in cases('clip_*.npz') + cases('track_loss*.npz')
        if case.values[0] is None or 'unfiltered' in ' '.join(np.load(case.values[0]).files)
    ]


@pytest.mark.parametrize('path', unfiltered())
def test_parity_blazepose_filters_and_regions(path: Path) -> None:
    data = load(path)
    prefix = 'video_' if 'video_found' in data else ''
    get = {key.removeprefix(prefix): value for key, value in data.items()}
    size = np.array([*get['size'], get['size'][0]], float)
    landmarks, auxiliary = OneEuro(_LANDMARK_FILTER), OneEuro(AUXILIARY_FILTER)
    world = OneEuro(_WORLD_FILTER)
    roi = None
    for k, found in enumerate(get['found']):
        stamp = (k + 1) * TICK_NS
        if roi is not None:
            wanted = get['roi'][k] * [*size[:2], *size[:2], 1]
            assert not get['detector_ran'][k]
            close(roi, wanted[[0, 1, 2, 4]], 0.1)
        roi = None
        if not found:
            # The published package forgets these two on a loss, and not the third.
            landmarks.reset()
            auxiliary.reset()
            continue
        points = get['auxiliary_unfiltered'][k, :, :3] * size
        diameter = 2 * float(np.hypot(*(points[1] - points[0])[:2]))
        smooth = auxiliary(points, stamp, 1 / diameter)
        close(smooth, get['auxiliary'][k, :, :3] * size, 0.1)
        roi = parts.roi_from_points(smooth[0, :2], smooth[1, :2])
        raw = get['landmarks_unfiltered'][k, :, :3] * size
        close(landmarks(raw, stamp, 1 / diameter), get['landmarks'][k, :, :3] * size, 0.1)
        close(world(get['world_unfiltered'][k].astype(float), stamp), get['world'][k], 5e-4)


# Networks on recorded inputs --------------------------------------------------------------------


@pytest.mark.parametrize('path', cases('stages_*.npz'))
def test_parity_blazepose_networks(path: Path, pipeline: Pipeline) -> None:
    stage, estimator = load(path), pipeline.estimator
    assert isinstance(estimator, Estimator)
    raw = run(estimator._landmarks, stage['crop'])
    assert np.abs(raw['world'][0] - stage['world_raw']).max() < 0.002
    assert np.abs(raw['landmarks'][0] - stage['landmark_raw']).max() < 0.05
    assert abs(float(raw['presence'][0, 0]) - float(stage['presence'])) < 1e-3
    detector = BlazePoseFinder(pipeline.config)._network
    anchors = detector({'image': stage['detector_image'][None, ..., ::-1]})
    index = stage['anchor_index']
    assert np.abs(anchors['boxes'][0, index] - stage['anchor_raw']).max() < 0.05
    assert np.abs(anchors['scores'][0, index, 0] - stage['anchor_logit']).max() < 0.01


def run(network: Network, crop: np.ndarray) -> dict[str, Any]:
    return network({'image': crop[None, ..., ::-1]})


@pytest.mark.parametrize('path', cases('stages_*.npz'))
def test_parity_blazepose_default_precision_keeps_3d(path: Path, blazepose_model: Model) -> None:
    """bfloat16 throughout is off by 30 to 100 mm here, while its 2D looks right."""
    stage = load(path)
    estimator = Estimator(PipelineConfig())
    world = run(estimator._landmarks, stage['crop'])['world'][0]
    assert np.median(np.abs(world - stage['world_raw'])) < 0.012


# Whole images and clips -------------------------------------------------------------------------


@pytest.mark.parametrize('path', cases('images_static*.npz'))
def test_parity_blazepose_photographs(path: Path, pipeline: Pipeline) -> None:
    data, errors = load(path), Errors()
    agree, total, same_pixels = 0, 0, True
    for k, file in enumerate(data['files']):
        image = cv2.imread(str(DATA / 'images' / str(file)))
        if image is None:
            continue
        total += 1
        same_pixels &= crc(image) == int(data['pixels_crc32'][k])
        pipeline.reset()
        poses = pipeline.process(Frame(image, stamp_ns=TICK_NS)).people
        agree += bool(poses) == bool(data['found'][k])
        if poses and data['found'][k]:
            errors.add(poses[0], data['landmarks'][k], data['world'][k], data['size'][k])
    if not total:
        pytest.skip('no photographs')
    assert agree >= total - 1
    static_tolerance(errors, same_pixels)


def static_tolerance(errors: Errors, same_pixels: bool) -> None:
    if OPENCV_4 and same_pixels:
        errors.check((0.05, 5e-4), (0.3, 2e-3))
    else:
        # Other bilinear crops, a tenth of a grey level apart, move landmarks so much.
        errors.check((0.5, 8e-3), (8.0, 35e-3))


@pytest.mark.parametrize('path', cases('clip_*.npz'))
def test_parity_blazepose_single_frames(path: Path, pipeline: Pipeline) -> None:
    data, errors, agree = load(path), Errors(), []
    rows = {int(index): row for row, index in enumerate(data['static_index'])}
    same_pixels = True
    for k, image in enumerate(frames_of(path.stem.removeprefix('clip_'))):
        if k not in rows:
            continue
        row = rows[k]
        same_pixels &= crc(image) == int(data['frame_crc32'][k])
        pipeline.reset()
        poses = pipeline.process(Frame(image, stamp_ns=TICK_NS)).people
        agree.append(bool(poses) == bool(data['static_found'][row]))
        if poses and data['static_found'][row]:
            landmarks, world = data['static_landmarks'][row], data['static_world'][row]
            errors.add(poses[0], landmarks, world, data['size'])
    assert np.mean(agree) >= 0.95
    static_tolerance(errors, same_pixels)


@pytest.mark.parametrize('path', cases('clip_*.npz'))
def test_parity_blazepose_video(path: Path, pipeline: Pipeline) -> None:
    data, errors, agree = load(path), Errors(), []
    pipeline.reset()
    for k, image in enumerate(frames_of(path.stem.removeprefix('clip_'))):
        poses = pipeline.process(Frame(image, stamp_ns=(k + 1) * TICK_NS)).people
        agree.append(bool(poses) == bool(data['video_found'][k]))
        if poses and data['video_found'][k]:
            landmarks, world = data['video_landmarks'][k], data['video_world'][k]
            errors.add(poses[0], landmarks, world, data['size'])
    assert np.mean(agree) >= 0.98
    errors.check((0.5, 5e-3), (np.inf, np.inf))


@pytest.mark.parametrize('path', cases('track_loss*.npz'))
def test_parity_blazepose_loss(path: Path, pipeline: Pipeline) -> None:
    data, errors = load(path), Errors()
    clips = {str(name): list(frames_of(str(name))) for name in set(data['source_clip']) if name}
    width, height = (int(v) for v in data['size'])
    black = np.zeros((height, width, 3), np.uint8)
    pipeline.reset()
    ran_again = []
    for k, (clip, index) in enumerate(zip(data['source_clip'], data['source_frame'])):
        image = black if index < 0 else clips[str(clip)][int(index)]
        result = pipeline.process(Frame(image, stamp_ns=(k + 1) * TICK_NS))
        assert bool(result.people) == bool(data['found'][k])
        ran_again.append(result.timings['finder'] > 0)
        if result.people:
            errors.add(result.people[0], data['landmarks'][k], data['world'][k], data['size'])
    assert ran_again == data['detector_ran'].tolist()
    errors.check((0.5, 5e-3), (np.inf, np.inf))
