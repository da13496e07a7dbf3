# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from pose3d_ros.people.smoothing import PoseSmoother
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.skeleton import SKELETONS
from pose3d_ros.types import JointStatus, Pose3D, PositionSource

COCO = SKELETONS['coco_17']
TICK = 33_333_333


def pose(xyz: np.ndarray, **changes: object) -> Pose3D:
    made = Pose3D(
        skeleton=COCO,
        xyz=xyz,
        confidence=np.ones(17),
        pixels=xyz[:, :2] * 100,
        status=np.full(17, JointStatus.MEASURED, np.uint8),
        position_source=PositionSource.METRIC,
    )
    return made.replace(**changes)


def test_noise_shrinks_and_the_root_stays() -> None:
    rng, smoother = np.random.default_rng(0), PoseSmoother(PipelineConfig(smoothing_beta=0.0))
    body = rng.normal(size=(17, 3))
    found = []
    for k in range(100):
        noisy = body + rng.normal(scale=0.02, size=(17, 3))
        smooth = smoother.relative(pose(noisy), k * TICK)
        np.testing.assert_allclose(smooth.root, pose(noisy).root, atol=0.02)
        found.append(smooth.xyz - smooth.root)
    assert np.std(found[60:], axis=0).mean() < 0.005


def test_velocity_of_a_walk() -> None:
    smoother = PoseSmoother(PipelineConfig())
    body = np.random.default_rng(0).normal(size=(17, 3))
    for k in range(90):
        moved = pose(body + np.array([0.0, 0.0, 3 - k / 30]))
        out = smoother.root(smoother.relative(moved, k * TICK), k * TICK)
    np.testing.assert_allclose(out.velocity, [0, 0, -1], atol=0.05)
    assert abs(out.root[2] - moved.root[2]) < 0.3


def test_first_pose_has_no_velocity() -> None:
    smoother = PoseSmoother(PipelineConfig())
    assert np.isnan(smoother.root(pose(np.ones((17, 3))), 0).velocity).all()


def test_off_changes_nothing_but_the_velocity() -> None:
    smoother = PoseSmoother(PipelineConfig(smoothing=False))
    for k in range(3):
        given = pose(np.random.default_rng(k).normal(size=(17, 3)))
        out = smoother.root(smoother.relative(given, k * TICK), k * TICK)
        np.testing.assert_allclose(out.xyz, given.xyz)
        np.testing.assert_allclose(out.pixels, given.pixels)


def test_live_change_keeps_the_state() -> None:
    smoother = PoseSmoother(PipelineConfig())
    smoother.relative(pose(np.zeros((17, 3))), 0)
    smoother.configure(PipelineConfig(smoothing_min_cutoff=0.001, smoothing_beta=0.0))
    body = np.zeros((17, 3))
    body[0] = 1.0
    assert 0 <= smoother.relative(pose(body), TICK).xyz[0, 0] < 0.01


def test_missing_joints_stay_missing() -> None:
    smoother = PoseSmoother(PipelineConfig())
    xyz = np.ones((17, 3))
    xyz[3] = np.nan
    for k in range(3):
        out = smoother.root(smoother.relative(pose(xyz), k * TICK), k * TICK)
        assert np.isnan(out.xyz[3]).all()
        assert np.isfinite(np.delete(out.xyz, 3, axis=0)).all()
