# SPDX-License-Identifier: Apache-2.0
"""An image at the top left of a network's input, and what is detected there, in its own pixels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..types import Array


@dataclass(frozen=True)
class Detections:
    """People in an image, best first; pixels with the centre of the top-left pixel at (0, 0).

    boxes: (N, 4) x1, y1, x2, y2. scores: (N,) from 0 to 1. keypoints: (N, K, 2). confidence:
    (N, K) from 0 to 1. K is 0 for networks that give boxes alone. All may reach beyond the image.
    """

    boxes: Array
    scores: Array
    keypoints: Array
    confidence: Array

    def __post_init__(self) -> None:
        count, joints = len(self.scores), self.keypoints.shape[1]
        for name, shape in (
            ('boxes', (count, 4)),
            ('scores', (count,)),
            ('keypoints', (count, joints, 2)),
            ('confidence', (count, joints)),
        ):
            if getattr(self, name).shape != shape:
                raise ValueError(f'{name} must be {shape}, not {getattr(self, name).shape}')

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, chosen: Array) -> Detections:
        """Some of them, by indices or by a mask."""
        return Detections(
            self.boxes[chosen], self.scores[chosen], self.keypoints[chosen], self.confidence[chosen]
        )


@dataclass(frozen=True)
class Letterbox:
    """Where the image lies in the input.

    size: width, height of the input. scale: (2,) input pixels per image pixel, along x and y.
    """

    size: tuple[int, int]
    scale: Array

    def to_image(self, points: Array) -> Array:
        """(..., 2) image pixels of points of the input, which count from its corner."""
        return np.asarray(points, float) / self.scale - 0.5


def letterbox(
    image: Array, longer: int, size: tuple[int, int] | None = None, multiple: int = 1
) -> tuple[Array, Letterbox]:
    """Scale an image (H, W, 3) so that its longer side has a length, the rest of the input black.

    size: width, height of the input; None: the smallest multiples that hold the image.
    """
    height, width = image.shape[:2]
    if not height or not width:
        raise ValueError(f'an image of {width}x{height} pixels is empty')
    ratio = longer / max(width, height)
    inner = max(1, round(width * ratio)), max(1, round(height * ratio))
    if size is None:
        size = (-(-inner[0] // multiple) * multiple, -(-inner[1] // multiple) * multiple)
    # Of what is shrunk, every pixel counts; else thin and far limbs come and go.
    how = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
    canvas = np.zeros((size[1], size[0], 3), np.uint8)
    canvas[: inner[1], : inner[0]] = cv2.resize(image, inner, interpolation=how)
    return canvas, Letterbox(size, np.array([inner[0] / width, inner[1] / height]))
