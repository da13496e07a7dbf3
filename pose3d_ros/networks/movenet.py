# SPDX-License-Identifier: Apache-2.0
"""MoveNet: everybody in an image (MultiPose), or the joints of one person (Thunder, Lightning).

Networks of Google's, https://www.tensorflow.org/hub/tutorials/movenet, 17 COCO keypoints each.
Their coordinates are shares of the input's height and width, counted from its corner.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .letterbox import Detections, Letterbox, letterbox

Array = NDArray[Any]

KEYPOINTS = 17
STRIDE = 32
"""MultiPose's input has multiples of this."""
MIN_SCORE = 0.2
"""Of MultiPose's people: at a longer side of 256 and 320 it kept all and invented none."""
PADDING = 1.3
"""Side of a crop, in extents of the joints."""


def prepare(image: Array, side: int) -> tuple[Array, Letterbox]:
    """MultiPose's input (1, H, W, 3) int32 RGB of an image (H, W, 3) uint8 BGR.

    side: what the longer side becomes, a multiple of 32; the network was made for 256.
    """
    if side < STRIDE or side % STRIDE:
        raise ValueError(f'the longer side must be a multiple of {STRIDE}, not {side}')
    canvas, where = letterbox(image, side, multiple=STRIDE)
    return cv2.cvtColor(canvas, cv2.COLOR_BGR2RGB).astype(np.int32)[None], where


def decode(output: Array, where: Letterbox, min_score: float = MIN_SCORE) -> Detections:
    """People of MultiPose's output (1, 6, 56); their keypoints are COCO's."""
    rows = np.asarray(output, float).reshape(-1, 3 * KEYPOINTS + 5)
    rows = rows[(rows[:, -1] > min_score) & np.isfinite(rows).all(axis=1)]
    rows = rows[np.argsort(-rows[:, -1], kind='stable')]
    joints = rows[:, : 3 * KEYPOINTS].reshape(-1, KEYPOINTS, 3)
    corners = rows[:, -5:-1].reshape(-1, 2, 2)  # ymin, xmin, ymax, xmax
    boxes = where.to_image(corners[..., ::-1] * where.size).reshape(-1, 4)
    keypoints = where.to_image(joints[..., 1::-1] * where.size)
    return Detections(boxes, rows[:, -1], keypoints, joints[..., 2])


def square(keypoints: Array, padding: float = PADDING) -> Array:
    """(3,) centre x, y and side of the crop around joints (K, 2); missing ones are NaN.

    ValueError without joints.
    """
    present = keypoints[np.isfinite(keypoints).all(axis=1)]
    if not len(present):
        raise ValueError('a crop needs at least one joint')
    low, high = present.min(axis=0), present.max(axis=0)
    return np.array([*(low + high) / 2, max(padding * float((high - low).max()), 1.0)])


def crop(image: Array, region: Array, side: int) -> Array:
    """Single-pose input (1, side, side, 3) int32 RGB of a region (3,), as `square` gives it."""
    x, y, extent = (float(value) for value in region)
    scale = side / extent
    middle = (side - 1) / 2
    matrix = np.array([[scale, 0, middle - scale * x], [0, scale, middle - scale * y]])
    pixels = cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_LINEAR)
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB).astype(np.int32)[None]


def decode_single(output: Array, region: Array) -> tuple[Array, Array]:
    """Keypoints (17, 2) in image pixels and confidence (17,) of an output (1, 1, 17, 3)."""
    joints = np.asarray(output, float).reshape(KEYPOINTS, 3)
    return region[:2] + (joints[:, 1::-1] - 0.5) * region[2], joints[:, 2]
