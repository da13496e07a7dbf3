# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.keypoints import COCO, SIZE, STANDING, standing_in

from pose3d_ros.camera import Camera
from pose3d_ros.errors import ConfigError
from pose3d_ros.estimators.lifter.features import HINT, JOINTS
from pose3d_ros.estimators.lifter.models import View
from pose3d_ros.pipeline import Pipeline
from pose3d_ros.resources import resource
from pose3d_ros.settings.estimators import models_of
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.skeleton import SKELETONS, Skeleton
from pose3d_ros.sources import open_source
from pose3d_ros.types import (
    Frame,
    FrameResult,
    JointStatus,
    Pose3D,
    PositionSource,
    Result,
    pose_2d,
)

pytestmark = pytest.mark.slow

CAMERA = Camera(K=np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]), size=SIZE)
PERIOD = 33_333_333


def person(
    at: tuple[float, float, float], wave: float = 0.0, missing: tuple[int, ...] = ()
) -> Pose3D:
    joints = STANDING.copy()
    joints[9, 1] -= 0.3 * (1 + np.sin(wave))
    pixels = CAMERA.project(joints + np.array(at))
    confidence = np.ones(17)
    pixels[list(missing)], confidence[list(missing)] = np.nan, 0.0
    return pose_2d(COCO, pixels, confidence, 1.0, SIZE)


def frame(stamp_ns: int, *people: Pose3D) -> Frame:
    image = np.zeros((480, 640, 3), np.uint8)
    return Frame(image, stamp_ns=stamp_ns, camera=CAMERA, keypoints=people)


def run(
    pipeline: Pipeline,
    count: int,
    *,
    people: int = 1,
    missing: tuple[int, ...] = (),
    period: int = PERIOD,
    away: range = range(0),
) -> list[Result]:
    """The result of each frame. away: frames in which the last of the people is not seen."""
    out = []
    for k in range(count):
        seen = people - (k in away)
        there = [person((2.0 * p - people + 1, 0.0, 4.0), 0.2 * k, missing) for p in range(seen)]
        out.append(pipeline.process(frame(k * period, *there)))
    return out


def make(**options: Any) -> Pipeline:
    model = options.pop('model', '')
    more = {k: options.pop(k) for k in ('precision', 'skeleton', 'tracking') if k in options}
    config = PipelineConfig(
        estimator='lifter', model=model, threads=1, smoothing=False,
        options={'keypoints': 'topic', **options}, **more,
    )  # fmt: skip
    return Pipeline(config)


def test_own_lifter_sees_a_person_stand() -> None:
    pose = run(make(), 5)[-1].people[0]
    assert pose.skeleton.name == 'cmu_22'
    nose = pose.xyz[pose.skeleton.index('nose')] - pose.xyz[pose.skeleton.index('neck')]
    assert nose[2] < -0.03  # towards the camera, which the person faces
    assert pose.position_source == PositionSource.METRIC
    names = pose.skeleton.names
    height = pose.xyz[names.index('left_ankle')][1] - pose.xyz[names.index('head')][1]
    assert 1.3 < height < 1.9
    assert pose.root[2] == pytest.approx(4.0, rel=0.15)
    assert pose.xyz[names.index('left_hip')][0] > pose.xyz[names.index('right_hip')][0]
    assert pose.covariance is not None
    assert (np.linalg.eigvalsh(pose.covariance[1:]) > 0).all()


def test_own_poses_are_not_pulled_onto_pixels_that_they_were_made_of() -> None:
    poses = []
    for weight in (0.0, 1.0):
        pipeline = make()
        pipeline.configure(pipeline.config.replace(reprojection_weight=weight))
        poses.append(run(pipeline, 4)[-1].people[0])
    np.testing.assert_array_equal(poses[0].xyz, poses[1].xyz)
    np.testing.assert_allclose(poses[0].pixels, poses[1].pixels)


def test_what_is_hardly_believed_is_a_hint() -> None:
    pipeline = make()
    lift = pipeline.estimator._lift  # type: ignore[attr-defined]
    seen = person((0.0, 0.0, 4.0), missing=(15,))
    confidence, pixels = seen.confidence.copy(), seen.pixels.copy()
    confidence[13], confidence[9] = 0.02, 0.6
    pixels[14] = 330, 700
    seen = seen.replace(confidence=confidence, pixels=pixels)
    kept = lift.prepare(seen, View(SIZE, CAMERA), 0.1)
    row = {name: kept[k] for k, name in enumerate(JOINTS)}
    assert row['left_wrist'][2] == pytest.approx(0.6)
    assert row['left_knee'][2] == HINT  # the source hardly believes in it
    assert row['right_knee'][2] == HINT  # outside the image
    assert np.isfinite(row['right_knee']).all()
    assert np.isnan(row['left_ankle'][:2]).all()
    assert np.isnan(row['left_toe']).all()


def in_convention(skeleton: Skeleton, k: int) -> Frame:
    pixels = CAMERA.project(standing_in(skeleton) + np.array([0.0, 0.0, 4.0]))
    pose = pose_2d(skeleton, pixels, np.ones(len(skeleton)), 1.0, SIZE)
    return frame(k * PERIOD, pose)


@pytest.mark.parametrize('source', SKELETONS.values(), ids=list(SKELETONS))
def test_any_convention_feeds_the_own_lifter(source: Skeleton) -> None:
    pipeline = make()
    pose = [pipeline.process(in_convention(source, k)) for k in range(5)][-1].people[0]
    at = dict(zip(pose.skeleton.names, pose.xyz))
    assert np.isfinite(pose.xyz).all()
    assert 1.3 < at['left_ankle'][1] - at['head'][1] < 1.9
    assert at['left_hip'][0] > at['right_hip'][0]
    assert pose.root[2] == pytest.approx(4.0, rel=0.2)
    wrist = pose.skeleton.index('left_wrist')
    np.testing.assert_allclose(pose.pixels[wrist], in_convention(source, 0).keypoints[0].pixels[
        source.index('left_wrist')
    ])  # fmt: skip


@pytest.mark.parametrize('source', SKELETONS.values(), ids=list(SKELETONS))
def test_any_convention_feeds_published_lifters(small_videopose3d: Path, source: Skeleton) -> None:
    pipeline = make(
        model=str(small_videopose3d), kind='videopose3d_27f_semi', streaming=False, precision='f32'
    )
    results = [pipeline.process(in_convention(source, k)) for k in range(4)]
    assert all(len(result.people) == 1 for result in results)
    assert np.isfinite(results[-1].people[0].xyz).all()
    # Every joint of the network's input comes from somewhere.
    lift = pipeline.estimator._lift  # type: ignore[attr-defined]
    person = in_convention(source, 0).keypoints[0]
    assert np.isfinite(lift.prepare(person, View(SIZE, CAMERA), 0.1)).all()


def test_several_people_keep_their_windows() -> None:
    results = run(make(), 12, people=3)
    assert all(len(result.people) == 3 for result in results)
    assert {p.track_id for p in results[-1].people} == {p.track_id for p in results[1].people}


def test_missing_joints_are_inferred() -> None:
    pose = run(make(), 5, missing=(13, 14, 15, 16))[-1].people[0]
    knee = pose.skeleton.index('left_knee')
    assert pose.status[knee] == JointStatus.INFERRED
    assert np.isnan(pose.pixels[knee]).all()
    assert np.isfinite(pose.xyz).all()
    whole = run(make(), 5)[-1].people[0]
    # Across the view, where being seen tells most.
    assert (np.diagonal(pose.covariance[knee])[:2] > np.diagonal(whole.covariance[knee])[:2]).all()


def test_depth_images_tell_sizes() -> None:
    """What looks like somebody four metres away is at five, and taller by as much."""
    found = {}
    for z in (4.0, 5.0):
        pipeline = make()
        for k in range(5):
            depth = np.full((480, 640), z, np.float32)
            seen = dataclasses.replace(frame(k * PERIOD, person((0.0, 0.0, 4.0))), depth=depth)
            found[z] = pipeline.process(seen).people[0]
    far, near = found[5.0], found[4.0]
    assert far.position_source == PositionSource.DEPTH
    assert far.root[2] == pytest.approx(5.0, abs=0.2)
    size = [np.linalg.norm(np.diff(p.xyz[[10, 3]], axis=0)) for p in (far, near)]
    assert size[0] / size[1] == pytest.approx(1.25, abs=0.02)


@pytest.mark.parametrize(
    ('options', 'frames'),
    [
        ({'latency': 'causal'}, 0),
        ({'latency': 'delay', 'delay': 4}, 4),
        ({'latency': 'centred'}, 12),
    ],
)
def test_poses_carry_the_stamp_of_their_frame(options: dict[str, Any], frames: int) -> None:
    pipeline = make(**options)
    results = run(pipeline, 30)
    for k, result in enumerate(results):
        if k < frames:
            assert result.finished == ()
            assert result.people == []
        elif k > frames + 1:
            subject = result.finished[-1].frame
            assert abs(subject.stamp_ns - (k - frames) * PERIOD) <= PERIOD
            assert len(result.people) == 1
    assert results[-1].timings['delay'] == pytest.approx(frames * PERIOD * 1e-6, abs=PERIOD * 1e-6)


def test_without_tracking_every_frame_stands_alone() -> None:
    assert all(len(result.people) == 1 for result in run(make(tracking=False), 4))


def test_it_tells_which_models_it_needs() -> None:
    config = PipelineConfig(estimator='lifter')
    assert models_of(config) == ('blazepose', 'movenet_multipose')
    config = config.replace(model='motionbert_243f', options={'keypoints': 'topic'})
    assert models_of(config) == ('motionbert_243f',)


def test_unknown_source_and_kind_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='blazepose'):
        make(keypoints='nonsense')
    with pytest.raises(ConfigError, match=r'lifter\.kind'):
        make(model=str(tmp_path / 'other.onnx'))


@pytest.fixture(scope='module')
def small_videopose3d(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VideoPose3D of 27 frames with a trajectory, thin and random, as window and step."""
    pytest.importorskip('torch')
    pytest.importorskip('onnx')
    from pose3d_ros.tools.convert.checkpoint import random_weights
    from pose3d_ros.tools.convert.export import export
    from pose3d_ros.tools.families import load_family

    folder = tmp_path_factory.mktemp('videopose3d')
    for role, name in (('window', 'videopose3d_27_semi'), ('step', 'videopose3d_27_semi_step')):
        family = load_family(name)
        shapes = {'backbone.expand_conv.conv.weight': (32, 34, 3)}
        module = family.build(shapes)
        state = [(key, tuple(v.shape)) for key, v in module.state_dict().items()]
        module.load_state_dict(random_weights(state, 1))
        export(family, module, folder / role, {}, formats=('onnx',))
    return folder


def finished(results: list[Result], pipeline: Pipeline) -> list[FrameResult]:
    """All frames, those included that are held back at the end."""
    return [one for result in results for one in result.finished] + [*pipeline.flush()]


def by_stamp(frames: list[FrameResult]) -> dict[tuple[int, int], np.ndarray]:
    return {
        (result.frame.stamp_ns, pose.track_id): pose.xyz
        for result in frames
        for pose in result.people
    }


@pytest.mark.parametrize('frames', [0, 1, 4, 10])
def test_streaming_equals_windows(small_videopose3d: Path, frames: int) -> None:
    """However many frames a step takes, and although somebody goes, is back soon, and late."""
    period = 20_000_000  # on the network's grid: nothing is interpolated
    found = {}
    for streaming in (True, False):
        pipeline = make(
            model=str(small_videopose3d), kind='videopose3d_27f_semi', latency='centred',
            streaming=streaming, normalise='camera', precision='f32', frames_per_step=frames,
        )  # fmt: skip
        estimator: Any = pipeline.estimator
        assert (estimator._streams is not None) == streaming
        results = run(pipeline, 90, people=2, period=period, away=range(43, 52))
        if streaming:
            waiting = sum(not result.finished for result in results)
            # 0: a second frame adds less than a tenth to the thirteen that are waited for anyway.
            assert waiting == 13 + (frames or 2) - 1
            assert results[-1].timings['delay'] == waiting * 20
        frames_out = finished(results, pipeline)
        found[streaming] = by_stamp(frames_out)
        assert all(p.position_source == PositionSource.METRIC for p in frames_out[-1].people)
        # Nothing is lost: every frame in which somebody was seen.
        assert len(found[streaming]) == 90 + 81
    assert found[True].keys() == found[False].keys()
    for (stamp, person), xyz in found[True].items():
        if frames != 1 and person == 2 and 51 - 13 - 9 <= stamp // period <= 51:
            continue  # a stream that delivers later has seen more of who comes back
        scale = np.abs(found[False][stamp, person]).max()
        np.testing.assert_allclose(xyz, found[False][stamp, person], atol=1e-4 * scale)


@pytest.mark.parametrize('streaming', [True, False])
def test_a_gap_ends_a_past_and_not_the_poses_that_wait(
    small_videopose3d: Path, streaming: bool
) -> None:
    pipeline = make(
        model=str(small_videopose3d), kind='videopose3d_27f_semi', latency='centred',
        streaming=streaming, normalise='camera', precision='f32', max_gap_s=0.05,
    )  # fmt: skip
    results = run(pipeline, 60, people=2, period=20_000_000, away=range(30, 40))
    found = by_stamp(finished(results, pipeline))
    assert len(found) == 60 + 50
    # As if the person had stood still at the end, as windows end.
    whole = make(
        model=str(small_videopose3d), kind='videopose3d_27f_semi', latency='centred',
        normalise='camera', precision='f32',
    )  # fmt: skip
    until = by_stamp(finished(run(whole, 30, people=2, period=20_000_000), whole))
    second = max(number for _, number in until)
    for k in range(30):
        np.testing.assert_allclose(
            found[k * 20_000_000, second], until[k * 20_000_000, second], atol=1e-4
        )


@pytest.mark.parametrize('latency', ['causal', 'delay', 'centred'])
def test_the_last_frames_are_delivered_too(latency: str) -> None:
    pipeline = make(latency=latency)
    results = finished(run(pipeline, 20), pipeline)
    assert [result.frame.stamp_ns for result in results] == [k * PERIOD for k in range(20)]
    assert all(len(result.people) == 1 for result in results)
    assert not pipeline.flush()


@pytest.mark.parametrize('predicted', [False, True])
def test_nobody_is_in_a_frame_twice(predicted: bool) -> None:
    """Frames come late: who has gone in the meantime is measured in them, not extrapolated."""
    pipeline = make(latency='centred')
    pipeline.configure(pipeline.config.replace(publish_predicted=predicted))
    results = finished(run(pipeline, 40, people=2, away=range(20, 30)), pipeline)
    assert len(results) == 40
    for result in results[:20]:
        ids = [pose.track_id for pose in result.people]
        assert len(ids) == len(set(ids)) == 2


def test_frames_that_become_due_together_are_all_delivered() -> None:
    """Of a video that lost frames."""
    pipeline = make(latency='centred')
    due = []
    for k in [*range(20), 25, 26, 27]:
        due += pipeline.process(frame(k * PERIOD, person((0.0, 0.0, 4.0), 0.2 * k))).finished
    stamps = [result.frame.stamp_ns // PERIOD for result in due]
    assert stamps == list(range(len(stamps)))
    assert len(stamps) == 16


def test_coco_joints_go_in_as_they_are(tmp_path: Path) -> None:
    """And Human3.6M's come out, of VideoPose3D as trained on Detectron's joints."""
    pytest.importorskip('torch')
    pytest.importorskip('onnx')
    from pose3d_ros.tools.convert.checkpoint import random_weights
    from pose3d_ros.tools.convert.export import export
    from pose3d_ros.tools.families import load_family

    for role, name in (('window', 'videopose3d_243'), ('step', 'videopose3d_243_step')):
        family = load_family(name)
        module = family.build({'backbone.expand_conv.conv.weight': (8, 34, 3)})
        state = [(key, tuple(v.shape)) for key, v in module.state_dict().items()]
        module.load_state_dict(random_weights(state, 1))
        export(family, module, tmp_path / role, {}, formats=('onnx',))
    pipeline = make(
        model=str(tmp_path), kind='videopose3d_243f_detectron_coco', latency='causal',
        precision='f32',
    )  # fmt: skip
    lift = pipeline.estimator._lift  # type: ignore[attr-defined]
    shown = person((0.2, 0.0, 4.0))
    window = lift.prepare(shown, View(SIZE, CAMERA), 0.1)
    np.testing.assert_allclose(window, (shown.pixels - [320, 240]) / 320)
    [pose] = run(pipeline, 3)[-1].people
    assert pose.skeleton.name == 'h36m_17'
    assert np.isfinite(pose.xyz).all()


@pytest.fixture(scope='module')
def small_motionbert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MotionBERT, thin and random."""
    pytest.importorskip('torch')
    pytest.importorskip('onnx')
    from pose3d_ros.tools.convert.checkpoint import random_weights
    from pose3d_ros.tools.convert.export import export
    from pose3d_ros.tools.families import load_family
    from pose3d_ros.tools.families.dstformer import DSTformer

    module = DSTformer(width=32, depth=1, hidden=64, representation=32).eval()
    state = [(key, tuple(v.shape)) for key, v in module.state_dict().items()]
    module.load_state_dict(random_weights(state, 1))
    folder = tmp_path_factory.mktemp('motionbert')
    export(load_family('motionbert'), module, folder / 'window', {}, formats=('onnx',))
    return folder


@pytest.mark.parametrize(('latency', 'delay'), [('delay', 4), ('centred', 0)])
def test_one_window_serves_several_frames(small_motionbert: Path, latency: str, delay: int) -> None:
    found, runs = {}, {}
    for stride in (1, 5):
        pipeline = make(
            model=str(small_motionbert), kind='motionbert_243f', latency=latency, delay=delay,
            window=27, stride=stride,
        )  # fmt: skip
        network: Any = pipeline.estimator._lift.network  # type: ignore[attr-defined]
        seen = []
        pipeline.estimator._lift.network = lambda x, seen=seen, net=network: (  # type: ignore
            seen.append(len(x['window'])) or net(x)
        )
        results = run(pipeline, 40, people=2, period=20_000_000)
        found[stride], runs[stride] = by_stamp(finished(results, pipeline)), len(seen)
    assert len(found[1]) == len(found[5]) == 80
    assert runs == {1: 40, 5: 8}
    # A frame that a window was made for is the same; the others come out of a neighbour's window.
    for k in range(0, 40, 5):
        for number in (1, 2):
            key = (k * 20_000_000, number)
            np.testing.assert_allclose(found[5][key], found[1][key], atol=1e-5)


def test_a_stride_needs_frames_that_wait(small_motionbert: Path) -> None:
    for options in ({'latency': 'causal'}, {'latency': 'delay', 'delay': 2}):
        with pytest.raises(ConfigError, match=r'lifter\.stride'):
            make(model=str(small_motionbert), kind='motionbert_243f', stride=5, **options)


def test_blazepose_is_a_second_witness(blazepose_model: Any) -> None:
    """With all of its weight BlazePose's limbs come out, about the hips; with none the lifter's."""
    frame = next(iter(open_source(resource('demo', 'jump.mp4'))))
    still: dict[str, Any] = {'placement': False}  # it moves limbs, too
    shown = {}
    for weight in (0.0, 0.2, 1.0):
        config = PipelineConfig(
            estimator='lifter', finder='blazepose', options={'source_3d': weight}, **still
        )
        shown[weight] = Pipeline(config).process(frame).people[0]
    config = PipelineConfig(estimator='blazepose', finder='blazepose', **still)
    theirs = Pipeline(config).process(frame).people[0]
    limbs = [f'{s}_{j}' for s in ('left', 'right') for j in ('shoulder', 'wrist', 'knee', 'ankle')]

    def about_hips(pose: Pose3D) -> np.ndarray:
        at = pose.skeleton.by_meaning
        hips = (pose.xyz[at['left_hip']] + pose.xyz[at['right_hip']]) / 2
        return pose.xyz[[at[name] for name in limbs]] - hips

    alone, mixed, whole = (about_hips(shown[weight]) for weight in (0.0, 0.2, 1.0))
    np.testing.assert_allclose(mixed, 0.8 * alone + 0.2 * whole, atol=1e-6)
    np.testing.assert_allclose(whole, about_hips(theirs), atol=1e-4)
    assert np.abs(whole - alone).max() > 0.02
