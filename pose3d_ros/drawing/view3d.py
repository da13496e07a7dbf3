# SPDX-License-Identifier: Apache-2.0
"""A quick 3D view of skeletons, fast enough for every frame of a video.

People stand on a floor with lines every half metre and a height scale, viewed from beside and above
the camera, which is drawn where it is. Display axes: x right, y forward (the camera's z), z up
(minus the camera's y).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import cv2
import numpy as np

from ..camera import Camera
from ..types import Array, Pose3D
from .style import Colour, bones, confident_joints, label_of, neck, side_colour, track_colour

BACKGROUND: Colour = (252, 250, 248)
GRID: Colour = (222, 218, 214)
GRID_MAIN: Colour = (190, 184, 178)
SHADOW: Colour = (212, 206, 202)
TEXT: Colour = (120, 112, 106)
CAMERA: Colour = (110, 90, 70)

_AZIMUTH, _ELEVATION = np.radians(32.0), np.radians(20.0)
_SUPERSAMPLING = 2
_HEIGHT_M = 1.9
_EASE = 0.15
_MOST_STEPS = 24


class View3D:
    """Draws people of consecutive frames; the scene grows with them and does not jump."""

    def __init__(self, size: tuple[int, int] = (640, 480)) -> None:
        """size: width, height in pixels of the pictures."""
        self.size = size
        self._bounds: Array | None = None  # shown: x low, x high, depth low, depth high
        self._wanted: Array | None = None
        self._floor: float | None = None  # metres, display z

    def draw(self, poses: Sequence[Pose3D], camera: Camera | None = None) -> Array:
        """(H, W, 3) BGR picture of the people of one frame.

        camera: drawn at its place when the poses are absolute. Relative poses are put side by
        side, in their order in the image.
        """
        people = [(pose, points) for pose, points in placed(poses)]
        absolute = any(pose.absolute for pose in poses)
        self._settle(people, absolute)
        width, height = (int(v) * _SUPERSAMPLING for v in self.size)
        canvas = np.full((height, width, 3), BACKGROUND, np.uint8)
        if self._bounds is None:
            return _shrink(canvas, self.size)
        painter = _Painter(canvas, self._bounds, float(self._floor or 0.0))
        painter.grid()
        for pose, points in people:
            painter.shadow(pose, points)
        if absolute:
            painter.camera(camera)
        # The far ones first.
        for pose, points in sorted(people, key=lambda item: -painter.distance(item[1])):
            painter.person(pose, points)
        return _shrink(canvas, self.size)

    def _settle(self, people: list[tuple[Pose3D, Array]], absolute: bool) -> None:
        """Grow the scene to hold the people, and ease towards it."""
        finite = [points[np.isfinite(points).all(axis=1)] for _, points in people]
        everyone = np.concatenate(
            [points for points in finite if len(points)] or [np.zeros((0, 3))]
        )
        if len(everyone):
            low, high = everyone.min(axis=0), everyone.max(axis=0)
            feet = float(low[2])
            self._floor = (
                feet if self._floor is None else self._floor + _floor_step(feet, self._floor)
            )
            # Whole half metres, so that small movements change nothing.
            need = np.array(
                [
                    min(np.floor(2 * low[0] - 0.5) / 2, -1.0),
                    max(np.ceil(2 * high[0] + 0.5) / 2, 1.0),
                    0.0 if absolute else min(np.floor(2 * low[1] - 0.5) / 2, -1.0),
                    max(np.ceil(2 * high[1] + 0.5) / 2, 1.0),
                ]
            )
            before = need if self._wanted is None else self._wanted
            grow = np.array([-1, 1, -1, 1])
            self._wanted = grow * np.maximum(grow * before, grow * need)
        if self._wanted is not None:
            shown = self._wanted if self._bounds is None else self._bounds
            self._bounds = shown + _EASE * (self._wanted - shown)


def _grid_step(span: float) -> float:
    """Half a metre, or so much more that two dozen steps span a scene of that size in metres."""
    step = 0.5
    for factor in itertools.cycle((2, 2.5, 2)):
        if span / step <= _MOST_STEPS:
            break
        step *= factor
    return step


def _multiples(low: float, high: float, step: float) -> Array:
    """Multiples of a step from low to high."""
    return np.asarray(step * np.arange(math.ceil(low / step), math.floor(high / step) + 1))


def _is_multiple(value: float, step: float) -> bool:
    return bool(abs(value / step - round(value / step)) < 1e-6)


def _floor_step(feet: float, floor: float) -> float:
    """The floor is under the lowest feet; it follows down at once, and up only slowly (jumps)."""
    return feet - floor if feet < floor else 0.01 * (feet - floor)


def placed(poses: Sequence[Pose3D]) -> list[tuple[Pose3D, Array]]:
    """People with their joints (J, 3) on the axes of the display, metres."""
    middle = [
        float(np.nanmean(p.pixels[:, 0])) if np.isfinite(p.pixels).any() else 0 for p in poses
    ]
    rank = np.argsort(np.argsort(middle, kind='stable'))
    out = []
    for k, pose in enumerate(poses):
        points = pose.xyz @ np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
        if not pose.absolute:
            points[:, 0] += 1.2 * (rank[k] - (len(poses) - 1) / 2)
        out.append((pose, points))
    return out


def _shrink(canvas: Array, size: tuple[int, int]) -> Array:
    small: Array = cv2.resize(canvas, size, interpolation=cv2.INTER_AREA)
    return small


class _Painter:
    """Perspective drawing of one scene, fitted to the canvas."""

    def __init__(self, canvas: Array, bounds: Array, floor: float) -> None:
        self.canvas, self.bounds, self.floor = canvas, bounds, floor
        x0, x1, y0, y1 = bounds
        self.centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2, floor + _HEIGHT_M / 2])
        cos_a, sin_a = np.cos(_AZIMUTH), np.sin(_AZIMUTH)
        cos_e, sin_e = np.cos(_ELEVATION), np.sin(_ELEVATION)
        forward = np.array([-sin_a * cos_e, cos_a * cos_e, -sin_e])
        right = np.array([cos_a, sin_a, 0])
        self.axes = np.stack([right, np.cross(forward, right), forward])
        self.range = 2.2 * float(np.hypot(x1 - x0, y1 - y0)) + 2.0
        corners = np.array(
            [(x, y, z) for x in (x0, x1) for y in (y0, y1) for z in (floor, floor + _HEIGHT_M)]
        )
        self.scale, self.shift = 1.0, np.zeros(2)
        flat = self.flat(corners)
        low, high = flat.min(axis=0), flat.max(axis=0)
        size = np.array([canvas.shape[1], canvas.shape[0]], float)
        self.scale = float((0.88 * size / (high - low)).min())
        self.shift = size / 2 - self.scale * (low + high) / 2
        self.pixels_per_m = self.scale / self.range

    def flat(self, points: Array) -> Array:
        """(N, 2) canvas pixels of (N, 3) points on the display axes."""
        moved = (np.asarray(points, float) - self.centre) @ self.axes.T
        plane = moved[:, :2] / np.maximum(self.range + moved[:, 2:], 0.1)
        return np.asarray(self.scale * plane * [1, 1] + self.shift)

    def distance(self, points: Array) -> float:
        """Mean distance of points from the viewer, for the order of drawing."""
        moved = (points - self.centre) @ self.axes[2]
        return float(np.nanmean(moved)) if np.isfinite(moved).any() else 0.0

    def line(self, points: Array, colour: Colour, width: float) -> None:
        """Line through (N, 3) points; width in metres, at least a pixel."""
        flat = self.flat(points)
        if np.isfinite(flat).all() and np.abs(flat).max() < 1e5:
            px = max(1, round(width * self.pixels_per_m))
            path = np.rint(flat * 16).astype(np.int32)
            cv2.polylines(self.canvas, [path], False, colour, px, cv2.LINE_AA, 4)

    def grid(self) -> None:
        """Floor lines and a height scale, every half metre, coarser where the scene is large."""
        x0, x1, y0, y1 = self.bounds
        step, gap = _grid_step(max(x1 - x0, y1 - y0)), 0.18
        for x in _multiples(x0, x1, step):
            main = _is_multiple(x, 2 * step)
            self.line(self._on_floor((x, y0), (x, y1)), GRID_MAIN if main else GRID, 0)
            if main:
                self.text(f'{x:g}', (x, y0 - gap, self.floor))
        for y in _multiples(y0, y1, step):
            main = _is_multiple(y, 2 * step)
            self.line(self._on_floor((x0, y), (x1, y)), GRID_MAIN if main else GRID, 0)
            if main:
                self.text(f'{y:g}', (x1 + gap, y, self.floor))
        self.text('x right, m', ((x0 + x1) / 2, y0 - 2.6 * gap, self.floor))
        self.text('z forward, m', (x1 + 3 * gap, (y0 + y1) / 2, self.floor))
        top = self.floor + _HEIGHT_M
        self.line(np.array([(x1, y1, self.floor), (x1, y1, top)]), GRID_MAIN, 0)
        for z in _multiples(self.floor + 0.25, top, 0.5):
            self.line(np.array([(x1, y1, z), (x1 + gap / 3, y1, z)]), GRID_MAIN, 0)
            self.text(f'{z + 0.0:g}', (x1 + 1.3 * gap, y1, z))
        self.text('-y up, m', (x1, y1, top + 0.7 * gap))

    def _on_floor(self, *points: tuple[float, float]) -> Array:
        return np.array([(x, y, self.floor) for x, y in points])

    def text(self, text: str, place: tuple[float, float, float], colour: Colour = TEXT) -> None:
        """Text centred at a place, as far as it fits into the picture."""
        x, y = self.flat(np.array([place]))[0]
        height, width = self.canvas.shape[:2]
        scale = height / 1250
        (w, h), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
        where = (round(min(x - w / 2, width - w - h)), round(y + h / 2))
        cv2.putText(
            self.canvas, text, where, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 1, cv2.LINE_AA
        )

    def camera(self, camera: Camera | None) -> None:
        """The camera at the origin, with its field of view if that is known."""
        for line in camera_outline(camera):
            self.line(line, CAMERA, 0.012)
        self.line(np.array([(0, 0, 0), (0, 0, self.floor)]), GRID_MAIN, 0.008)

    def shadow(self, pose: Pose3D, points: Array) -> None:
        """The person's shadow straight below: shows where he stands."""
        below = points.copy()
        below[:, 2] = self.floor
        for a, b, _, minor in bones(pose.skeleton):
            if not minor:
                self.line(below[[a, b]], SHADOW, 0.06)

    def person(self, pose: Pose3D, points: Array) -> None:
        """Bones as outlined lines, the far ones first."""
        confident = confident_joints(pose)
        away = (points - self.centre) @ self.axes[2]
        lines = [
            bone for bone in bones(pose.skeleton) if np.isfinite(away[[bone[0], bone[1]]]).all()
        ]
        neck = neck_of(pose, points)
        if neck is not None:
            self.line(neck, side_colour('mid', pose.track_id), 0.03)
        for a, b, side, minor in sorted(lines, key=lambda bone: -(away[bone[0]] + away[bone[1]])):
            colour = side_colour(side, pose.track_id)
            if not (confident[a] and confident[b]):
                colour = _mix(colour, BACKGROUND, 0.55)
            width = 0.022 if minor else 0.042
            if not minor:
                self.line(points[[a, b]], _mix(colour, (0, 0, 0), 0.45), width + 0.016)
            self.line(points[[a, b]], colour, width)
        text = label_of(pose)
        tops = points[np.isfinite(points).all(axis=1)]
        if text and len(tops):
            top = tops[tops[:, 2].argmax()]
            x, y = self.flat((np.median(tops, axis=0) * [1, 1, 0] + [0, 0, top[2] + 0.22])[None])[0]
            scale = self.canvas.shape[0] / 1050
            (w, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 2)
            place = (round(x - w / 2), round(y))
            cv2.putText(
                self.canvas,
                text,
                place,
                cv2.FONT_HERSHEY_SIMPLEX,
                scale,
                _mix(track_colour(pose.track_id), (0, 0, 0), 0.25),
                2,
                cv2.LINE_AA,
            )


def neck_of(pose: Pose3D, points: Array) -> Array | None:
    """(2, 3) a line that joins a head to a body where the convention has none, or None."""
    pairs = neck(pose.skeleton)
    if pairs is None:
        return None
    ends = points[np.array(pairs)].mean(axis=1)
    return ends if np.isfinite(ends).all() else None


def camera_outline(camera: Camera | None) -> list[Array]:
    """Lines (N, 3) of a camera at the origin on the display axes, with its own field of view."""
    width, height = 0.8, 0.6
    if camera is not None:
        width, height = camera.size[0] / camera.K[0, 0], camera.size[1] / camera.K[1, 1]
    depth = 0.35
    x, z = depth * width / 2, depth * height / 2
    corners = np.array([(-x, depth, z), (x, depth, z), (x, depth, -z), (-x, depth, -z)])
    edges = [np.array([(0, 0, 0), corner]) for corner in corners]
    return [np.vstack([corners, corners[:1]]), *edges]


def _mix(a: Colour, b: Colour, share: float) -> Colour:
    """Colour between a and b."""
    return tuple(round((1 - share) * x + share * y) for x, y in zip(a, b))  # type: ignore[return-value]
