# SPDX-License-Identifier: Apache-2.0
"""Rigid and similarity alignment, absolute placement, rotations. Metres, radians."""

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


@dataclass(frozen=True)
class Placement:
    """t: (3,) metres. residual: weighted RMS distance between rays and joints, in x/z.

    extent: of the rays, likewise.
    """

    t: Array
    residual: float
    extent: float


def solve_translation(
    xyz: Array, rays: Array, weights: Array, depth: float | None = None
) -> Placement | None:
    """Where root-relative joints must stand to be seen along their rays.

    xyz: (J, 3) metres. rays: (J, 2) undistorted x/z, y/z, NaN where there is none. weights: (J,).
    depth: z of the root if measured; then only x and y are solved.

    Each joint gives t_x - a t_z = a Z - X and t_y - b t_z = b Z - Y; weighted least squares.
    Returns None if the joints do not determine a place in front of the camera.
    """
    good = np.isfinite(rays).all(axis=1) & np.isfinite(xyz).all(axis=1) & (weights > 0)
    if int(good.sum()) < 3:
        return None
    w = weights[good]
    a, b = rays[good, 0], rays[good, 1]
    X, Y, Z = xyz[good].T
    sw, wa, wb = float(w.sum()), float(w @ a), float(w @ b)
    ra, rb = a * Z - X, b * Z - Y
    sa, sb = float(w @ ra), float(w @ rb)
    if depth is None:
        # Eliminating t_x and t_y leaves one equation for the depth.
        spread = float(w @ (a * a + b * b)) - (wa * wa + wb * wb) / sw
        if sw < 1e-3 or spread / sw < 1e-8:
            return None
        along = float(w @ (a * ra + b * rb)) - (wa * sa + wb * sb) / sw
        tz = -along / spread
    else:
        tz = depth
    if not math.isfinite(tz) or tz <= 0:
        return None
    t = np.array([(sa + wa * tz) / sw, (sb + wb * tz) / sw, tz])
    z = Z + tz
    front = z > 0.01
    if not front.all():
        if int(front.sum()) < 3:
            return None
        X, Y, z, a, b, w = X[front], Y[front], z[front], a[front], b[front], w[front]
    du, dv = (X + t[0]) / z - a, (Y + t[1]) / z - b
    residual = math.sqrt(float(w @ (du * du + dv * dv)) / max(float(w.sum()), 1e-9))
    extent = max(float(a.max() - a.min()), float(b.max() - b.min()))
    return Placement(t, residual, extent)


def yaw(xyz: Array, angle: float) -> Array:
    """(..., 3) points turned about the camera's y axis so that z leans towards +x by angle."""
    c, s = math.cos(angle), math.sin(angle)
    out = xyz.copy()
    out[..., 0] = c * xyz[..., 0] + s * xyz[..., 2]
    out[..., 2] = c * xyz[..., 2] - s * xyz[..., 0]
    return out


def quaternion(R: Array) -> Array:
    """(4,) x, y, z, w with w >= 0 of a rotation matrix (3, 3)."""
    # Shepperd's method: divide by the largest of the four.
    m = R
    trace = m[0, 0] + m[1, 1] + m[2, 2]
    picks = np.array([m[0, 0], m[1, 1], m[2, 2], trace])
    k = int(np.argmax(picks))
    q = np.empty(4)
    if k == 3:
        q[3] = 1 + trace
        q[:3] = m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]
    else:
        i, j, n = k, (k + 1) % 3, (k + 2) % 3
        q[i] = 1 + m[i, i] - m[j, j] - m[n, n]
        q[j] = m[j, i] + m[i, j]
        q[n] = m[n, i] + m[i, n]
        q[3] = m[n, j] - m[j, n]
    q /= np.linalg.norm(q)
    return q if q[3] >= 0 else -q
