# SPDX-License-Identifier: Apache-2.0
"""NanoDet (g, 416): boxes of people, many at once. https://github.com/RangiLyu/nanodet

Box sides are distributions over 11 distances (generalised focal loss, arXiv 2006.04388).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..types import Array
from .letterbox import Detections, Letterbox, letterbox
from .topdown import nms

SIDE = 416
STRIDES = (8, 16, 32)
BINS = 11
PERSON = 0
"""Class of people among COCO's 80."""
MIN_SCORE = 0.35
MAX_OVERLAP = 0.55
_MEAN_BGR = np.array([103.53, 116.28, 123.675], np.float32)
_STD_BGR = np.array([57.375, 57.12, 58.395], np.float32)


def prepare(image: Array) -> tuple[Array, Letterbox]:
    """Input (1, 3, 416, 416) float32 of an image (H, W, 3) uint8 BGR."""
    canvas, where = letterbox(image, SIDE, (SIDE, SIDE))
    pixels = (canvas.astype(np.float32) - _MEAN_BGR) / _STD_BGR
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None]), where


def decode(
    classes: Sequence[Array],
    sides: Sequence[Array],
    where: Letterbox,
    min_score: float = MIN_SCORE,
    max_overlap: float = MAX_OVERLAP,
) -> Detections:
    """People of the outputs, which come by stride 8, 16, 32.

    classes: (1, n, 80) after the sigmoid. sides: (1, n, 44), left, top, right, bottom. max_overlap:
    intersection over union over which the lower score of two boxes goes.
    """
    boxes, scores = [], []
    for stride, shares, raw in zip(STRIDES, classes, sides):
        cells = SIDE // stride
        score = shares.reshape(cells * cells, -1)[:, PERSON].astype(float)
        chosen = np.flatnonzero(score > min_score)
        row, column = np.divmod(chosen, cells)
        centre = (np.stack([column, row], axis=1) + 0.5) * stride
        distance = _expectation(raw.reshape(cells * cells, 4, BINS)[chosen]) * stride
        boxes.append(np.concatenate([centre - distance[:, :2], centre + distance[:, 2:]], axis=1))
        scores.append(score[chosen])
    inside, score = np.concatenate(boxes), np.concatenate(scores)
    kept = nms(inside, score, max_overlap)
    corners = where.to_image(inside[kept].reshape(-1, 2, 2)).reshape(-1, 4)
    empty = np.zeros((len(kept), 0, 2))
    return Detections(corners, score[kept], empty, empty[..., 0])


def _expectation(logits: Array) -> Array:
    """(N, 4) mean bin of distributions (N, 4, bins)."""
    weights = np.exp(logits.astype(float) - logits.max(axis=-1, keepdims=True))
    return np.asarray(weights @ np.arange(BINS) / weights.sum(axis=-1))
