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

    Returns None if the joints do not determine a place in front of the camera.
    """
    measured = None if depth is None else np.array([depth])
    found = solve_translations(xyz[None], rays[None], weights[None], measured)
    if not math.isfinite(found.t[0, 2]):
        return None
    return Placement(found.t[0], float(found.residual[0]), float(found.extent[0]))


@dataclass(frozen=True)
class Placements:
    """As Placement, of P bodies: t (P, 3), residual and extent (P,); NaN where there is none."""

    t: Array
    residual: Array
    extent: Array


def solve_translations(
    xyz: Array, rays: Array, weights: Array, depth: Array | None = None
) -> Placements:
    """solve_translation of P bodies at once: xyz (P, J, 3), rays (P, J, 2), weights (P, J).

    depth: (P,).

    Each joint gives t_x - a t_z = a Z - X and t_y - b t_z = b Z - Y; weighted least squares.
    """
    # A sum is finite if all of its terms are.
    total = np.add.reduce(rays, axis=2) + np.add.reduce(xyz, axis=2)
    bad = ~(np.isfinite(total) & (weights > 0))
    w, ray, joint = weights.copy(), rays.copy(), xyz.copy()
    w[bad], ray[bad], joint[bad] = 0.0, 0.0, 0.0
    Z = joint[..., 2:]
    right = ray * Z - joint[..., :2]
    with np.errstate(divide='ignore', invalid='ignore'):
        # Weighted sums over joints, of x and of y: (P, 2).
        sw, wa, sa = np.add.reduce(w, axis=1)[:, None], _weighed(w, ray), _weighed(w, right)
        if depth is None:
            # Eliminating t_x and t_y leaves one equation for the depth.
            spread = np.add.reduce(_weighed(w, ray * ray) - wa * wa / sw, axis=1)
            along = np.add.reduce(_weighed(w, ray * right) - wa * sa / sw, axis=1)
            tz = -along / spread
            solved = (sw[:, 0] >= 1e-3) & (spread >= 1e-8 * sw[:, 0])
        else:
            tz, solved = depth, np.ones(len(xyz), bool)
        t = np.concatenate([(sa + wa * tz[:, None]) / sw, tz[:, None]], axis=1)
        z = Z + tz[:, None, None]
        w[z[..., 0] <= 0.01] = 0.0
        off = (joint[..., :2] + t[:, None, :2]) / z - ray
        residual = np.add.reduce(_weighed(w, off * off), axis=1)
        residual = np.sqrt(residual / np.maximum(np.add.reduce(w, axis=1), 1e-9))
    solved &= (tz > 0) & (np.add.reduce(w > 0, axis=1) >= 3) & np.isfinite(residual)
    ray[w == 0] = np.nan
    extent = np.fmax.reduce(ray, axis=1) - np.fmin.reduce(ray, axis=1)
    lost = ~solved
    t[lost], residual[lost] = np.nan, np.nan
    return Placements(t, residual, np.maximum.reduce(extent, axis=1))


def _weighed(weights: Array, values: Array) -> Array:
    """(P, 2) weighted sums of values (P, J, 2)."""
    return np.asarray(np.matmul(weights[:, None], values)[:, 0])


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
