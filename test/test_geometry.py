# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pose3d_ros.geometry import procrustes, yaw

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


def test_yaw_turns_forward_to_the_right() -> None:
    np.testing.assert_allclose(yaw(np.array([0.0, 0, 1]), np.pi / 2), [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(yaw(np.array([0.0, 1, 0]), 0.3), [0, 1, 0])
