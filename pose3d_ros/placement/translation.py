# SPDX-License-Identifier: Apache-2.0
"""Where root-relative bodies stand by the rays of their joints: linear least squares."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..types import Array


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
    solved = solve_translations(xyz[None], rays[None], weights[None], measured)
    if not math.isfinite(solved.t[0, 2]):
        return None
    return Placement(solved.t[0], float(solved.residual[0]), float(solved.extent[0]))


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
