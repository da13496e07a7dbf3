# SPDX-License-Identifier: Apache-2.0
"""The floor below a camera of which little is told, learnt from the people who stand on it.

Upright bodies say where up is, their feet how far below the camera the floor is, and both feet at
several distances which way it slopes. The scale comes from the sizes of bodies, unless the height
of the camera is told.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from ..settings.pipeline import PipelineConfig
from ..skeleton import joint_map
from ..types import Array, Floor, Frame, JointStatus, Pose3D
from .contact import feet_of
from .size import SHAPE_SIGMA

_MEMORY = 240  # observations
_EVERY_S = 0.2  # between those of one person
_FEWEST = 8
_RENEWED = 1.15  # factor of all observations so far after which the floor is fitted again
_STEADY = 20  # observations after which it is fitted again at the latest
_ALIKE = 3.0  # observations of one person that tell as much as one

_PITCH_SIGMA, _ROLL_SIGMA, _GRAVITY_SIGMA = 0.5, 0.1, 0.015  # radians
_HEIGHT_M, _HEIGHT_LOG_SIGMA = 1.3, 0.7  # of cameras of which nothing is told
_TOLD_HEIGHT_SIGMA_M = 0.03
_LEAN_SIGMA = 0.12  # radians, of somebody who stands
_LASTING_LEAN = 0.06  # radians, what all bodies of a network lean alike, seen from the side
_STEEP_LEAN = 0.2  # share of the pitch by which they lean, seen from above
_TILT_LIMIT, _HEIGHT_LIMIT = 0.12, 0.25  # radians, relative: over these it is not told


@dataclass(frozen=True, eq=False)
class _Observation:
    """Somebody in one frame. feet: (F, 3) m in the camera's frame at size 1; axis: (3,) or NaN."""

    person: int
    feet: Array
    clearances: Array
    axis: Array


class FloorMemory:
    """What people in front of one camera have shown of its floor.

    The camera's height and tilt above the floor must not change, though it may move along it.
    """

    def __init__(self) -> None:
        self._observations: deque[_Observation] = deque(maxlen=_MEMORY)
        self._last_ns: dict[int, int] = {}
        self._count = 0
        self._fitted = 0
        self._floor: Floor | None = None

    def add(self, pose: Pose3D, xyz: Array, stamp_ns: int) -> bool:
        """Take in a person; whether they showed something new.

        xyz: (J, 3) m in front of the camera, of the size the network sees.
        """
        last = self._last_ns.get(pose.track_id)
        if last is not None and 0 <= stamp_ns - last < _EVERY_S * 1e9:
            return False
        joints, clearances = feet_of(pose.skeleton)
        confidence = pose.confidence[joints]
        good = (
            (pose.status[joints] == JointStatus.MEASURED)
            & ~(confidence < 0.5)
            & np.isfinite(xyz[joints]).all(axis=1)
        )
        if good.any():
            axis = _axis(pose, xyz)
            observation = _Observation(pose.track_id, xyz[joints[good]], clearances[good], axis)
            self._observations.append(observation)
            self._last_ns[pose.track_id] = stamp_ns
            self._count += 1
        return bool(good.any())

    def forget(self, track_id: int) -> None:
        """Somebody does not come again; what they showed stays."""
        self._last_ns.pop(track_id, None)

    def floor(self, frame: Frame, config: PipelineConfig, size_sigma: float) -> Floor | None:
        """The floor of a frame, None while too little is known.

        size_sigma: relative standard deviation of the sizes that the network gives people.
        """
        due = self._count >= min(self._fitted * _RENEWED, self._fitted + _STEADY)
        if self._count >= _FEWEST and self._count > self._fitted and due:
            self._fitted = self._count
            self._floor = _fit(
                list(self._observations), frame.gravity, config.camera_height_m, size_sigma
            )
        return self._floor


def _axis(pose: Pose3D, xyz: Array) -> Array:
    """(3,) unit vector from the ankles to the shoulders; NaN where joints are missing."""
    names = [f'{side}_{joint}' for joint in ('ankle', 'shoulder') for side in ('left', 'right')]
    ends = []
    for parts in joint_map(pose.skeleton, names):
        measured = bool(parts) and (pose.status[list(parts)] == JointStatus.MEASURED).all()
        ends.append(xyz[list(parts)].mean(axis=0) if measured else np.full(3, np.nan))
    along = (ends[2] + ends[3] - ends[0] - ends[1]) / 2
    return np.asarray(along / np.linalg.norm(along))


def _fit(
    observations: list[_Observation],
    gravity: Array | None,
    camera_height_m: float,
    size_sigma: float,
) -> Floor | None:
    """Robust least squares of the normal, the height, and the size of each person."""
    up0 = np.array([0.0, -1.0, 0.0]) if gravity is None else -gravity
    side = np.cross(up0, [0.0, 0.0, 1.0])
    if np.linalg.norm(side) < 0.1:
        side = np.cross(up0, [0.0, -1.0, 0.0])
    side /= np.linalg.norm(side)
    ahead = np.cross(side, up0)
    level = np.stack([ahead, side], axis=1)
    pitch, roll = (_PITCH_SIGMA, _ROLL_SIGMA) if gravity is None else (_GRAVITY_SIGMA,) * 2
    height, height_sigma = _HEIGHT_M, _HEIGHT_LOG_SIGMA
    if camera_height_m:
        height, height_sigma = camera_height_m, _TOLD_HEIGHT_SIGMA_M / camera_height_m
    names = sorted({each.person for each in observations})
    person = np.array([names.index(each.person) for each in observations])
    widest = max(len(each.feet) for each in observations)
    feet = np.array([_padded(each.feet, widest) for each in observations])
    clearances = np.array([_padded(each.clearances, widest) for each in observations])
    axes = np.array([each.axis for each in observations])
    # Gravity that is told is better than any number of bodies.
    axes = axes[np.isfinite(axes).all(axis=1) & (gravity is None)]
    prior = np.array([pitch, roll, height_sigma, *[size_sigma] * len(names)])

    def normal(state: Array) -> Array:
        up = up0 + state[0] * ahead + state[1] * side
        return np.asarray(up / np.linalg.norm(up))

    def residuals(state: Array) -> Array:
        up = normal(state)
        # The foot that is farther below the camera stands.
        below = np.maximum((clearances - feet @ up).max(axis=1), 0.05)
        off = np.log(below / height) + state[3:][person] - state[2]
        lean = (axes - np.outer(axes @ up, up)) @ level
        return np.concatenate(
            [
                _robust(off[:, None] / (SHAPE_SIGMA * math.sqrt(_ALIKE))),
                _robust(lean / (_LEAN_SIGMA * math.sqrt(_ALIKE))),
                state / prior,
            ]
        )

    fit = least_squares(residuals, np.zeros(len(prior)))
    covariance = np.linalg.inv(fit.jac.T @ fit.jac)
    lasting = math.hypot(_LASTING_LEAN, _STEEP_LEAN * math.asin(float(normal(fit.x)[2])))
    tilt = math.hypot(math.sqrt(float(np.linalg.eigvalsh(covariance[:2, :2])[-1])), lasting)
    if gravity is not None:
        tilt = min(tilt, _GRAVITY_SIGMA)
    spread = math.sqrt(float(covariance[2, 2]))
    if tilt > _TILT_LIMIT or spread > _HEIGHT_LIMIT:
        return None
    height *= math.exp(fit.x[2])
    return Floor(normal(fit.x), height, tilt, spread * height)


def _padded(values: Array, count: int) -> Array:
    """The first axis filled up to a length with copies of the first entry."""
    return np.concatenate([values, np.repeat(values[:1], count - len(values), axis=0)])


def _robust(residuals: Array) -> Array:
    """Of (N, D) residuals those whose squares grow as Cauchy's loss of each row, flat.

    People who jump, sit or bend count little.
    """
    square = np.maximum((residuals * residuals).sum(axis=1, keepdims=True), 1e-12)
    return np.asarray((residuals * np.sqrt(np.log1p(square) / square)).ravel())
