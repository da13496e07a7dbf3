# SPDX-License-Identifier: Apache-2.0
"""Which camera disagrees, and by how much."""

from __future__ import annotations

import math

import numpy as np

from pose3d_ros.fusion.corrections import Corrections
from pose3d_ros.fusion.triangulation import Rays

S = 1_000_000_000
TURN = np.array([0.02, -0.01, 0.03])


def learn(cameras: int, turn=TURN, clock_s: float = 0.0) -> Corrections:
    """The last camera's rays are turned the other way and its stamps are late."""
    rng = np.random.default_rng(0)
    angles = np.arange(cameras) * 2 * math.pi / 3
    places = np.stack([4 * np.cos(angles), 4 * np.sin(angles), 1.5 + 0 * angles], axis=1)
    out = Corrections()
    names = [f'cam{k}' for k in range(cameras)]
    for name in names:
        out.add_camera(name)
    for k in range(60):
        joints = rng.normal((0, 0, 1), 0.5, (15, 3))
        velocity = np.tile(rng.normal(0, 1, 3), (15, 1))
        shown = np.repeat(joints[None], cameras, axis=0)
        shown[-1] -= clock_s * velocity  # as they were so long before the stamp
        away = shown - places[:, None]
        depth = np.linalg.norm(away, axis=2)
        directions = away / depth[..., None]
        directions[-1] -= np.cross(turn, directions[-1])
        directions += rng.normal(0, 0.003, directions.shape)
        directions /= np.linalg.norm(directions, axis=2, keepdims=True)
        origins = np.repeat(places[:, None], 15, axis=1)
        out.forget(k * S // 10)
        out.add(names, Rays(origins, directions, np.full(depth.shape, 0.02)), depth, velocity)
    out.solve()
    return out


def test_a_turned_camera_is_named_and_its_turn_measured() -> None:
    learnt = learn(3)
    assert list(learnt.applied) == ['cam2']
    np.testing.assert_allclose(learnt.applied['cam2'].turn, TURN, atol=0.004)
    assert 'turned by about 2.1 degrees' in str(learnt.applied['cam2'])


def test_a_clock_that_is_off_is_measured() -> None:
    learnt = learn(3, turn=np.zeros(3), clock_s=0.08)
    assert list(learnt.applied) == ['cam2']
    assert abs(learnt.applied['cam2'].clock_s - 0.08) < 0.01
    assert 'ms late' in str(learnt.applied['cam2'])


def test_nothing_is_corrected_where_nothing_is_wrong() -> None:
    learnt = learn(3, turn=np.zeros(3))
    assert learnt.applied == {}
    assert learnt.suspects == ()


def test_of_two_cameras_nobody_knows_which_is_wrong() -> None:
    learnt = learn(2)
    assert learnt.applied == {}
    assert set(learnt.suspects) == {'cam0', 'cam1'}
