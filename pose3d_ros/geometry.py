# SPDX-License-Identifier: Apache-2.0
"""Rigid and similarity alignment, rotations. Metres, radians."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Similarity:
    """y = scale * R @ x + t for column vectors; R (3, 3), t (3,)."""

    scale: float
    R: Array
    t: Array

    def __call__(self, points: Array) -> Array:
        """(..., 3) points moved."""
        return np.asarray(self.scale * points @ self.R.T + self.t)


def procrustes(source: Array, target: Array, *, with_scale: bool = True) -> Similarity:
    """Least-squares similarity from source to target, both (N, 3) without NaN (Umeyama 1991).

    No reflection. One point, or all in one place, gives a translation.
    """
    mean_s, mean_t = source.mean(axis=0), target.mean(axis=0)
    a, b = source - mean_s, target - mean_t
    spread = float((a * a).sum())
    if spread < 1e-18:
        return Similarity(1.0, np.eye(3), mean_t - mean_s)
    u, sigma, vt = np.linalg.svd(b.T @ a)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt)) or 1.0])
    R = (u * sign) @ vt
    scale = float((sigma * sign).sum() / spread) if with_scale else 1.0
    return Similarity(scale, R, mean_t - scale * R @ mean_s)


def yaw(xyz: Array, angle: float) -> Array:
    """(..., 3) points turned about the camera's y axis so that z leans towards +x by angle."""
    c, s = math.cos(angle), math.sin(angle)
    out = xyz.copy()
    out[..., 0] = c * xyz[..., 0] + s * xyz[..., 2]
    out[..., 2] = c * xyz[..., 2] - s * xyz[..., 0]
    return out
