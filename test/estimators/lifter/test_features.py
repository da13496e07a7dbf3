# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from pose3d_ros.estimators.lifter import features


def window(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    body = rng.normal(0, 0.3, (1, features.WINDOW, features.COUNT, 3)) + np.array([0.5, 0.2, 4.0])
    return body, np.ones(body.shape[:3])


def test_turning_the_camera_changes_nothing_that_is_seen_straight_on() -> None:
    body, seen = window()
    rays = body[..., :2] / body[..., 2:]
    known = np.ones(1)
    found, turn, usable = features.encode(rays, seen, known)
    assert usable.all()
    np.testing.assert_allclose(turn[0] @ turn[0].T, np.eye(3), atol=1e-12)
    points = found[0, features.WINDOW // 2, : 2 * features.COUNT].reshape(-1, 2)
    assert abs(points.mean(axis=0)).max() < 0.1
    assert (points**2).sum(axis=1).mean() == pytest.approx(1, abs=0.05)


def test_what_is_unseen_has_no_say() -> None:
    body, seen = window()
    rays = body[..., :2] / body[..., 2:]
    seen[:, :, 3] = 0
    first = features.encode(rays, seen, np.ones(1))[0]
    rays[:, :, 3] = 99
    np.testing.assert_array_equal(first, features.encode(rays, seen, np.ones(1))[0])


def test_output_goes_back_to_the_axes_of_the_camera() -> None:
    turn = features.look_at(np.array([[0.4, -0.3]]))
    joints = np.random.default_rng(0).normal(size=(1, features.COUNT, 3))
    joints -= joints[:, :1]
    output = np.concatenate([joints @ turn.transpose(0, 2, 1), np.full_like(joints, -1)], axis=1)
    found, covariance = features.decode(output.reshape(1, -1), turn)
    np.testing.assert_allclose(found, joints, atol=1e-12)
    np.testing.assert_allclose(covariance[0, 5], np.exp(-2) * np.eye(3), atol=1e-12)


def test_training_and_use_encode_alike() -> None:
    torch = pytest.importorskip('torch')
    body, seen = window(1)
    rays = body[..., :2] / body[..., 2:]
    ours = features.encode(rays, seen, np.ones(1))[0]
    args = (torch.from_numpy(v) for v in (rays, seen, np.ones(1)))
    np.testing.assert_allclose(features.encode(*args, xp=torch)[0].numpy(), ours, atol=1e-9)


def test_the_mean_with_the_mirror_is_mirrored_with_the_input() -> None:
    body, seen = window(2)
    seen[:, :, 4] = 0.4
    rays = body[..., :2] / body[..., 2:]
    both, sure = features.with_mirror(rays, seen)
    assert len(both) == 2
    again, _ = features.with_mirror(both[1:], sure[1:])
    np.testing.assert_array_equal(again[1], rays[0])
    rng = np.random.default_rng(0)
    joints, root = rng.normal(size=(1, features.COUNT, 3)), rng.normal(size=(features.COUNT, 3, 3))
    covariance = root @ root.transpose(0, 2, 1)
    sign = np.array([-1.0, 1, 1])
    other = joints[:, features.MIRROR] * sign
    spread = covariance[features.MIRROR] * sign[:, None] * sign
    found, mean = features.without_mirror(
        np.concatenate([joints, other]), np.stack([covariance, spread])
    )
    np.testing.assert_allclose(found, joints, atol=1e-12)
    np.testing.assert_allclose(mean[0], covariance, atol=1e-12)


def test_hints_do_not_say_where_a_person_is() -> None:
    body, seen = window(3)
    seen[:, :, 5] = features.HINT
    rays = body[..., :2] / body[..., 2:]
    first, turn, _ = features.encode(rays, seen, np.ones(1))
    rays[:, :, 5] += 0.5
    second, other, _ = features.encode(rays, seen, np.ones(1))
    np.testing.assert_array_equal(turn, other)
    changed = (first != second)[0, 0].nonzero()[0].tolist()
    assert changed == [10, 11]
    assert first[0, 0, 2 * features.COUNT + 5] == features.HINT


def test_rolled_views_come_back():
    rng = np.random.default_rng(3)
    rays, seen = rng.normal(0, 0.2, (2, 9, 22, 2)), rng.uniform(0, 1, (2, 9, 22))
    rolled, there = features.with_rolls(rays, seen)
    assert rolled.shape == (4, 9, 22, 2)
    assert there == pytest.approx(np.concatenate([seen, seen]))
    # Both views, by the same angle to either side.
    length = np.linalg.norm(rays, axis=-1)
    assert np.linalg.norm(rolled, axis=-1) == pytest.approx(np.concatenate([length, length]))
    assert (rolled[:2] + rolled[2:]) / 2 == pytest.approx(np.cos(np.radians(8)) * rays)
    # A network that gives the rays back as joints, sure of them along x alone.
    joints = np.concatenate([rolled[:, 4], np.ones((4, 22, 1))], axis=-1)
    axis = joints * [1.0, 1.0, 0.0]
    spread = axis[..., :, None] * axis[..., None, :]
    found, covariance = features.without_rolls(joints, spread)
    assert found[..., :2] == pytest.approx(rays[:, 4])
    flat = found * [1.0, 1.0, 0.0]
    assert covariance == pytest.approx(flat[..., :, None] * flat[..., None, :])
