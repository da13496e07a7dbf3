# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pose3d_ros.geometry import procrustes, quaternion, solve_translation, yaw

RNG = np.random.default_rng(3)


def test_procrustes_recovers_a_similarity() -> None:
    points = RNG.normal(size=(12, 3))
    R, t = Rotation.random(random_state=1).as_matrix(), np.array([1.0, -2, 3])
    found = procrustes(points, 1.7 * points @ R.T + t)
    assert found.scale == pytest.approx(1.7)
    np.testing.assert_allclose(found.R, R, atol=1e-9)
    np.testing.assert_allclose(found.t, t, atol=1e-9)
    np.testing.assert_allclose(found(points), 1.7 * points @ R.T + t, atol=1e-9)


def test_procrustes_never_mirrors() -> None:
    points = RNG.normal(size=(12, 3))
    found = procrustes(points, points * [-1, 1, 1])
    assert np.linalg.det(found.R) == pytest.approx(1.0)


def test_procrustes_of_one_place() -> None:
    found = procrustes(np.ones((3, 3)), np.zeros((3, 3)))
    np.testing.assert_allclose(found(np.ones((3, 3))), 0)


@pytest.mark.parametrize('depth', [None, 4.0])
def test_translation_is_recovered(depth: float | None) -> None:
    xyz, t = RNG.normal(scale=0.4, size=(20, 3)), np.array([0.7, -0.3, 4.0])
    rays = (xyz + t)[:, :2] / (xyz + t)[:, 2:]
    found = solve_translation(xyz, rays, np.ones(20), depth)
    assert found is not None
    np.testing.assert_allclose(found.t, t, atol=1e-9)
    assert found.residual < 1e-9


def test_translation_leaves_out_what_has_no_ray_or_weight() -> None:
    xyz, t = RNG.normal(scale=0.4, size=(20, 3)), np.array([0.0, 0.2, 3.0])
    rays = (xyz + t)[:, :2] / (xyz + t)[:, 2:]
    weights = np.ones(20)
    rays[0] = np.nan
    rays[1], weights[1] = 5.0, 0.0
    xyz[2] = np.nan
    found = solve_translation(xyz, rays, weights)
    assert found is not None
    np.testing.assert_allclose(found.t, t, atol=1e-9)


def test_translation_that_nothing_determines() -> None:
    xyz = RNG.normal(scale=0.4, size=(20, 3))
    same = np.zeros((20, 2))
    assert solve_translation(xyz, same, np.ones(20)) is None
    assert solve_translation(xyz[:2], same[:2], np.ones(2)) is None
    assert solve_translation(xyz, np.full((20, 2), np.nan), np.ones(20)) is None
    # Seen from behind the camera: the picture is upside down.
    flipped = -xyz[:, :2] / (xyz[:, 2:] + 4)
    assert solve_translation(xyz, flipped, np.ones(20)) is None


def test_yaw_turns_forward_to_the_right() -> None:
    np.testing.assert_allclose(yaw(np.array([0.0, 0, 1]), np.pi / 2), [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(yaw(np.array([0.0, 1, 0]), 0.3), [0, 1, 0])


def test_quaternion_agrees_with_scipy() -> None:
    for rotation in Rotation.random(50, random_state=2):
        q = rotation.as_quat()
        np.testing.assert_allclose(quaternion(rotation.as_matrix()), q * np.sign(q[3]), atol=1e-9)
