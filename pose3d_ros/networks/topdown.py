# SPDX-License-Identifier: Apache-2.0
"""Arithmetic of top-down 2D networks: letter-box, boxes, crops, SimCC and heat maps, suppression.

Boxes here are x1, y1, x2, y2 in pixels. Formulas after MMPose's and YOLOX's own exports.
"""

from __future__ import annotations

import cv2
import numpy as np

from ..types import Array

Size = tuple[int, int]

MEAN_RGB = np.array([123.675, 116.28, 103.53], np.float32)
STD_RGB = np.array([58.395, 57.12, 57.375], np.float32)
PADDING = 1.25


def letterbox(image: Array, size: Size) -> tuple[Array, float]:
    """The image at the top left of a grey canvas (width, height), and how much it was scaled."""
    width, height = size
    ratio = min(height / image.shape[0], width / image.shape[1])
    inner = int(image.shape[1] * ratio), int(image.shape[0] * ratio)
    canvas = np.full((height, width, 3), 114, np.uint8)
    canvas[: inner[1], : inner[0]] = cv2.resize(image, inner, interpolation=cv2.INTER_LINEAR)
    return canvas, ratio


def nms(boxes: Array, scores: Array, threshold: float) -> list[int]:
    """Indices of the boxes kept, best first. A box has one more pixel than its difference."""
    x1, y1, x2, y2 = boxes.T
    areas = (x2 - x1 + 1) * (y2 - y1 + 1)
    order = np.argsort(-scores, kind='stable')
    kept = []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(int(best))
        width = np.minimum(x2[best], x2[rest]) - np.maximum(x1[best], x1[rest]) + 1
        height = np.minimum(y2[best], y2[rest]) - np.maximum(y1[best], y1[rest]) + 1
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        overlap = shared / (areas[best] + areas[rest] - shared)
        order = rest[overlap <= threshold]
    return kept


def yolox_boxes(raw: Array, size: Size, ratio: float) -> tuple[Array, Array]:
    """Boxes (A, 4) in the image and scores (A, classes) of a raw output (A, 5 + classes)."""
    width, height = size
    grids, strides = [], []
    for stride in (8, 16, 32):
        rows, columns = height // stride, width // stride
        x, y = np.meshgrid(np.arange(columns), np.arange(rows))
        grids.append(np.stack([x, y], axis=-1).reshape(-1, 2))
        strides.append(np.full((rows * columns, 1), stride))
    grid, stride_of = np.concatenate(grids), np.concatenate(strides)
    centre = (raw[:, :2] + grid) * stride_of
    half = np.exp(raw[:, 2:4]) * stride_of / 2
    boxes = np.concatenate([centre - half, centre + half], axis=1) / ratio
    return boxes, raw[:, 4:5] * raw[:, 5:]


def yolox_people(
    raw: Array, size: Size, ratio: float, min_score: float = 0.7, overlap: float = 0.45
) -> tuple[Array, Array, Array]:
    """Boxes, scores and classes after suppression in each class by itself."""
    boxes, scores = yolox_boxes(raw, size, ratio)
    detections: list[tuple[Array, Array, Array]] = []
    for label in range(scores.shape[1]):
        rows = np.flatnonzero(scores[:, label] > min_score)
        if not len(rows):
            continue
        kept = rows[nms(boxes[rows], scores[rows, label], overlap)]
        detections.append((boxes[kept], scores[kept, label], np.full(len(kept), label)))
    if not detections:
        return np.zeros((0, 4)), np.zeros(0), np.zeros(0, int)
    b, s, c = (np.concatenate(part) for part in zip(*detections))
    return b, s, c


def centre_scale(boxes: Array, size: Size, padding: float = PADDING) -> tuple[Array, Array]:
    """(N, 2) centres and (N, 2) extents of crops for a network input (width, height)."""
    centre = (boxes[:, :2] + boxes[:, 2:4]) / 2
    extent = (boxes[:, 2:4] - boxes[:, :2]) * padding
    aspect = size[0] / size[1]
    w, h = extent.T
    wide = w > h * aspect
    return centre, np.stack([np.where(wide, w, h * aspect), np.where(wide, w / aspect, h)], axis=1)


def warp_matrix(centre: Array, extent: Array, size: Size, udp: bool = False) -> Array:
    """(2, 3) from image to crop pixels. udp: corners on corners, as some heat-map nets want."""
    if udp:
        sx, sy = (size[0] - 1) / extent[0], (size[1] - 1) / extent[1]
        return np.array(
            [
                [sx, 0, sx * (extent[0] / 2 - centre[0])],
                [0, sy, sy * (extent[1] / 2 - centre[1])],
            ]
        )
    scale = size[0] / extent[0]
    return np.array(
        [
            [scale, 0, size[0] / 2 - scale * centre[0]],
            [0, scale, size[1] / 2 - scale * centre[1]],
        ]
    )


def crop(image: Array, centre: Array, extent: Array, size: Size) -> Array:
    """The part of the image that the crop covers."""
    matrix = warp_matrix(centre, extent, size)
    return np.asarray(cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR))


def normalised(image: Array, bgr: bool = False) -> Array:
    """(3, H, W) float32 input of a BGR crop; bgr: in the wrong order, as rtmlib feeds it."""
    pixels = image if bgr else image[..., ::-1]
    return ((pixels.astype(np.float32) - MEAN_RGB) / STD_RGB).transpose(2, 0, 1)


def simcc(x: Array, y: Array, mean_score: bool = False) -> tuple[Array, Array]:
    """(N, K, 2) crop pixels and (N, K) scores of two one-dimensional maps with half-pixel steps.

    The score is the lower maximum of the two, or their mean as rtmlib has it. Joints without a
    score get half a pixel less than zero.
    """
    place = np.stack([x.argmax(axis=-1), y.argmax(axis=-1)], axis=-1).astype(np.float32)
    best_x, best_y = x.max(axis=-1), y.max(axis=-1)
    scores = (best_x + best_y) / 2 if mean_score else np.minimum(best_x, best_y)
    place[scores <= 0] = -1
    return place / 2, scores


def to_image(points: Array, size: Size, centre: Array, extent: Array) -> Array:
    """(..., K, 2) crop pixels back in the image."""
    moved: Array = points / np.array(size) * extent[..., None, :]
    return moved + (centre - extent / 2)[..., None, :]
