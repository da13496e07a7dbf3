# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pose3d_ros.camera import Camera
from pose3d_ros.config import PipelineConfig
from pose3d_ros.errors import ConfigError
from pose3d_ros.estimators.lifter import models
from pose3d_ros.pipeline import Pipeline
from pose3d_ros.skeleton import SKELETONS
from pose3d_ros.types import Frame, JointStatus, Pose3D, PositionSource, pose_2d

COCO = SKELETONS['coco_17']
SIZE = (640, 480)
CAMERA = Camera(K=np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]), size=SIZE)
PERIOD = 33_333_333

# x right, y down: somebody who stands, metres about the pelvis, in COCO's order.
STANDING = np.array(
    [[0, -.65, -.1], [.03, -.68, -.08], [-.03, -.68, -.08], [.07, -.66, 0], [-.07, -.66, 0],
     [.18, -.5, 0], [-.18, -.5, 0], [.22, -.22, 0], [-.22, -.22, 0], [.24, .03, -.05],
     [-.24, .03, -.05], [.1, 0, 0], [-.1, 0, 0], [.1, .42, 0], [-.1, .42, 0], [.1, .84, 0.05],
     [-.1, .84, 0.05]]
)  # fmt: skip


def person(
    at: tuple[float, float, float], wave: float = 0.0, missing: tuple[int, ...] = ()
) -> Pose3D:
    joints = STANDING.copy()
    joints[9, 1] -= 0.3 * (1 + np.sin(wave))
    pixels = CAMERA.project(joints + np.array(at))
    confidence = np.ones(17)
    pixels[list(missing)], confidence[list(missing)] = np.nan, 0.0
    return pose_2d(COCO, pixels, confidence, 1.0, SIZE)


def frame(k: int) -> Frame:
    return Frame(np.zeros((480, 640, 3), np.uint8), stamp_ns=k * PERIOD, camera=CAMERA)


def run(
    pipeline: Pipeline, count: int, *, people: int = 1, missing: tuple[int, ...] = ()
) -> list[Any]:
    source: Any = pipeline.estimator._source  # type: ignore[attr-defined]
    out = []
    for k in range(count):
        there = [person((2.0 * p - people + 1, 0.0, 4.0), 0.2 * k, missing) for p in range(people)]
        source.offer('', k * PERIOD, there)
        poses = pipeline.process(frame(k))
        out.append((pipeline.subjects[''], poses))
    return out


def make(**options: Any) -> Pipeline:
    model = options.pop('model', '')
    more = {k: options.pop(k) for k in ('precision', 'skeleton', 'tracking') if k in options}
    config = PipelineConfig(
        estimator='lifter', model=model, threads=1, smoothing=False,
        options={'keypoints': 'given', **options}, **more,
    )  # fmt: skip
    return Pipeline(config)


def test_own_lifter_sees_a_person_stand() -> None:
    pose = run(make(), 5)[-1][1][0]
    assert pose.skeleton.name == 'h36m_17'
    assert pose.position_source == PositionSource.METRIC
    names = pose.skeleton.names
    height = pose.xyz[names.index('left_ankle')][1] - pose.xyz[names.index('head')][1]
    assert 1.3 < height < 1.9
    assert pose.root[2] == pytest.approx(4.0, rel=0.15)
    assert pose.xyz[names.index('left_hip')][0] > pose.xyz[names.index('right_hip')][0]
    assert pose.covariance is not None
    assert (np.linalg.eigvalsh(pose.covariance[1:]) > 0).all()


def test_several_people_keep_their_windows() -> None:
    results = run(make(), 12, people=3)
    assert all(len(poses) == 3 for _, poses in results)
    assert {p.track_id for p in results[-1][1]} == {p.track_id for p in results[1][1]}


def test_missing_joints_are_inferred() -> None:
    pose = run(make(), 5, missing=(13, 14, 15, 16))[-1][1][0]
    knee = pose.skeleton.index('left_knee')
    assert pose.status[knee] == JointStatus.INFERRED
    assert np.isnan(pose.pixels[knee]).all()
    assert np.isfinite(pose.xyz).all()
    whole = run(make(), 5)[-1][1][0]
    # Across the view, where being seen tells most.
    assert (np.diagonal(pose.covariance[knee])[:2] > np.diagonal(whole.covariance[knee])[:2]).all()


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
    for k, (subject, poses) in enumerate(results):
        if k < frames:
            assert subject is None
            assert not poses
        elif k > frames + 1:
            assert abs(subject.stamp_ns - (k - frames) * PERIOD) <= PERIOD
            assert len(poses) == 1
    assert pipeline.timings['delay'] == pytest.approx(frames * PERIOD * 1e-6, abs=PERIOD * 1e-6)


def test_without_tracking_every_frame_stands_alone() -> None:
    assert all(len(poses) == 1 for _, poses in run(make(tracking=False), 4))


def test_it_tells_which_models_it_needs() -> None:
    config = PipelineConfig(estimator='lifter')
    assert models(config) == ['blazepose']
    config = config.replace(model='motionbert_243f', options={'keypoints': 'given'})
    assert models(config) == ['motionbert_243f', 'given']


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
    from pose3d_ros.zoo.convert.checkpoint import random_weights
    from pose3d_ros.zoo.convert.export import export
    from pose3d_ros.zoo.networks import load_family

    folder = tmp_path_factory.mktemp('videopose3d')
    for role, name in (('window', 'videopose3d_27_semi'), ('step', 'videopose3d_27_semi_step')):
        family = load_family(name)
        shapes = {'backbone.expand_conv.conv.weight': (32, 34, 3)}
        module = family.build(shapes)
        state = [(key, tuple(v.shape)) for key, v in module.state_dict().items()]
        module.load_state_dict(random_weights(state, 1))
        export(family, module, folder / role, {}, formats=('onnx',))
    return folder


def test_streaming_equals_windows(small_videopose3d: Path) -> None:
    found = {}
    for streaming in (True, False):
        pipeline = make(
            model=str(small_videopose3d), kind='videopose3d_27f_semi', latency='centred',
            streaming=streaming, normalise='camera', precision='f32',
        )  # fmt: skip
        estimator: Any = pipeline.estimator
        assert (estimator._streaming is not None) == streaming
        estimator._period = PERIOD  # frames on the network's grid: nothing is interpolated
        results = run(pipeline, 60, people=2)
        found[streaming] = {
            (subject.stamp_ns, pose.track_id): pose.xyz
            for subject, poses in results
            if subject is not None
            for pose in poses
        }
        assert all(p.position_source == PositionSource.METRIC for p in results[-1][1])
    assert len(found[True]) > 60
    assert found[True].keys() == found[False].keys()
    for key, xyz in found[True].items():
        scale = np.abs(found[False][key]).max()
        np.testing.assert_allclose(xyz, found[False][key], atol=1e-4 * scale)
