# SPDX-License-Identifier: Apache-2.0
"""Which camera disagrees with the others, and by how much it is turned or its clock is off.

Rays of two cameras to one joint should meet. By how far they miss each other is linear in small
turns of the cameras and in errors of their stamps (a person moves meanwhile), so that seconds of
people tell both by least squares. The one camera whose turn and clock explain most is to blame.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..types import Array
from .triangulation import Rays

_MEMORY_S = 2.0
_MIN_SINE = 0.15
_CUT_M = 0.3  # misses far over that are of wrong people
_DATA = 1 / 5  # misses of neighbouring joints and frames are alike: so few count as independent
# What cameras are off by, before anything is measured.
_TURN_SIGMA, _CLOCK_SIGMA_S = 0.05, 0.1
_MIN_DATA = 15.0
# Less is not worth a word, as a cost; what is corrected goes on until it is half as much.
_TURN, _CLOCK_S = math.radians(1.0), 0.02
# Least that it must explain of what all misses cost, absolute and as a share; detectors err alike
# from frame to frame, which looks like a turn. And how much more than any other camera.
_EXPLAINS, _CLOCK_SHARE, _TURN_SHARE, _CLEAR = 6.0, 0.06, 0.2, 1.3
_NEXT, _LAST = [1, 2, 0], [2, 0, 1]
_SIZE = 4  # turn about three axes, seconds
_PRIOR = np.diag([1 / _TURN_SIGMA**2] * 3 + [1 / _CLOCK_SIGMA_S**2])


@dataclass(frozen=True, eq=False)
class Correction:
    """What a camera is off by. turn: (3,) radians, by which its rays are turned in the fusion
    frame to be right. clock_s: its stamps are late by so much.
    """

    turn: Array
    clock_s: float

    @property
    def angle(self) -> float:
        """Of the turn, radians."""
        return float(np.linalg.norm(self.turn))

    def __str__(self) -> str:
        parts = []
        if self.angle > _TURN / 2:
            parts.append(f'turned by about {math.degrees(self.angle):.1f} degrees')
        if abs(self.clock_s) > _CLOCK_S / 2:
            late = 'late' if self.clock_s > 0 else 'early'
            parts.append(f'its stamps are about {abs(self.clock_s) * 1e3:.0f} ms {late}')
        return ', '.join(parts)


class Corrections:
    """Sums over the last seconds, and what they say of each camera. names: of the cameras."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.applied: dict[str, Correction] = {}
        self.suspects: tuple[str, ...] = ()
        """Cameras that disagree where it cannot be told which of them is wrong."""
        self._H = np.zeros((0, 0))
        self._g = np.zeros(0)
        self._total = self._weight = 0.0
        self._stamp_ns: int | None = None

    def add_camera(self, name: str) -> None:
        """Know of a camera."""
        if name not in self.names:
            self.names.append(name)
            self._H = np.pad(self._H, ((0, _SIZE), (0, _SIZE)))
            self._g = np.pad(self._g, (0, _SIZE))

    def forget(self, stamp_ns: int) -> None:
        """Let what is old fade, once a frame before add()."""
        if self._stamp_ns is not None:
            share = math.exp(-max(stamp_ns - self._stamp_ns, 0) * 1e-9 / _MEMORY_S)
            self._H *= share
            self._g *= share
            self._total *= share
            self._weight *= share
        self._stamp_ns = stamp_ns

    def add(self, sources: Sequence[str], rays: Rays, depth: Array, velocity: Array) -> None:
        """Take in a person. rays: as corrected so far. depth: (C, J) metres along them. velocity:
        (J, 3) m/s.
        """
        rows = [self.names.index(name) for name in sources]
        for a, b in itertools.combinations(range(len(rows)), 2):
            da, db = rays.directions[a], rays.directions[b]
            n = _cross(da, db)
            sine = np.sqrt(np.add.reduce(n * n, axis=1))
            good = (sine > _MIN_SINE) & np.isfinite(depth[a]) & np.isfinite(depth[b])
            if not good.any():
                continue
            n, da, db = n[good] / sine[good, None], da[good], db[good]
            apart = rays.origins[a, good] - rays.origins[b, good]
            miss = np.add.reduce(n * apart, axis=1)
            moving = np.add.reduce(n * velocity[good], axis=1)
            left = np.column_stack([depth[a, good, None] * _cross(da, n), moving])
            right = -np.column_stack([depth[b, good, None] * _cross(db, n), moving])
            slope = np.concatenate([left, right], axis=1)
            w = 1 / (rays.sigma[a, good] ** 2 + rays.sigma[b, good] ** 2)
            w = _DATA * w / (1 + (miss / _CUT_M) ** 2) ** 2
            # As if nothing was corrected, so that sums stay valid when corrections change.
            miss = miss - slope @ np.concatenate([self._now(rows[a]), self._now(rows[b])])
            index = np.r_[
                rows[a] * _SIZE : rows[a] * _SIZE + _SIZE, rows[b] * _SIZE : rows[b] * _SIZE + _SIZE
            ]
            self._H[np.ix_(index, index)] += slope.T @ (w[:, None] * slope)
            self._g[index] += slope.T @ (w * miss)
            self._total += float(w @ miss**2)
            self._weight += float(len(w)) * _DATA

    def _now(self, row: int) -> Array:
        applied = self.applied.get(self.names[row])
        return np.zeros(_SIZE) if applied is None else np.r_[applied.turn, applied.clock_s]

    def solve(self) -> None:
        """Say anew which cameras are off and by how much."""
        self.suspects = ()
        if self._weight < _MIN_DATA:
            return
        z = np.concatenate([self._now(row) for row in range(len(self.names))])
        for name in list(self.applied):
            block = self._block(name)
            z[block] = self._best(block, z)[0]
            if not _matters(z[block]):
                z[block] = 0.0
        left = max(self._total + float(z @ self._H @ z) + 2 * float(z @ self._g), 1e-9)
        others = [name for name in self.names if not np.any(z[self._block(name)])]
        gains: Mapping[str, tuple[Array, float]] = {
            name: self._best(self._block(name), z) for name in others
        }
        ranked = sorted(gains, key=lambda name: -gains[name][1])
        # With two cameras nobody can say which one is right.
        right = len(others) - 1
        if ranked and _is_fault(*gains[ranked[0]], left):
            first = gains[ranked[0]][1]
            rivals = [name for name in ranked[1:] if gains[name][1] * _CLEAR > first]
            if rivals or right < 2:
                self.suspects = (ranked[0], *(rivals or ranked[1:]))
            else:
                z[self._block(ranked[0])] = gains[ranked[0]][0]
        self.applied = {
            name: Correction(z[block][:3].copy(), float(z[block][3]))
            for name in self.names
            if np.any(z[block := self._block(name)])
        }

    def _block(self, name: str) -> slice:
        row = self.names.index(name)
        return slice(row * _SIZE, row * _SIZE + _SIZE)

    def _best(self, block: slice, z: Array) -> tuple[Array, float]:
        """The best values (4,) of one camera, the others as they are, and what they explain."""
        others = z.copy()
        others[block] = 0.0
        pull = self._g[block] + self._H[block] @ others
        best = -np.linalg.solve(self._H[block, block] + _PRIOR, pull)
        return best, -float(pull @ best)


def _cross(a: Array, b: Array) -> Array:
    """(N, 3) as np.cross, which takes thrice as long for few vectors."""
    return np.asarray(a[:, _NEXT] * b[:, _LAST] - a[:, _LAST] * b[:, _NEXT])


def _is_fault(values: Array, gain: float, total: float) -> bool:
    """Whether what a camera is off by is more than the errors of a detector may look like."""
    turns = float(np.linalg.norm(values[:3])) > _TURN and gain > _TURN_SHARE * total
    late = abs(float(values[3])) > _CLOCK_S and gain > _CLOCK_SHARE * total
    return gain > _EXPLAINS and (turns or late)


def _matters(values: Array) -> bool:
    """Whether it is still half as much as what is first noticed."""
    turn = float(np.linalg.norm(values[:3]))
    return turn > _TURN / 2 or abs(float(values[3])) > _CLOCK_S / 2
