# SPDX-License-Identifier: Apache-2.0
"""Crops and decoding of Convolutional Pose Machines (1602.00134) in Lifting from the Deep.

Images are scaled to 368 rows, RGB, value / 255 - 0.5. Centres and joints are (row, column).
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage

from ..types import Array

SIZE = 368
STRIDE = 8
JOINTS = 14
MOST_PEOPLE = 4  # of the published program
_PAD = 200
_PEAK_CONTRAST, _PEAK_HEIGHT = 0.3, 0.4
_CENTRE_SIGMA = 25.0
_VISIBLE = 1e-3


def scaled(image: Array) -> tuple[Array, float]:
    """(368, W, 3) float32 network input of a BGR image, and the scale."""
    scale = SIZE / image.shape[0]
    width = max(round(image.shape[1] * scale), STRIDE)
    rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    resized = cv2.resize(rgb, (width, SIZE), interpolation=cv2.INTER_CUBIC)
    return (resized.astype(np.float32) / np.float32(255) - np.float32(0.5)), scale


def enlarged(maps: Array, height: int, width: int) -> Array:
    """(..., height, width) of maps (..., h, w), bilinear at index times in/out, clamped."""

    def weights(size: int, small: int) -> tuple[Array, Array, Array]:
        position = (np.arange(size, dtype=np.float32) * np.float32(small / size)).astype(float)
        low = np.minimum(np.floor(position).astype(int), small - 1)
        return low, np.minimum(low + 1, small - 1), position - low

    low, high, part = weights(height, maps.shape[-2])
    rows = maps[..., low, :] * (1 - part)[:, None] + maps[..., high, :] * part[:, None]
    low, high, part = weights(width, maps.shape[-1])
    return np.asarray(rows[..., low] * (1 - part) + rows[..., high] * part)


def centres(heatmap: Array, limit: int = MOST_PEOPLE) -> Array:
    """(N, 2) row and column of people in the enlarged map (368, W), in raster order."""
    values = 256 * heatmap
    high = ndimage.maximum_filter(values, 3)
    low = ndimage.minimum_filter(values, 3)
    labels, _ = ndimage.label((values == high) & (high - low > _PEAK_CONTRAST))
    peaks = []
    for rows, columns in ndimage.find_objects(labels):
        row, column = (rows.start + rows.stop - 1) // 2, (columns.start + columns.stop - 1) // 2
        if heatmap[row, column] > _PEAK_HEIGHT:
            peaks.append((row, column))
    return np.array(peaks[:limit], dtype=int).reshape(-1, 2)


def crops(image: Array, people: Array) -> Array:
    """(N, 368, 368, 3) about the centres (N, 2) of a scaled image, mid grey outside."""
    padded = np.pad(image, ((_PAD, _PAD), (_PAD, _PAD), (0, 0)))
    first = people + _PAD - SIZE // 2
    parts = [padded[row : row + SIZE, column : column + SIZE] for row, column in first]
    return np.array(parts, dtype=np.float32).reshape(-1, SIZE, SIZE, 3)


def centre_map() -> Array:
    """(368, 368) of the person wanted; 1 at index 184."""
    offset = (np.arange(SIZE) - SIZE // 2) / _CENTRE_SIGMA
    return np.asarray(np.exp(-(offset[:, None] ** 2 + offset**2)), dtype=np.float32)


def joints(heatmaps: Array, height: int = SIZE, width: int = SIZE) -> tuple[Array, Array]:
    """(N, 14, 2) row and column of the peaks, (N, 14) likelihoods, of maps (N, >= 14, h, w)."""
    large = enlarged(heatmaps[:, :JOINTS].astype(np.float32), height, width)
    index = large.reshape(*large.shape[:2], -1).argmax(axis=2)
    likelihood = large.mean(axis=2).max(axis=2)
    return np.stack([index // width, index % width], axis=2), likelihood


def visible(likelihood: Array) -> Array:
    """(N, 14) whether the published program counts the joint as visible."""
    return np.asarray(likelihood > _VISIBLE)
