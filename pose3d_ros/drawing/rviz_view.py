# SPDX-License-Identifier: Apache-2.0
"""RViz's view `Orbit`: its viewpoint, and what it shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..types import Array

FOV_Y = math.pi / 4
"""Vertical field of view of RViz's cameras (Ogre's default), radians."""

_PITCH = 0.35
_MARGIN = 0.08  # of the window, that stays free around the people
_NEAREST_M, _FARTHEST_M = 3.0, 60.0
_HEIGHT_M, _HALF_WIDTH_M = 1.9, 0.5
_DISTANCES_M = (1.0, 3.0, 6.0)


@dataclass(frozen=True)
class Orbit:
    """A view around a focal point (3,) m. yaw, pitch: of the viewer about that point, radians."""

    focal: tuple[float, float, float]
    yaw: float
    pitch: float
    distance: float

    @property
    def eye(self) -> Array:
        """(3,) where the viewer is, as rviz_default_plugins' OrbitViewController places him."""
        cos_pitch = math.cos(self.pitch)
        away = np.array(
            [
                math.cos(self.yaw) * cos_pitch,
                math.sin(self.yaw) * cos_pitch,
                math.sin(self.pitch),
            ]
        )
        return np.array(self.focal) + self.distance * away

    def project(self, points: Array, size: tuple[int, int]) -> Array:
        """(N, 2) pixels of (N, 3) points in a view of that width and height; NaN behind it.

        z points up in the picture, which is what RViz's setFixedYawAxis says.
        """
        forward = np.array(self.focal) - self.eye
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0, 0, 1])
        right /= np.linalg.norm(right)
        axes = np.stack([right, np.cross(forward, right), forward])
        local = (np.asarray(points, float) - self.eye) @ axes.T
        depth = np.where(local[:, 2] > 0, local[:, 2], np.nan)
        focal_px = size[1] / 2 / math.tan(FOV_Y / 2)
        return np.asarray(focal_px * local[:, :2] / depth[:, None] + np.array(size) / 2)


@dataclass(frozen=True, eq=False)
class Viewpoint:
    """A camera in the frame that is shown. position (3,) m, forward (3,) and up (3,) unit vectors.

    floor_m: height of the floor there.
    """

    position: Array
    forward: Array
    up: Array
    floor_m: float = 0.0


def orbit_behind(cameras: Sequence[Viewpoint], size: tuple[int, int]) -> Orbit:
    """A view from behind and above, in the cameras' direction.

    People who stand 1 to 6 m in front of each camera are inside a view of that size in pixels.
    """
    people = np.concatenate([_people(camera) for camera in cameras])
    ahead = np.sum([_level(camera) for camera in cameras], axis=0)
    if np.linalg.norm(ahead) < 0.2:
        # They face one another.
        ahead = _level(cameras[0])
    yaw = math.atan2(-ahead[1], -ahead[0])
    low, high = people.min(axis=0), people.max(axis=0)
    x, y, _ = ((low + high) / 2).tolist()
    # The focal point may be lower than the people: near ones fill the view's lower half only.
    heights = np.linspace(low[2] - 2, high[2], 40).round(2).tolist()
    return min(
        (_nearest(Orbit((x, y, z), yaw, _PITCH, 0.0), people, size) for z in heights),
        key=lambda orbit: orbit.distance,
    )


def _nearest(orbit: Orbit, people: Array, size: tuple[int, int]) -> Orbit:
    """That view from the least distance at which it holds all points."""
    nearest, farthest = _NEAREST_M, _FARTHEST_M
    for _ in range(20):
        middle = (nearest + farthest) / 2
        if _holds(replace(orbit, distance=middle), people, size):
            farthest = middle
        else:
            nearest = middle
    return replace(orbit, distance=round(farthest, 2))


def _holds(orbit: Orbit, people: Array, size: tuple[int, int]) -> bool:
    """Whether all points are in the view, with a margin."""
    share = orbit.project(people, size) / size
    return bool(((share > _MARGIN) & (share < 1 - _MARGIN)).all())


def _level(camera: Viewpoint) -> Array:
    """(3,) unit vector, the horizontal direction in which a camera points."""
    for direction in (camera.forward, camera.up):
        flat = direction * [1, 1, 0]
        length = float(np.linalg.norm(flat))
        # A camera that points straight down has its upper edge ahead.
        if length > 0.1:
            return np.asarray(flat / length)
    return np.array([1.0, 0, 0])


def _people(camera: Viewpoint) -> Array:
    """(N, 3) corners of what people fill who stand in front of a camera."""
    ahead = _level(camera)
    aside = np.array([-ahead[1], ahead[0], 0])
    steep = math.hypot(*camera.forward[:2])
    return np.array(
        [
            camera.position * [1, 1, 0]
            + [0, 0, camera.floor_m + height]
            + ahead * distance * max(steep, 0.2)
            + aside * side
            for distance in _DISTANCES_M
            for side in (-_HALF_WIDTH_M, _HALF_WIDTH_M)
            for height in (0.0, _HEIGHT_M)
        ]
    )
