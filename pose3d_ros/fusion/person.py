# SPDX-License-Identifier: Apache-2.0
"""A person over time: joints that move with constant velocity, and how well they are known."""

from __future__ import annotations

import numpy as np

from ..types import Array
from .triangulation import Points

_ACCELERATION = 8.0  # m/s² of joints, one standard deviation
_SPEED = 1.5  # m/s, of somebody who is new
# Errors of joints stay for long; only this share of them trembles from frame to frame, which is
# what a filter can take away.
_WHITE = 0.3
_GUESSED_S = 0.3  # for how long a joint that nobody sees is extrapolated
_STILL_S = 0.3  # after which somebody out of sight no longer goes on moving


class Person:
    """One id. xyz, velocity: (J, 3) m, m/s, fusion frame, NaN: never seen. covariance: (J, 3, 3)
    of the joints as measured last. tracks: camera -> its own id of this person. seen_ns: (J,).
    speed: (3,) m/s of the body. spread: (3, 3) m² of its place: errors of joints are alike.
    """

    def __init__(self, number: int, points: Points, velocity: Array, stamp_ns: int) -> None:
        joints = len(points.xyz)
        self.id = number
        self.stamp_ns = self.last_ns = stamp_ns
        self.born_ns = stamp_ns
        self.hits = 0
        self.tracks: dict[str, int] = {}
        self.xyz = np.full((joints, 3), np.nan)
        self.velocity = np.full((joints, 3), np.nan)
        self.covariance = np.full((joints, 3, 3), np.nan)
        self.seen_ns = np.full(joints, np.iinfo(np.int64).min // 2)
        self.takes_part = np.zeros((0, joints), dtype=bool)
        self.sources: list[str] = []
        self.speed = velocity
        self.spread = np.eye(3)
        zero = np.zeros((joints, 3, 3))
        self._pp, self._pv, self._vv = zero.copy(), zero.copy(), zero.copy()

    def ahead(self, stamp_ns: int) -> Array:
        """(J, 3) where the joints are expected at that time."""
        dt = (stamp_ns - self.stamp_ns) * 1e-9
        return self.xyz + min(dt, _STILL_S) * self.velocity

    @property
    def motion(self) -> Array:
        """(J, 3) m/s; that of the body for joints that are not followed."""
        followed = np.isfinite(self.velocity[:, :1])
        mean = np.add.reduce(np.where(followed, self.velocity, 0.0), axis=0)
        mean /= max(int(followed.sum()), 1)
        return np.where(followed, self.velocity, mean)

    def current(self, stamp_ns: int) -> Array:
        """(J,) whether a joint was seen a moment ago."""
        return np.asarray(stamp_ns - self.seen_ns <= _GUESSED_S * 1e9)

    def update(self, points: Points | None, stamp_ns: int) -> None:
        """Move on to a time, and take in what was measured then."""
        self._predict(stamp_ns)
        if points is None:
            return
        measured = np.isfinite(points.xyz[:, 0])
        fresh = measured & (~np.isfinite(self.xyz[:, 0]) | ~self.current(stamp_ns))
        self.xyz[fresh] = points.xyz[fresh]
        self.velocity[fresh] = self.speed
        self._pp[fresh] = _WHITE**2 * points.covariance[fresh]
        self._pv[fresh] = 0.0
        self._vv[fresh] = _SPEED**2 * np.eye(3)
        old = measured & ~fresh
        if old.any():
            pp, pv, vv = self._pp[old], self._pv[old], self._vv[old]
            inverse = np.linalg.inv(pp + _WHITE**2 * points.covariance[old])
            gain, rate = pp @ inverse, pv.swapaxes(1, 2) @ inverse
            wrong = (points.xyz[old] - self.xyz[old])[..., None]
            self.xyz[old] += (gain @ wrong)[..., 0]
            self.velocity[old] += (rate @ wrong)[..., 0]
            # What rounding makes unsymmetric would double from frame to frame.
            self._pp[old] = _symmetric(pp - gain @ pp)
            self._pv[old] = pv - gain @ pv
            self._vv[old] = _symmetric(vv - rate @ pv)
        self.covariance[measured] = points.covariance[measured]
        self.seen_ns[measured] = stamp_ns
        self.speed = self.motion.mean(axis=0)
        middle = np.sort(points.covariance[measured], axis=0)
        self.spread = middle[len(middle) // 2]
        self.last_ns = stamp_ns
        self.hits += 1

    def _predict(self, stamp_ns: int) -> None:
        dt = (stamp_ns - self.stamp_ns) * 1e-9
        if dt <= 0:
            return
        self.xyz = self.ahead(stamp_ns)
        if (stamp_ns - self.last_ns) * 1e-9 > _STILL_S:
            self.velocity = self.velocity * 0.0
        q = _ACCELERATION**2 * np.eye(3)
        self._pp = (
            self._pp + dt * (self._pv + self._pv.swapaxes(1, 2)) + dt**2 * self._vv
        ) + dt**4 / 4 * q
        self._pv = self._pv + dt * self._vv + dt**3 / 2 * q
        self._vv = self._vv + dt**2 * q
        self.stamp_ns = stamp_ns


def _symmetric(matrices: Array) -> Array:
    return np.asarray((matrices + matrices.swapaxes(1, 2)) / 2)
