# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('torch')

from support.motion import walker

from pose3d_ros.estimators.lifter.features import COUNT, WINDOW
from pose3d_ros.tools.training.virtual import Virtual


def test_exact_windows_are_exact() -> None:
    windows = Virtual([walker()], 1, augment=False).draw(16, clean=True)
    rays = windows.rays[:, WINDOW // 2].numpy()
    target = windows.target.numpy()
    # A pinhole camera: there is a root for which the joints lie on their rays.
    a, b = rays[..., 0], rays[..., 1]
    for k in range(16):
        rows = np.concatenate(
            [
                np.stack([np.ones(COUNT), 0 * a[k], -a[k]], 1),
                np.stack([0 * b[k], np.ones(COUNT), -b[k]], 1),
            ]
        )
        right = np.concatenate(
            [a[k] * target[k, :, 2] - target[k, :, 0], b[k] * target[k, :, 2] - target[k, :, 1]]
        )
        root, *_ = np.linalg.lstsq(rows, right, rcond=None)
        assert np.abs(rows @ root - right).max() < 1e-3
        assert root[2] > 0.5


def test_the_same_seed_draws_the_same() -> None:
    first, second = (Virtual([walker()], 3).draw(8) for _ in range(2))
    assert (first.rays == second.rays).all()
    assert (first.target[:, 0] == 0).all()
    assert first.rays.shape == (8, WINDOW, COUNT, 2)


def test_cameras_look_down() -> None:
    virtual = Virtual([walker()], 5)
    turn, _ = virtual._cameras(400)
    down = turn.numpy() @ np.array([0.0, 0.0, -1.0])
    # x right, y down, z forward: the floor is in front of a camera that looks down.
    pitch = np.degrees(np.arctan2(down[:, 2], down[:, 1]))
    assert 5 < np.median(pitch) < 15
    assert (pitch > 0).mean() > 0.7
    np.testing.assert_allclose(np.linalg.norm(down, axis=1), 1, rtol=1e-5)
