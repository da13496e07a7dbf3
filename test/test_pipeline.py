# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import cv2
import numpy as np
import pytest
from support.blobs import draw

from pose3d_ros.camera import Camera
from pose3d_ros.errors import ConfigError
from pose3d_ros.pipeline import Pipeline
from pose3d_ros.resources import resource
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.types import Frame, Pose3D, PositionSource, Result, TrackingState
from pose3d_ros.zoo import Model

pytestmark = pytest.mark.slow

TICK = 33_333_333
BLACK = np.zeros((480, 640, 3), np.uint8)


@pytest.fixture(scope='module')
def images() -> list[np.ndarray]:
    video = cv2.VideoCapture(str(resource('demo', 'jump.mp4')))
    return [video.read()[1] for _ in range(20)]


@pytest.fixture(scope='module')
def camera() -> Camera:
    with np.load(resource('demo', 'jump.npz')) as data:
        return Camera(K=data['K'], size=(640, 480))


@pytest.fixture(scope='module')
def shared(blazepose_model: Model) -> Pipeline:
    return Pipeline(PipelineConfig(threads=2))


@pytest.fixture
def pipeline(shared: Pipeline) -> Pipeline:
    shared.configure(PipelineConfig(threads=2))
    shared.reset()
    return shared


def run(pipeline: Pipeline, images: list[np.ndarray], **frame: object) -> list[list[Pose3D]]:
    return [result.people for result in results(pipeline, images, **frame)]


def results(pipeline: Pipeline, images: list[np.ndarray], **frame: object) -> list[Result]:
    return [
        pipeline.process(Frame(image, stamp_ns=k * TICK, **frame))  # type: ignore[arg-type]
        for k, image in enumerate(images)
    ]


def test_places_and_follows_one_person(
    pipeline: Pipeline, images: list[np.ndarray], camera: Camera
) -> None:
    out = results(pipeline, images, camera=camera)
    found = [result.people for result in out]
    with np.load(resource('demo', 'jump.npz')) as data:
        roots = data['joints_cam'][: len(images), 0, 0]
    assert all(len(poses) == 1 for poses in found)
    assert len({poses[0].track_id for poses in found}) == 1
    assert found[0][0].tracking_state == TrackingState.NEW
    assert found[1][0].tracking_state == TrackingState.TRACKED
    assert all(poses[0].position_source == PositionSource.METRIC for poses in found)
    errors = [np.linalg.norm(poses[0].root - root) for poses, root in zip(found, roots)]
    assert np.median(errors) < 0.4
    assert set(out[-1].timings) >= {'finder', 'crop', 'landmarks', 'decode'}


def test_same_input_same_output(pipeline: Pipeline, images: list[np.ndarray]) -> None:
    first = run(pipeline, images)
    pipeline.reset()
    second = run(pipeline, images)
    for a, b in zip(first, second):
        np.testing.assert_array_equal(a[0].xyz, b[0].xyz)
        np.testing.assert_array_equal(a[0].pixels, b[0].pixels)


def test_backward_time_and_gaps_reset(pipeline: Pipeline, images: list[np.ndarray]) -> None:
    stamps = (10**10, 10**9, 10**11)
    out = [pipeline.process(Frame(*pair)) for pair in zip(images, stamps)]
    first, second, third = (result.people[0].track_id for result in out)
    assert [result.finished[0].ended for result in out] == [(), (first,), (second,)]
    assert [result.restarted for result in out] == [False, True, True]
    assert len({first, second, third}) == 3


def test_equal_stamps_neither_reset_nor_freeze(
    pipeline: Pipeline, images: list[np.ndarray]
) -> None:
    out = [pipeline.process(Frame(image, stamp_ns=0)) for image in images]
    found = [result.people[0] for result in out]
    assert not any(result.restarted for result in out)
    assert len({pose.track_id for pose in found}) == 1
    assert np.abs(found[-1].pixels - found[0].pixels).max() > 0.5


def test_the_end_of_a_track_comes_once(pipeline: Pipeline, images: list[np.ndarray]) -> None:
    who = run(pipeline, images)[-1][0].track_id
    ended: list[int] = []
    for k in range(len(images), len(images) + 80):
        (finished,) = pipeline.process(Frame(BLACK, stamp_ns=k * TICK)).finished
        assert finished.people == []
        ended += finished.ended
    assert ended == [who]


def test_predicted_people_on_demand(
    pipeline: Pipeline, images: list[np.ndarray], camera: Camera
) -> None:
    pipeline.configure(PipelineConfig(threads=2, publish_predicted=True))
    last = run(pipeline, images, camera=camera)[-1][0]
    found = pipeline.process(Frame(BLACK, stamp_ns=len(images) * TICK, camera=camera)).people
    assert [pose.tracking_state for pose in found] == [TrackingState.PREDICTED]
    assert found[0].track_id == last.track_id
    assert np.linalg.norm(found[0].root - last.root) < 0.2


def test_camera_of_another_size_is_scaled_or_refused(
    pipeline: Pipeline, images: list[np.ndarray], camera: Camera
) -> None:
    half = camera.resized((320, 240))
    wrong = Camera(K=camera.K, size=(640, 360))
    full = run(pipeline, images[:1], camera=camera)[0][0]
    pipeline.reset()
    (result,) = results(pipeline, images[:1], camera=half)
    np.testing.assert_allclose(result.people[0].xyz, full.xyz, atol=1e-6)
    assert result.calibration_problem == ''
    pipeline.reset()
    (result,) = results(pipeline, images[:1], camera=wrong)
    assert not result.people[0].absolute
    assert '640x360' in result.calibration_problem


def test_assumed_focal_length_places_and_says_so(
    blazepose_model: Model, images: list[np.ndarray], camera: Camera
) -> None:
    pipeline = Pipeline(PipelineConfig(threads=2, focal_length_px=camera.focal))
    pose = run(pipeline, images[:1])[0][0]
    assert pose.position_source == PositionSource.ASSUMED
    assert 2 < pose.root[2] < 5


@pytest.mark.parametrize('name', ['coco_17', 'h36m_17', 'openpose_18'])
def test_other_conventions(
    blazepose_model: Model, images: list[np.ndarray], camera: Camera, name: str
) -> None:
    pipeline = Pipeline(PipelineConfig(threads=2, skeleton=name))
    pose = run(pipeline, images[:2], camera=camera)[1][0]
    assert pose.skeleton.name == name
    assert np.isfinite(pose.xyz[pose.skeleton.index('left_knee')]).all()


def test_only_live_settings_change(pipeline: Pipeline) -> None:
    pipeline.configure(PipelineConfig(threads=2, max_people=2, smoothing=False))
    with pytest.raises(ConfigError, match='precision'):
        pipeline.configure(PipelineConfig(threads=2, precision='f32'))
    assert pipeline.config.max_people == 2


def test_smoothing_off_and_tracking_off(
    blazepose_model: Model, images: list[np.ndarray], camera: Camera
) -> None:
    pipeline = Pipeline(PipelineConfig(threads=2, tracking=False))
    found = run(pipeline, images[:3], camera=camera)
    assert all(poses[0].tracking_state == TrackingState.UNTRACKED for poses in found)
    assert all(poses[0].track_id == 0 and poses[0].absolute for poses in found)


def test_unknown_estimators_are_refused() -> None:
    with pytest.raises(ConfigError, match='blazepose'):
        Pipeline(PipelineConfig(estimator='blazebose'))
    with pytest.raises(ConfigError, match=r'no_such\.module'):
        Pipeline(PipelineConfig(estimator='no_such.module'))


def test_frames_that_are_held_back_come_as_values() -> None:
    """Each with its own people; a track ends with the last frame that can show it."""
    pipeline = Pipeline(PipelineConfig(estimator='support.holding', track_max_missed_s=0.05))
    one, nobody = draw([(320, 240, 200)]), draw([])
    images = [one, one, nobody, nobody, nobody, nobody, nobody]
    out = results(pipeline, images)
    assert [len(result.finished) for result in out] == [0, 0, 3, 0, 0, 3, 0]
    finished = [*out[2].finished, *out[5].finished, *pipeline.flush()]
    assert [one.frame.stamp_ns for one in finished] == [k * TICK for k in range(len(images))]
    assert [len(one.people) for one in finished] == [1, 1, 0, 0, 0, 0, 0]
    assert [one.ended for one in finished] == [(), (), (), (1,), (), (), ()]
    assert pipeline.flush() == []


def test_a_jump_of_time_ends_tracks_whose_end_was_held_back() -> None:
    pipeline = Pipeline(PipelineConfig(estimator='support.holding', track_max_missed_s=0.05))
    one, nobody = draw([(320, 240, 200)]), draw([])
    results(pipeline, [one, one, one, nobody, nobody])
    jumped = [pipeline.process(Frame(nobody, stamp_ns=10**11 + k)) for k in range(3)]
    assert [result.restarted for result in jumped] == [True, False, False]
    assert [one.ended for one in jumped[2].finished] == [(1,), (), ()]
