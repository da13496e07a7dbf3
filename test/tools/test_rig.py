# SPDX-License-Identifier: Apache-2.0
"""The simulated cameras and people."""

from __future__ import annotations

import numpy as np

from pose3d_ros.tools.rig import SKELETON, Detector, around, walkers


def test_cameras_around_look_at_the_middle_from_above() -> None:
    for placed in around(4):
        pixel = placed.camera.project((placed.R @ [0, 0, 0.9] + placed.t)[None])[0]
        np.testing.assert_allclose(pixel, (319.5, 239.5), atol=0.5)
        assert -(placed.R.T @ placed.t)[2] > 1.5


def test_walkers_walk_on_the_floor_facing_where_they_go() -> None:
    stamps = np.arange(0, 5, 0.1)
    joints = walkers(3, stamps)
    assert np.isfinite(joints).all()
    assert joints[..., 2].min() >= 0
    nose = joints[:, :, SKELETON.index('nose')] - joints[:, :, SKELETON.index('neck')]
    moved = np.gradient(joints[:, :, 0], axis=0)
    assert (np.sum(nose * moved, axis=2) > 0).mean() > 0.95


def test_a_detector_misses_joints_errs_by_centimetres_and_misjudges_sizes() -> None:
    rng = np.random.default_rng(0)
    (placed,) = around(1)
    detector = Detector(placed, 1, rng)
    missing, across, depth = [], [], []
    for stamp in np.arange(0, 20, 0.2):
        world = walkers(1, np.array([stamp]))[0]
        (pose,) = detector.people(world, stamp)
        true = world[0] @ placed.R.T + placed.t
        missing.append(np.isnan(pose.xyz[:, 0]).mean())
        error = pose.pixels - placed.camera.project(true)
        across.append(np.nanmedian(np.linalg.norm(error, axis=1)) / 600 * np.median(true[:, 2]))
        depth.append(np.nanmedian(pose.xyz[:, 2] / true[:, 2]))
    assert 0.1 < np.mean(missing) < 0.2
    assert 0.01 < np.mean(across) < 0.05
    assert np.std(depth) < 0.05
