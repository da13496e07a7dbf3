# SPDX-License-Identifier: Apache-2.0
"""Crops and decoding of pose-hg-3d (arXiv 1704.02447): arrays in and out.

Crops are squares of `side` pixels about a centre, 256 pixels wide for the network, 64 cells wide
in its maps. Joints are those of MPII-16 (x right, y down, z away) until said otherwise.
"""

from __future__ import annotations

import cv2
import numpy as np

from ..skeleton import SKELETONS
from ..types import Array

SIDE, CELLS = 256, 64
JOINTS = 16
MPII, H36M = SKELETONS['mpii_16'], SKELETONS['h36m_17']
PELVIS, SPINE_IN_MPII, NECK = 6, 7, 8

# Statistics of RGB on channels in the order BGR: that is how the published weights were trained.
MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], dtype=np.float32)

# Position k of the first holds the joint of h36m_17 that channel k shows; the second goes back. No
# channel shows joint 9, and that of 7 was trained on two different joints: both are filled in.
H36M_OF_MPII = np.array([3, 2, 1, 4, 5, 6, 0, 7, 8, 10, 16, 15, 14, 11, 12, 13])
MPII_OF_H36M = np.array([6, 2, 1, 0, 3, 4, 5, 7, 8, 9, 9, 13, 14, 15, 12, 11, 10])

# The bones whose total length stands for the size of a body, joint 9 of h36m_17 and 7 of mpii_16
# left out.
H36M_EDGES = np.array(
    [(3, 2), (2, 1), (1, 0), (0, 4), (4, 5), (5, 6), (0, 7), (7, 8), (8, 10), (16, 15), (15, 14),
     (14, 8), (8, 11), (11, 12), (12, 13)]
)  # fmt: skip
TOTAL_MM = 4000.0  # of H36M_EDGES


def affine(centre: Array, side: float, size: int, angle: float = 0.0) -> Array:
    """(2, 3) from pixels of the image to those of a square of that size; angle in degrees."""
    turn = np.radians(angle)
    half = -side / 2
    up = np.array([-half * np.sin(turn), half * np.cos(turn)])
    source = np.array([centre, centre + up, centre + up + [-up[1], up[0]]], dtype=np.float32)
    middle, top = np.array([size / 2, size / 2]), np.array([0, -size / 2])
    target = np.array([middle, middle + top, middle + top + [-top[1], top[0]]], dtype=np.float32)
    return np.asarray(cv2.getAffineTransform(source, target))


def crop(image: Array, centre: Array, side: float) -> Array:
    """(256, 256, 3) uint8 BGR, black outside the image."""
    matrix = affine(np.asarray(centre, float), side, SIDE)
    return np.asarray(cv2.warpAffine(image, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR))


def normalised(crops: Array) -> Array:
    """(N, 3, 256, 256) float32 for the ResNets of (N, 256, 256, 3) uint8 BGR."""
    values = crops.astype(np.float32) / np.float32(255)
    return np.ascontiguousarray(((values - MEAN) / DEVIATION).transpose(0, 3, 1, 2))


def normalised_hourglass(crops: Array) -> Array:
    """(N, 3, 256, 256) float32 for the hourglass of (N, 256, 256, 3) uint8 BGR."""
    values = crops.astype(np.float32) / np.float32(256)
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))


def peaks(heatmaps: Array) -> tuple[Array, Array]:
    """Column and row (N, 16, 2) of each map's first maximum, and its value (N, 16)."""
    flat = heatmaps.reshape(*heatmaps.shape[:2], -1)
    index = flat.argmax(axis=2)
    width = heatmaps.shape[3]
    return np.stack([index % width, index // width], axis=2), flat.max(axis=2)


def quarter_shift(heatmaps: Array, cells: Array, *, swapped: bool = False) -> Array:
    """(N, 16, 2) a quarter of a cell towards the higher neighbours; none at the border.

    swapped: as one published evaluation reads the maps, rows for columns, ties counting as +.
    """
    maps = heatmaps.swapaxes(2, 3) if swapped else heatmaps
    height, width = maps.shape[2:]
    n, j = np.indices(cells.shape[:2])
    x, y = cells[..., 0], cells[..., 1]
    inside = (x > 0) & (x < width - 1) & (y > 0) & (y < height - 1)
    left, right = np.maximum(x - 1, 0), np.minimum(x + 1, width - 1)
    above, below = np.maximum(y - 1, 0), np.minimum(y + 1, height - 1)
    dx = maps[n, j, y, right] - maps[n, j, y, left]
    dy = maps[n, j, below, x] - maps[n, j, above, x]
    step = np.stack([dx, dy], axis=2)
    sign = np.where(step >= 0, 1.0, -1.0) if swapped else np.sign(step)
    return np.asarray(cells + 0.25 * sign * inside[..., None])


def refined(heatmaps: Array, cells: Array) -> Array:
    """(N, 16, 2) tops of the Gaussians through each peak and its neighbours.

    Where a neighbour is not positive or outside, the peak stays in the middle of its cell.
    """
    height, width = heatmaps.shape[2:]
    rows, columns = np.indices(cells.shape[:2])
    out = cells.astype(float)
    for axis, size in ((0, width), (1, height)):
        values = []
        for step in (-1, 0, 1):
            at = cells.copy()
            at[..., axis] = np.clip(at[..., axis] + step, 0, size - 1)
            values.append(heatmaps[rows, columns, at[..., 1], at[..., 0]].astype(float))
        position = cells[..., axis]
        good = (np.min(values, axis=0) > 1e-6) & (position > 0) & (position < size - 1)
        left, middle, right = (np.log(np.where(good, value, 1.0)) for value in values)
        bend = left - 2 * middle + right
        shift = 0.5 * (left - right) / np.where(bend < -1e-9, bend, -1.0)
        out[..., axis] += np.where(good & (bend < -1e-9), np.clip(shift, -0.5, 0.5), 0.0)
    return out


def depth_at(depth: Array, points: Array) -> Array:
    """(N, 16) depth maps (N, C, 64, 64) at points (N, 16, 2), bilinear; a single map serves all."""
    n, j = np.indices(points.shape[:2])
    j = np.minimum(j, depth.shape[1] - 1)
    height, width = depth.shape[2:]
    x, y = np.clip(points[..., 0], 0, width - 1), np.clip(points[..., 1], 0, height - 1)
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    right, below = np.minimum(column + 1, width - 1), np.minimum(row + 1, height - 1)
    a, b = x - column, y - row
    top = (1 - a) * depth[n, j, row, column] + a * depth[n, j, row, right]
    low = (1 - a) * depth[n, j, below, column] + a * depth[n, j, below, right]
    return np.asarray((1 - b) * top + b * low)


def joints(points: Array, depth: Array) -> Array:
    """(N, 16, 3) in sides of the crop about the pelvis; points: (N, 16, 2) cells."""
    xyz = np.concatenate([points / CELLS, depth[..., None]], axis=2)
    return np.asarray(xyz - xyz[:, PELVIS, None])


def averaged(maps: Array, mirrored: Array) -> Array:
    """Maps (N, 16, 64, 64) averaged with those of the mirrored crop, put back."""
    back = mirrored[:, list(MPII.mirror), :, ::-1] if mirrored.shape[1] == JOINTS else (
        mirrored[..., ::-1]
    )  # fmt: skip
    return np.asarray((maps + back) / 2)


def to_image(points: Array, centres: Array, sides: Array) -> Array:
    """(N, 16, 2) pixels of the image for cells (N, 16, 2)."""
    scale = np.asarray(sides, float)[:, None, None]
    return np.asarray(centres[:, None] + (points / CELLS - 0.5) * scale)


def to_h36m(xyz: Array) -> Array:
    """(N, 17, 3) of (N, 16, 3), any unit; spine and neck halfway between their neighbours."""
    out = xyz[:, MPII_OF_H36M].copy()
    out[:, 7] = (out[:, 0] + out[:, 8]) / 2
    out[:, 9] = (out[:, 8] + out[:, 10]) / 2
    return np.asarray(out)


def sized(xyz: Array, edges: Array, total: float) -> Array:
    """Poses (N, J, 3) scaled so that their bones add up to the total; NaN where all are zero."""
    length = np.linalg.norm(xyz[:, edges[:, 0]] - xyz[:, edges[:, 1]], axis=2).sum(axis=1)
    with np.errstate(divide='ignore', invalid='ignore'):
        factor = np.where(length > 1e-9, total / length, np.nan)
    return np.asarray(xyz * factor[:, None, None])


def hourglass_joints(points: Array, depth: Array) -> Array:
    """(N, 16, 3) pixels of the crop of cells (N, 16, 2) and regressed depths (N, 16) in -1..1."""
    z = (depth + 1) / 2 * CELLS
    return np.asarray(np.concatenate([points, z[..., None]], axis=2) * (SIDE / CELLS))
