# SPDX-License-Identifier: Apache-2.0
"""A person over time."""

from __future__ import annotations

import numpy as np

from pose3d_ros.fusion.person import Person
from pose3d_ros.fusion.triangulation import Points

S = 1_000_000_000
REST = np.array([[0.0, 0, 1], [0.2, 0, 1.2], [0.4, 0.1, 0.3]])


def points(xyz) -> Points:
    return Points(xyz, np.tile(4e-4 * np.eye(3), (len(xyz), 1, 1)), np.ones((2, len(xyz))))


def walk(frames: int, rng: np.random.Generator) -> tuple[Person, np.ndarray]:
    person = Person(1, points(REST), np.zeros(3), 0)
    true = REST
    for k in range(frames):
        true = REST + np.array([1.2 * k / 30, 0, 0])
        person.update(points(true + 0.003 * rng.standard_normal(REST.shape)), round(k * S / 30))
    return person, true


def test_somebody_who_walks_is_followed_without_lag_for_long() -> None:
    person, true = walk(1000, np.random.default_rng(0))
    np.testing.assert_allclose(person.xyz, true, atol=0.012)
    np.testing.assert_allclose(person.velocity, np.tile([1.2, 0, 0], (3, 1)), atol=0.35)


def test_somebody_out_of_sight_goes_on_for_a_moment_then_stands() -> None:
    person, true = walk(60, np.random.default_rng(0))
    last = person.stamp_ns
    for k in range(1, 31):
        person.update(None, last + round(k * S / 30))
    moved = person.xyz[:, 0] - true[:, 0]
    assert (moved > 0.2).all()
    assert (moved < 0.6).all()
    assert not person.current(person.stamp_ns).any()


def test_a_joint_that_comes_back_starts_where_it_is() -> None:
    person, true = walk(60, np.random.default_rng(0))
    last = person.stamp_ns
    hidden = true.copy()
    hidden[2] = np.nan
    for k in range(1, 31):
        person.update(points(hidden + np.array([1.2 * k / 30, 0, 0])), last + round(k * S / 30))
    back = true + np.array([1.2 * 31 / 30, 0, 0.4])
    person.update(points(back), last + round(31 * S / 30))
    np.testing.assert_allclose(person.xyz[2], back[2], atol=1e-9)
