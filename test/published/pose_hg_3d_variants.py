# SPDX-License-Identifier: Apache-2.0
"""What pose-hg-3d's programs train and judge by (arXiv 1704.02447)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.networks.pose_hg_3d import (
    H36M_EDGES,
    H36M_OF_MPII,
    NECK,
    PELVIS,
    SPINE_IN_MPII,
    TOTAL_MM,
    sized,
    to_h36m,
)

Array = NDArray[Any]


MPII_EDGES = np.array(
    [(0, 1), (1, 2), (2, 6), (6, 3), (3, 4), (4, 5), (10, 11), (11, 12), (12, 8), (8, 13), (13, 14),
     (14, 15), (6, 8), (8, 9)]
)  # fmt: skip


ICCV_MM = 4072.3544  # of MPII_EDGES


HOURGLASS_MM = 4296.99233013  # of MPII_EDGES


def h36m_mm(xyz: Array, total: float = TOTAL_MM) -> Array:
    """(N, 17, 3) mm about the pelvis of (N, 16, 3) in any unit."""
    return sized(to_h36m(xyz), H36M_EDGES, total)


def mpii_mm(xyz: Array, total: float) -> Array:
    """(N, 16, 3) mm about the pelvis; joint 7 halfway between pelvis and neck."""
    out = sized(xyz - xyz[:, PELVIS, None], MPII_EDGES, total)
    out[:, SPINE_IN_MPII] = (out[:, PELVIS] + out[:, NECK]) / 2
    return out


def training_target(h36m_px: Array, h36m_mm: Array) -> Array:
    """(N, 16, 3) pixels and depth in pixels, as the published evaluation at ICCV makes them.

    h36m_px: (N, 17, 2). h36m_mm: (N, 17, 3).
    """
    px, mm = h36m_px[:, H36M_OF_MPII].astype(float), h36m_mm[:, H36M_OF_MPII].astype(float)
    px[:, SPINE_IN_MPII] = (px[:, 12] + px[:, 13]) / 2
    mm[:, SPINE_IN_MPII] = (mm[:, 12] + mm[:, 13]) / 2
    mm -= mm[:, SPINE_IN_MPII, None]
    a, b = MPII_EDGES.T
    flat = np.linalg.norm(px[:, a] - px[:, b], axis=2).sum(axis=1)
    scale = flat / np.linalg.norm(mm[:, a, :2] - mm[:, b, :2], axis=2).sum(axis=1)
    return np.asarray(np.concatenate([px, mm[..., 2:] * scale[:, None, None]], axis=2))


_LEG_WEIGHT, _ARM_WEIGHT = 1.0085885098415446, 1.1375361376887123
# Groups of bones (joints of mpii_16) and the factors that make their lengths equal.
GROUPS: tuple[tuple[tuple[tuple[int, int], float], ...], ...] = (
    (((0, 1), _LEG_WEIGHT), ((1, 2), 1.0), ((3, 4), 1.0), ((4, 5), _LEG_WEIGHT)),
    (((10, 11), _ARM_WEIGHT), ((11, 12), 1.0), ((13, 14), 1.0), ((14, 15), _ARM_WEIGHT)),
    (((2, 6), 1.0), ((3, 6), 1.0)),
    (((12, 8), 1.0), ((13, 8), 1.0)),
)


def geometric_loss(xyz: Array, visible: Array) -> Array:
    """(N,) the geometric constraint loss of the paper, for joints (N, 16, 3) of mpii_16.

    In the paper x, y are labels in sides of the crop and z is predicted. visible: (N, 16), bones
    count when both ends are over 0.5. Sum over the groups of the variance of the bones' scaled
    lengths, halved; 0 is perfect. The unit is the square of that of xyz.
    """
    total = np.zeros(len(xyz))
    seen = np.asarray(visible) > 0.5
    for group in GROUPS:
        a, b = np.array([bone for bone, _ in group]).T
        factor = np.array([weight for _, weight in group])
        length = factor * np.linalg.norm(xyz[:, a] - xyz[:, b], axis=2)
        used = seen[:, a] & seen[:, b]
        count = used.sum(axis=1)
        safe = np.maximum(count, 1)
        mean = np.where(used, length, 0.0).sum(axis=1) / safe
        square = np.where(used, (length - mean[:, None]) ** 2, 0.0).sum(axis=1)
        total += square / (2 * safe)
    return total
