# SPDX-License-Identifier: Apache-2.0
"""Kalman filter of constant velocity for the places of people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..types import Array

# Standard deviations from frame to frame of x/z and y/z, and of log z, as placement leaves them.
_NOISE = np.array([0.004, 0.004, 0.02]) ** 2
_MEASURED = np.array([0.004, 0.004, 0.005]) ** 2  # where a depth image tells the distance
_ACCELERATION = 1.0  # m/s, that a velocity changes by within a second
_SPEED = 1.5  # m/s, of somebody who is new
_NEAR_M = 0.05


class Motion:
    """A person's place and velocity, filtered.

    Image points determine places across the view well and the distance badly: places are compared
    in x/z, y/z and log z, and move in metres.
    """

    def __init__(self) -> None:
        self.stamp_ns: int | None = None
        self.place = self.velocity = np.zeros(3)
        self.spread = np.zeros((3, 3))
        """Of each coordinate, a column: variance, covariance with its rate, variance of that."""


def follow(
    motions: Sequence[Motion], xyz: Array, stamp_ns: int, measured: Sequence[bool] | None = None
) -> tuple[Array, Array]:
    """Filtered places (P, 3) in metres before the camera, and velocities (P, 3) m/s; NaN: new.

    measured: whose distance a sensor tells.
    """
    places, velocities = xyz.copy(), np.full(xyz.shape, np.nan)
    for k, (motion, point) in enumerate(zip(motions, xyz)):
        z = float(point[2])
        if not z > _NEAR_M:
            motion.stamp_ns = None
        elif motion.stamp_ns is None or stamp_ns <= motion.stamp_ns:
            motion.place, motion.velocity, motion.stamp_ns = point.copy(), np.zeros(3), stamp_ns
            motion.spread = np.stack([_NOISE, np.zeros(3), np.full(3, (_SPEED / z) ** 2)])
        else:
            noise = _MEASURED if measured is not None and measured[k] else _NOISE
            places[k], velocities[k] = _moved(motion, point, stamp_ns, noise)
    return places, velocities


def _moved(motion: Motion, point: Array, stamp_ns: int, noise: Array) -> tuple[Array, Array]:
    """Place and velocity with a new measurement (3,) at a later time."""
    dt = (stamp_ns - (motion.stamp_ns or 0)) * 1e-9
    motion.stamp_ns = stamp_ns
    ahead, velocity = motion.place + dt * motion.velocity, motion.velocity
    z = max(float(ahead[2]), _NEAR_M)
    q = (_ACCELERATION / z) ** 2
    own, both, slope = motion.spread
    own = own + dt * (2 * both + dt * slope) + q * dt**3 / 3
    both = both + dt * slope + q * dt**2 / 2
    slope = slope + q * dt
    gain, turn = own / (own + noise), both / (own + noise)
    a, b = ahead[:2] / z
    off = np.array([point[0] / point[2] - a, point[1] / point[2] - b, np.log(point[2] / z)])
    along = np.exp(gain[2] * off[2])
    a, b = a + gain[0] * off[0], b + gain[1] * off[1]
    motion.place = z * along * np.array([a, b, 1.0])
    rate = turn * off
    rate[:2] += np.array([a, b]) * rate[2]
    motion.velocity = velocity + z * rate
    motion.spread = np.stack([own * (1 - gain), both * (1 - gain), slope - turn * both])
    return motion.place.copy(), motion.velocity.copy()
