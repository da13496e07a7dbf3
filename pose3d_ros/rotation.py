# SPDX-License-Identifier: Apache-2.0
"""Cameras that are mounted turned: networks see images upright, results are as these came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .camera import turned_pixels, turned_rotation
from .errors import InputError
from .types import Frame, Pose3D

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class TurnedFrame(Frame):
    """A frame after turned(). original: as it came. degrees: clockwise."""

    original: Frame | None = None
    degrees: int = 0


def turned(frame: Frame, degrees: int) -> tuple[Frame, str]:
    """The frame with everything in it turned clockwise by 0, 90, 180 or 270 degrees.

    Its camera is None, and the second value says why, where the calibration cannot be turned.
    """
    if degrees == 0:
        return frame, ''
    camera, problem = None, ''
    try:
        camera = frame.camera.turned(degrees) if frame.camera else None
    except InputError as error:
        problem = str(error)
    keypoints = frame.keypoints
    upright = TurnedFrame(
        image=_turned_image(frame.image, degrees),
        stamp_ns=frame.stamp_ns,
        frame_id=frame.frame_id,
        camera=camera,
        depth=None if frame.depth is None else _turned_image(frame.depth, degrees),
        source=frame.source,
        boxes=None if frame.boxes is None else _turned_boxes(frame.boxes, frame.size, degrees),
        keypoints=keypoints and [_turned_pose(pose, frame.size, degrees) for pose in keypoints],
        gravity=None if frame.gravity is None else turned_rotation(degrees) @ frame.gravity,
        floor=frame.floor and replace(frame.floor, up=turned_rotation(degrees) @ frame.floor.up),
        original=frame,
        degrees=degrees,
    )
    return upright, problem


def restored(frame: Frame, people: Sequence[Pose3D]) -> tuple[Frame, list[Pose3D]]:
    """What turned() took, its camera and floor as they were used, and its people."""
    if not isinstance(frame, TurnedFrame) or frame.original is None:
        return frame, list(people)
    original = frame.original if frame.camera else replace(frame.original, camera=None)
    back = -frame.degrees % 360
    if frame.floor is not None:
        floor = replace(frame.floor, up=turned_rotation(back) @ frame.floor.up)
        original = replace(original, floor=floor)
    return original, [_turned_pose(pose, frame.size, back) for pose in people]


def _turned_image(image: Array, degrees: int) -> Array:
    return np.ascontiguousarray(np.rot90(image, -degrees // 90))


def _turned_boxes(boxes: Array, size: tuple[int, int], degrees: int) -> Array:
    """Boxes (N, 5) x, y, width, height in pixels, and score; they reach half a pixel outwards."""
    corners = np.stack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:4]]) - 0.5
    corners = turned_pixels(corners, size, degrees) + 0.5
    low, high = corners.min(axis=0), corners.max(axis=0)
    return np.column_stack([low, high - low, boxes[:, 4]])


def _turned_pose(pose: Pose3D, size: tuple[int, int], degrees: int) -> Pose3D:
    """A pose in an image of that width and height, in the turned one."""
    R = turned_rotation(degrees)
    return pose.replace(
        xyz=pose.xyz @ R.T,
        pixels=turned_pixels(pose.pixels, size, degrees),
        covariance=None if pose.covariance is None else R @ pose.covariance @ R.T,
        velocity=R @ pose.velocity,
    )
