# SPDX-License-Identifier: Apache-2.0
"""BlazePose for several people, its settings, and what it makes of bad models."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from pose3d_ros.camera import Camera
from pose3d_ros.errors import ModelError
from pose3d_ros.estimators.blazepose.estimator import Estimator
from pose3d_ros.networks import blazepose as parts
from pose3d_ros.pipeline import Pipeline
from pose3d_ros.resources import resource
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.types import Frame, JointStatus, Pose3D
from pose3d_ros.zoo import Model

TICK_NS = 33_333_333


def clip(name: str, count: int) -> Iterator[np.ndarray]:
    video = cv2.VideoCapture(str(resource('demo', f'{name}.mp4')))
    for _ in range(count):
        good, image = video.read()
        assert good
        yield image


def truth(name: str) -> dict[str, np.ndarray]:
    with np.load(resource('demo', f'{name}.npz')) as data:
        return {key: data[key] for key in data.files}


def hips_px(pose: Pose3D) -> np.ndarray:
    return pose.pixels[[23, 24]].mean(axis=0)


@pytest.fixture(scope='module')
def pipeline(blazepose_model: Model) -> Pipeline:
    return Pipeline(PipelineConfig(threads=2))


@pytest.mark.slow
def test_two_people_keep_their_ids(pipeline: Pipeline) -> None:
    data = truth('two_people')
    pipeline.reset()
    ids = []
    for k, image in enumerate(clip('two_people', 60)):
        camera = Camera(K=data['K'], size=(640, 480))
        poses = pipeline.process(Frame(image, stamp_ns=k * TICK_NS, camera=camera)).people
        wanted = data['joints_px'][k, :, :1].mean(axis=1)
        nearest = [int(np.linalg.norm(wanted - hips_px(p), axis=1).argmin()) for p in poses]
        assert sorted(nearest) == [0, 1]
        ids.append({who: pose.track_id for who, pose in zip(nearest, poses)})
    assert all(entry == ids[0] for entry in ids)


@pytest.mark.slow
def test_swapped_places_swap_nothing_else(pipeline: Pipeline) -> None:
    """Two people who walk through each other keep their ids, and nobody else appears.

    The left and the right half of the clip are moved across each other, the right one in front.
    """
    pipeline.reset()
    seen: dict[str, set[int]] = {'left': set(), 'right': set()}
    for k, image in enumerate(clip('two_people', 75)):
        share = k / 74
        poses = pipeline.process(Frame(crossed(image, share), stamp_ns=k * TICK_NS)).people
        assert len(poses) <= 2
        if share < 0.15 or share > 0.9:
            assert len(poses) == 2
            order = sorted(poses, key=lambda pose: hips_px(pose)[0])
            names = ('left', 'right') if share < 0.5 else ('right', 'left')
            for name, pose in zip(names, order):
                seen[name].add(pose.track_id)
    assert len(seen['left']) == len(seen['right']) == 1
    assert seen['left'] != seen['right']


def crossed(image: np.ndarray, share: float) -> np.ndarray:
    """The two people of the clip on their way to each other's place, on a plain ground."""
    data = truth('two_people')
    left, right = np.argsort(data['boxes_xyxy'][:, :, 0].mean(axis=0))
    out = np.full_like(image, 110)
    centres = data['boxes_xyxy'][:, :, [0, 2]].mean(axis=(0, 2))
    for who, to in ((left, right), (right, left)):
        low = int(data['boxes_xyxy'][:, who, 0].min()) - 8
        high = int(data['boxes_xyxy'][:, who, 2].max()) + 8
        part = image[:, max(low, 0) : high]
        move = int(share * (centres[to] - centres[who]))
        start = max(low, 0) + move
        a, b = max(start, 0), min(start + part.shape[1], out.shape[1])
        out[:, a:b] = part[:, a - start : b - start]
    return out


@pytest.mark.slow
def test_max_people_limits_slots(blazepose_model: Model) -> None:
    pipeline = Pipeline(PipelineConfig(max_people=1, threads=2))
    for k, image in enumerate(clip('two_people', 25)):
        assert len(pipeline.process(Frame(image, stamp_ns=k * TICK_NS)).people) == 1


@pytest.mark.slow
def test_sources_do_not_mix_and_share_a_batch(pipeline: Pipeline) -> None:
    pipeline.reset()
    one, two = clip('two_people', 5), clip('jump', 5)
    for k, (a, b) in enumerate(zip(one, two)):
        frames = [Frame(a, k * TICK_NS, source='a'), Frame(b, k * TICK_NS, source='b')]
        found = [result.people for result in pipeline.process_batch(frames)]
        assert [len(poses) for poses in found] == [2, 1]
    ids = [pose.track_id for poses in found for pose in poses]
    assert len(set(ids)) == 3


@pytest.mark.slow
def test_nobody_in_black_grey_and_noise(pipeline: Pipeline) -> None:
    pipeline.reset()
    noise = np.random.default_rng(1).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    for k, image in enumerate((np.zeros((480, 640, 3), np.uint8), np.full_like(noise, 128), noise)):
        assert pipeline.process(Frame(image, stamp_ns=k * TICK_NS)).people == []


def test_any_image_size(pipeline: Pipeline) -> None:
    pipeline.reset()
    for k, size in enumerate(((1, 1), (2, 700), (1920, 1080), (64, 48))):
        frame = Frame(np.zeros((size[1], size[0], 3), np.uint8), stamp_ns=k * TICK_NS)
        assert pipeline.process(frame).people == []


@pytest.mark.slow
def test_size_may_change_in_mid_stream(pipeline: Pipeline) -> None:
    pipeline.reset()
    for k, image in enumerate(clip('jump', 12)):
        wide = cv2.resize(image, None, fx=2.0, fy=2.0) if k > 5 else image
        poses = pipeline.process(Frame(wide, stamp_ns=k * TICK_NS)).people
        scale = 2.0 if k > 5 else 1.0
        error = np.linalg.norm(hips_px(poses[0]) / scale - truth('jump')['joints_px'][k, 0, 0])
        # The region of interest of the old size finds the body at once or is found anew.
        assert error < 25 or k == 6


def test_joints_outside_the_image_are_inferred(pipeline: Pipeline) -> None:
    pipeline.reset()
    image = next(iter(clip('jump', 1)))
    knees = int(truth('jump')['joints_px'][0, 0, [2, 5], 1].mean())
    poses = pipeline.process(Frame(np.ascontiguousarray(image[:knees]))).people
    pose = poses[0]
    below = pose.pixels[:, 1] > knees
    assert below.any()
    assert (pose.status[below] == JointStatus.INFERRED).all()
    assert (pose.status[[11, 12]] == JointStatus.MEASURED).all()


def test_no_camera_no_absolute_position(pipeline: Pipeline) -> None:
    pipeline.reset()
    pose = pipeline.process(Frame(next(iter(clip('jump', 1))))).people[0]
    assert not pose.absolute
    assert np.abs(pose.root).max() < 0.005


@pytest.mark.slow
def test_truncated_and_foreign_model(blazepose_model: Model, tmp_path: Path) -> None:
    detector, landmarks = blazepose_model.files['detector'], blazepose_model.files['landmarks']
    shutil.copy(detector, tmp_path / 'detector.tflite')
    (tmp_path / 'landmarks.tflite').write_bytes(landmarks.read_bytes()[:1000])
    with pytest.raises(ModelError, match='landmarks.tflite'):
        Estimator(PipelineConfig(model=str(tmp_path)))
    shutil.copy(detector, tmp_path / 'landmarks.tflite')
    with pytest.raises(ModelError, match='another network'):
        Estimator(PipelineConfig(model=str(tmp_path)))


def test_anchors() -> None:
    found = parts.anchors()
    assert found.shape == (2254, 2)
    np.testing.assert_allclose(found[0], 0.5 / 28)
    np.testing.assert_allclose(found[1], found[0])
    np.testing.assert_allclose(found[2], [1.5 / 28, 0.5 / 28])
    np.testing.assert_allclose(found[-1], 6.5 / 7)


def test_region_of_upright_and_lying_people() -> None:
    upright = parts.roi_from_points(np.array([100.0, 100.0]), np.array([100.0, 20.0]))
    np.testing.assert_allclose(upright, [100, 100, 200, 0], atol=1e-9)
    lying = parts.roi_from_points(np.array([100.0, 100.0]), np.array([180.0, 100.0]))
    np.testing.assert_allclose(lying, [100, 100, 200, np.pi / 2], atol=1e-9)


def test_crop_turns_and_scales() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    image[20, 50] = 255
    # A region turned by a quarter to the right has the picture's right at its top.
    straight = parts.crop(image, (50.0, 50.0, 100.0, 0.0), 100)
    assert straight[20, 50].min() == 255
    turned = parts.crop(image, (50.0, 50.0, 100.0, np.pi / 2), 100)
    assert np.argwhere(turned[..., 0] > 100).tolist() == [[50, 20]]


def test_landmarks_go_to_the_frame_and_back() -> None:
    rng = np.random.default_rng(0)
    raw = np.zeros((1, 195), np.float32)
    raw.reshape(39, 5)[:, :2] = rng.uniform(40, 200, (39, 2))
    roi = np.array([[300.0, 200.0, 128.0, 0.3]])
    points = parts.decode_landmarks(raw, np.full((1, 64, 64, 39), -9, np.float32), roi)[0]
    offset = points[:, :2] - roi[0, :2]
    c, s = np.cos(-0.3), np.sin(-0.3)
    back = offset @ np.array([[c, -s], [s, c]]).T / 128 * 256 + 128
    np.testing.assert_allclose(back, raw.reshape(39, 5)[:, :2], atol=1e-3)


def test_one_body_seen_twice_is_covered() -> None:
    rng = np.random.default_rng(0)
    body = rng.uniform(0, 100, (39, 2)) + 100
    assert parts.covered(body, body, 80) == 1.0
    assert parts.covered(body + 500, body, 80) == 0.0
    assert parts.oks(body, body, 80) == pytest.approx(1.0)
    assert parts.oks(body, body + 300, 80) < 1e-6


def test_merging_weighs_by_score() -> None:
    a = np.array([0.9, 0.1, 0.1, 0.2, 0.2, *[0.5] * 8])
    b = np.array([0.6, 0.12, 0.1, 0.2, 0.2, *[0.6] * 8])
    far = np.array([0.7, 0.7, 0.7, 0.1, 0.1, *[0.1] * 8])
    merged = parts.weighted_nms(np.array([a, far, b]))
    assert merged[:, 0].tolist() == [0.9, 0.7]
    np.testing.assert_allclose(merged[0, 5:], (0.9 * 0.5 + 0.6 * 0.6) / 1.5)
    np.testing.assert_allclose(merged[1], far)
