# SPDX-License-Identifier: Apache-2.0
"""BlazePose's crops and decoding (arXiv 2006.10204, 1907.05047): arrays in, arrays out.

Pixels have (0, 0) at the centre of the first pixel. A region of interest (ROI) is the array
[cx, cy, size, rotation] in pixels and radians; a positive rotation turns x towards y.
"""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
from scipy.special import expit

from ..types import Array

DETECTOR_SIZE = 224
CROP_SIZE = 256
LANDMARKS = 39
PUBLISHED = 33
HIP_CENTRE, CIRCLE_POINT = 33, 34
_HEATMAP = 64
_WINDOW = 4  # half-width; the published package runs with this one
_MAX_IOU = 0.3


@lru_cache(maxsize=1)
def anchors() -> Array:
    """(2254, 2) centres in the unit square: three grids, rows outer, columns inner."""
    parts = []
    for cells, repeat in ((28, 2), (14, 2), (7, 6)):
        rows, columns = np.mgrid[0:cells, 0:cells]
        centres = (np.stack([columns, rows], axis=-1).reshape(-1, 2) + 0.5) / cells
        parts.append(np.repeat(centres, repeat, axis=0))
    return np.concatenate(parts)


def detector_input(image: Array) -> Array:
    """(224, 224, 3) uint8 BGR: the whole frame in a square, black outside."""
    height, width = image.shape[:2]
    side = max(width, height)
    return crop(image, (width / 2, height / 2, side, 0.0), DETECTOR_SIZE, cv2.BORDER_CONSTANT)


def crop(
    image: Array,
    roi: Array | tuple[float, float, float, float],
    size: int = CROP_SIZE,
    border: int = cv2.BORDER_REPLICATE,
    out: Array | None = None,
) -> Array:
    """(size, size, 3) uint8 sampled bilinearly from an ROI, without half-pixel compensation.

    out: where to put it.
    """
    cx, cy, side, rotation = (float(v) for v in roi)
    step = side / size
    c, s = math.cos(rotation) * step, math.sin(rotation) * step
    half = size / 2
    matrix = np.array([[c, -s, cx - half * (c - s)], [s, c, cy - half * (s + c)]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(image, matrix, (size, size), out, flags, border))


def decode_detections(boxes: Array, logits: Array, min_score: float) -> Array:
    """(N, 13) score, face box x, y, w, h, four key points, in the square frame 0..1, best first.

    boxes: (2254, 12) raw; logits: (2254,) raw.
    """
    scores = expit(np.clip(logits, -100, 100).astype(float))
    index = np.flatnonzero(scores >= min_score)
    raw = boxes[index].astype(float) / DETECTOR_SIZE
    centres = anchors()[index]
    detections = np.empty((len(index), 13))
    detections[:, 0] = scores[index]
    detections[:, 1:3] = raw[:, :2] + centres - raw[:, 2:4] / 2
    detections[:, 3:5] = raw[:, 2:4]
    detections[:, 5:] = raw[:, 4:] + np.tile(centres, 4)
    detections = detections[
        (detections[:, 3] >= 0) & (detections[:, 4] >= 0) & np.isfinite(detections).all(axis=1)
    ]
    return weighted_nms(detections[np.argsort(-detections[:, 0], kind='stable')])


def weighted_nms(detections: Array) -> Array:
    """Detections (N, 13), best first, merged by score-weighted means of overlapping face boxes."""
    merged = []
    while len(detections):
        best = detections[0]
        low, high = detections[:, 1:3], detections[:, 1:3] + detections[:, 3:5]
        overlap = np.minimum(high, high[0]) - np.maximum(low, low[0])
        shared = np.prod(np.clip(overlap, 0, None), axis=1)
        area = np.prod(detections[:, 3:5], axis=1)
        iou = shared / np.maximum(area + area[0] - shared, 1e-12)
        group = iou > _MAX_IOU
        group[0] = True
        weights = detections[group, 0] / detections[group, 0].sum()
        row = np.empty(13)
        row[0] = best[0]
        row[1:3] = weights @ low[group]
        row[3:5] = weights @ high[group] - row[1:3]
        row[5:] = weights @ detections[group, 5:]
        merged.append(row)
        detections = detections[~group]
    return np.array(merged).reshape(-1, 13)


def to_frame(detections: Array, size: tuple[int, int]) -> Array:
    """Detections (N, 13) of the square frame in pixels of the frame of that width and height."""
    width, height = size
    side = max(width, height)
    out = detections.copy()
    out[:, 1:] *= side
    out[:, [1, 5, 7, 9, 11]] -= (side - width) / 2
    out[:, [2, 6, 8, 10, 12]] -= (side - height) / 2
    return out


def roi_from_points(centre: Array, end: Array) -> Array:
    """(4,) ROI around the circle of that centre and a point on it, both (2,) pixels."""
    dx, dy = float(end[0] - centre[0]), float(end[1] - centre[1])
    rotation = math.pi / 2 - math.atan2(-dy, dx)
    rotation = (rotation + math.pi) % (2 * math.pi) - math.pi
    return np.array([centre[0], centre[1], 2.5 * math.hypot(dx, dy), rotation])


def decode_landmarks(raw: Array, heatmaps: Array, rois: Array, refine: bool = True) -> Array:
    """(N, 39, 5): x, y, z in pixels of the frame, visibility, presence.

    raw: (N, 195); heatmaps: (N, 64, 64, 39) logits; rois: (N, 4). z is relative to the hips, in
    the scale of x.
    """
    points = raw.reshape(-1, LANDMARKS, 5).astype(float)
    points[..., :3] /= CROP_SIZE
    points[..., 3:] = expit(points[..., 3:])
    if refine:
        _refine(points, heatmaps)
    cx, cy, side, rotation = (rois[:, k, None] for k in range(4))
    a, b = points[..., 0] - 0.5, points[..., 1] - 0.5
    c, s = np.cos(rotation) * side, np.sin(rotation) * side
    points[..., 0], points[..., 1] = cx + c * a - s * b, cy + s * a + c * b
    points[..., 2] *= side
    return points


_OFFSETS = np.arange(-_WINDOW, _WINDOW + 1)


def _refine(points: Array, maps: Array) -> None:
    """Move x, y (N, 39, :2), unit square, to the centre of mass of each heat map's window."""
    cells = np.trunc(points[..., :2] * _HEATMAP).astype(np.int64)
    person, joint = np.nonzero(((cells >= 0) & (cells < _HEATMAP)).all(axis=2))
    if not len(person):
        return
    columns = cells[person, joint, 0, None] + _OFFSETS
    rows = cells[person, joint, 1, None] + _OFFSETS
    in_rows, in_columns = (rows >= 0) & (rows < _HEATMAP), (columns >= 0) & (columns < _HEATMAP)
    window = maps[
        person[:, None, None],
        np.clip(rows, 0, _HEATMAP - 1)[:, :, None],
        np.clip(columns, 0, _HEATMAP - 1)[:, None, :],
        joint[:, None, None],
    ]
    q = expit(window.astype(np.float64))
    q *= in_rows[:, :, None]
    q *= in_columns[:, None, :]
    across, down = q.sum(axis=1), q.sum(axis=2)
    total = np.maximum(across.sum(axis=1), 1e-12)
    confident = q.max(axis=(1, 2)) >= 0.5
    x = (across * columns).sum(axis=1) / total / _HEATMAP
    y = (down * rows).sum(axis=1) / total / _HEATMAP
    person, joint = person[confident], joint[confident]
    points[person, joint, 0], points[person, joint, 1] = x[confident], y[confident]


def decode_world(raw: Array, rois: Array) -> Array:
    """(N, 39, 3) metres, hips at the origin, x right, y down, z away. raw: (N, 117)."""
    world = raw.reshape(-1, LANDMARKS, 3).astype(float)
    c, s = np.cos(rois[:, 3, None]), np.sin(rois[:, 3, None])
    x, y = world[..., 0].copy(), world[..., 1].copy()
    world[..., 0], world[..., 1] = c * x - s * y, s * x + c * y
    return world


# COCO's per-joint constants for the 13 joints that show where a body is.
OKS_JOINTS = np.array([0, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28])
_OKS_SIGMAS = np.array(
    [0.026, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089]
)


def oks(a: Array, b: Array, radius: float) -> float:
    """Object keypoint similarity of two (39, >=2) results; radius: of the body, pixels."""
    squared = ((a[OKS_JOINTS, :2] - b[OKS_JOINTS, :2]) ** 2).sum(axis=1)
    variance = (2 * _OKS_SIGMAS * max(radius, 1e-6)) ** 2
    return float(np.exp(-squared / (2 * variance)).mean())


_THICK = 0.13  # of a limb that is painted over, in radii of the body
# The same joints as a stick figure: trunk, arms, legs, head.
_BONES = np.array(
    [(1, 2), (1, 3), (3, 5), (2, 4), (4, 6), (1, 7), (2, 8), (7, 8), (7, 9), (9, 11), (8, 10),
     (10, 12), (0, 1), (0, 2)]
)  # fmt: skip


def covered(a: Array, b: Array, radius: float) -> float:
    """Share of the joints of a that lie on the body of b; both (39, >=2), radius of b in pixels.

    A false region on somebody's body gives any pose there, turned or shrunk, which no joint by
    joint comparison finds.
    """
    points, joints = a[OKS_JOINTS, :2], b[OKS_JOINTS, :2]
    start, along = joints[_BONES[:, 0]], joints[_BONES[:, 1]] - joints[_BONES[:, 0]]
    offset = points[:, None] - start
    share = (offset * along).sum(axis=2) / np.maximum((along**2).sum(axis=1), 1e-9)
    gap = offset - np.clip(share, 0, 1)[..., None] * along
    nearest = np.sqrt((gap**2).sum(axis=2)).min(axis=1)
    return float((nearest < 0.13 * radius).mean())


def paint_over(crop: Array, roi: Array, landmarks: Array, radius: float) -> None:
    """Hide a body in the crop (H, H, 3) of an ROI, so that the network sees who is behind it.

    landmarks: (39, >=2) of the body, radius: of its circle, pixels of the image.
    """
    scale = len(crop) / float(roi[2])
    c, s = math.cos(roi[3]) * scale, math.sin(roi[3]) * scale
    joints = landmarks[OKS_JOINTS, :2] - roi[:2]
    points = joints @ np.array([[c, -s], [s, c]]) + len(crop) / 2
    colour = crop.reshape(-1, 3).mean(axis=0).tolist()
    width = max(round(_THICK * radius * scale), 1)
    at = np.rint(points).astype(int)
    cv2.fillConvexPoly(crop, cv2.convexHull(at[[1, 2, 7, 8]]), colour)
    for start, end in _BONES.tolist():
        cv2.line(crop, at[start].tolist(), at[end].tolist(), colour, width)
    cv2.circle(crop, at[0].tolist(), width, colour, -1)


_COCO_SHOULDERS, _COCO_HIPS = [5, 6], [11, 12]
_CONFIDENT = 0.2
# Radius of the circle around a body as the landmark network draws it, in trunk lengths and in
# distances of the farthest joint from the hips: medians over MoveNet's joints on rendered people.
_RADIUS_BY_TRUNK, _RADIUS_BY_REACH, _RADIUS_BY_BOX = 1.8, 1.15, 0.55


def roi_of_joints(pixels: Array, confidence: Array) -> Array:
    """(4,) ROI of a person by the joints (17, 2) and confidences (17,) of coco_17."""
    hips, shoulders = pixels[_COCO_HIPS].mean(axis=0), pixels[_COCO_SHOULDERS].mean(axis=0)
    up = shoulders - hips
    trunk = float(np.hypot(*up))
    counted = confidence > _CONFIDENT
    reach = float(np.linalg.norm(pixels[counted] - hips, axis=1).max()) if counted.any() else 0.0
    radius = max(_RADIUS_BY_TRUNK * trunk, _RADIUS_BY_REACH * reach)
    return roi_from_points(hips, hips + up * (radius / max(trunk, 1e-6)))


def roi_of_box(box: Array) -> Array:
    """(4,) ROI of an upright person in a box (4,) x1, y1, x2, y2."""
    centre = (box[:2] + box[2:]) / 2
    radius = _RADIUS_BY_BOX * float((box[2:] - box[:2]).max())
    return roi_from_points(centre, centre - (0.0, radius))
