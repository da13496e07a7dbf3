# SPDX-License-Identifier: Apache-2.0
"""Image points of an upright camera, and the pitch of the real one.

A lifter that turns shapes about the vertical needs level, parallel views. Rays are turned into a
camera that faces the person with gravity straight down; perspective is taken out with the depths
of a first fit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ...types import Array

# Of the camera's pitch, before anybody was in view: most cameras point down a little.
_EXPECTED, _EXPECTED_SIGMA = math.radians(8), math.radians(15)
_GRID = np.radians(np.arange(-25.0, 56.0, 10.0))
_MEMORY = 0.97  # of the evidence, per update
_OFTEN, _SELDOM = 10, 10  # updates at every frame, then at every so many frames


def down(pitch: float) -> Array:
    """(3,) direction of gravity in the optical frame of a camera pitched down by the angle."""
    return np.array([0.0, math.cos(pitch), math.sin(pitch)])


def level_rotation(gravity: Array, towards: Array) -> Array | None:
    """(3, 3), x_level = R @ x_camera: x right, y down along gravity, z level towards the person.

    None if the person is straight below or above.
    """
    right = np.cross(gravity, towards)
    length = float(np.linalg.norm(right))
    if length < 0.2 * float(np.linalg.norm(towards)):
        return None
    right /= length
    return np.stack([right, gravity, np.cross(right, gravity)])


@dataclass(frozen=True, eq=False)
class LevelView:
    """points: (J, 2) x/z, y/z in the level camera. R: see level_rotation. observed: (J,) usable."""

    points: Array
    R: Array
    observed: Array

    @classmethod
    def of(cls, rays: Array, observed: Array, gravity: Array) -> LevelView | None:
        """From rays (J, 2) x/z, y/z of the camera; None if no level camera sees the joints."""
        observed = observed & np.isfinite(rays).all(axis=1)
        if not observed.any():
            return None
        full = np.column_stack([np.where(observed[:, None], rays, 0.0), np.ones(len(rays))])
        R = level_rotation(gravity, full[observed].mean(axis=0))
        if R is None:
            return None
        turned = full @ R.T
        observed = observed & (turned[:, 2] > 0.15)
        if not observed.any():
            return None
        points = np.where(observed[:, None], turned[:, :2] / np.maximum(turned[:, 2:], 0.15), 0.0)
        return cls(points, R, observed)

    @property
    def extended(self) -> bool:
        """Whether the joints are not all in one place."""
        return bool(np.ptp(self.points[self.observed], axis=0).max() > 1e-6)

    def to_camera(self, shape: Array) -> Array:
        """(J, 3) along the camera's axes of a shape (3, J) x right, y away, z up."""
        return np.asarray(np.stack([shape[0], -shape[2], shape[1]], axis=1) @ self.R)

    def parallel(self, shape: Array, distance: float) -> Array:
        """The points (J, 2) without perspective, by a shape at that distance (same unit)."""
        away = shape[1] - shape[1][self.observed].mean()
        return np.asarray(self.points * np.maximum(1 + away / distance, 0.2)[:, None])


@dataclass
class PitchEstimate:
    """Pitch of one camera, in radians, from how well people fit at each pitch."""

    costs: Array = field(default_factory=lambda: np.zeros(len(_GRID)))
    updates: int = 0
    frames: int = 0

    @property
    def due(self) -> bool:
        """Whether the next frame should be used."""
        return self.updates < _OFTEN or self.frames % _SELDOM == 0

    def add(self, costs: Callable[[Array], Array]) -> None:
        """Evidence of one person: costs (negative log likelihoods) of pitches."""
        values = costs(_GRID)
        if np.isfinite(values).all():
            self.costs = _MEMORY * self.costs + values - values.min()
            self.updates += 1

    @property
    def pitch(self) -> float:
        """The most probable pitch, between the points of the grid too."""
        total = self.costs + 0.5 * ((_GRID - _EXPECTED) / _EXPECTED_SIGMA) ** 2
        k = int(np.clip(total.argmin(), 1, len(_GRID) - 2))
        left, middle, right = total[k - 1 : k + 2]
        bend = left - 2 * middle + right
        shift = 0.5 * (left - right) / bend if bend > 1e-9 else 0.0
        return float(_GRID[k] + np.clip(shift, -1, 1) * (_GRID[1] - _GRID[0]))
