# SPDX-License-Identifier: Apache-2.0
"""Decoding of heat maps and similarity of keypoints as MMPose has them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


COCO_SIGMAS = np.array(
    [.026, .025, .025, .035, .035, .079, .079, .072, .072, .062, .062, .107, .107, .087, .087,
     .089, .089]
)  # fmt: skip


def heatmap_peaks(maps: Array) -> tuple[Array, Array]:
    """(K, 2) input pixels and (K,) scores of maps (K, H, W) of a quarter of the input's size."""
    joints, height, width = maps.shape
    flat = maps.reshape(joints, -1)
    at, scores = flat.argmax(axis=1), flat.max(axis=1)
    place = np.stack([at % width, at // width], axis=1).astype(np.float32)
    for k, (px, py) in enumerate(place.astype(int)):
        if 1 < px < width - 1 and 0 < py < height:
            place[k, 0] += 0.25 * np.sign(maps[k, py, px + 1] - maps[k, py, px - 1])
        if 1 < py < height - 1 and 0 < px < width:
            place[k, 1] += 0.25 * np.sign(maps[k, py + 1, px] - maps[k, py - 1, px])
    place[scores <= 0] = -1
    return place * 4, scores


def oks(a: Array, b: Array, area: float, sigmas: Array = COCO_SIGMAS) -> float:
    """Similarity of two sets of keypoints (K, 2) of bodies of that area."""
    square = ((a[:, :2] - b[:, :2]) ** 2).sum(axis=1)
    return float(np.exp(-square / (2 * (2 * sigmas) ** 2 * (area + np.spacing(1)))).mean())
