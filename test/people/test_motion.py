# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from pose3d_ros.people.motion import Motion, follow

TICK = 33_333_333


def test_a_walk_is_followed_without_lag() -> None:
    motion, start, speed = Motion(), np.array([-1.0, 0.3, 6.0]), np.array([0.5, 0.0, -1.2])
    rng = np.random.default_rng(0)
    late = []
    for k in range(90):
        true = start + speed * k / 30
        noisy = true * (1 + rng.normal(0, 0.01))
        (place,), (velocity,) = follow([motion], noisy[None], k * TICK)
        late.append((place - true)[2])
    assert abs(np.mean(late[30:])) < 0.02
    np.testing.assert_allclose(velocity, speed, atol=0.3)


def test_noise_of_somebody_who_stands_shrinks() -> None:
    motion, true = Motion(), np.array([0.5, 0.0, 4.0])
    rng = np.random.default_rng(0)
    raw = [true * (1 + rng.normal(0, 0.01)) for _ in range(200)]
    places = [follow([motion], point[None], k * TICK)[0][0] for k, point in enumerate(raw)]
    assert np.std(np.array(places)[50:, 2]) < 0.6 * np.std(np.array(raw)[50:, 2])


def test_time_that_stands_or_goes_back_begins_anew() -> None:
    motion = Motion()
    follow([motion], np.array([[0, 0, 4.0]]), 5 * TICK)
    for stamp in (5 * TICK, 0):
        places, velocities = follow([motion], np.array([[0.5, 0, 2.0]]), stamp)
        np.testing.assert_allclose(places, [[0.5, 0, 2.0]])
        assert np.isnan(velocities).all()


def test_what_is_behind_the_camera_passes() -> None:
    motion = Motion()
    follow([motion], np.array([[0, 0, 1.0]]), 0)
    places, velocities = follow([motion], np.array([[0.1, 0, -1.0]]), TICK)
    np.testing.assert_allclose(places, [[0.1, 0, -1.0]])
    assert np.isnan(velocities).all()
