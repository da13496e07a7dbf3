# SPDX-License-Identifier: Apache-2.0
"""Where a root-relative body stands: solvers that use image points, bone lengths or a box.

xyz: (J, 3) metres about an unknown reference point. rays: (J, 2) x/z, y/z of the same joints seen
by the camera along whose axes xyz is given; NaN where a joint has none. All return the reference
point (3,), to be added to xyz.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.optimize import least_squares

from ..types import Array

_PAIRS = 400
_ROUNDS = 8
_NEAR_M = 0.1
_FLOOR = 0.01  # of the body's own extent in x/z: no image points are more exact than that


@dataclass(frozen=True)
class Place:
    """t: (3,) metres. inliers: (J,) joints whose rays agree. residual: their RMS in x/z.

    extent: of the body in x/z, the scale of residuals.
    """

    t: Array
    inliers: Array
    residual: float
    extent: float


def robust_place(xyz: Array, rays: Array, weights: Array) -> Place | None:
    """Full perspective least squares that survives wrong image points; weights: (J,) of trust.

    Each joint gives t_x - a t_z = a Z - X, t_y - b t_z = b Z - Y. Two joints determine a place, and
    every pair proposes one; the proposal that most rays agree with is refined by reweighted least
    squares on reprojection errors. None if the joints do not determine a place in front of the
    camera.
    """
    good = np.isfinite(rays).all(axis=1) & np.isfinite(xyz).all(axis=1) & (weights > 0)
    index = np.flatnonzero(good)
    if len(index) < 3:
        return None
    points, directions, trust = xyz[index], rays[index], weights[index] / weights[index].max()
    # Of the body where trusted rays are, whatever a few wrong ones say.
    low, high = np.percentile(directions, (10, 90), axis=0)
    extent = max(float((high - low).max()), 1e-4)
    t = _proposal(points, directions, trust, _FLOOR * 3 * extent)
    if t is None:
        return None
    share = np.ones(len(index))
    residual = 0.0
    for _ in range(_ROUNDS):
        z = points[:, 2] + t[2]
        if (z > _NEAR_M).sum() < 3:
            return None
        front = z > _NEAR_M
        error = np.full(len(index), np.inf)
        error[front] = np.linalg.norm(
            (points[front, :2] + t[:2]) / z[front, None] - directions[front], axis=1
        )
        scale = max(1.4826 * _weighted_median(error, trust), _FLOOR * extent)
        if not math.isfinite(scale):
            return None
        # Tukey's biweight: gross errors count for nothing.
        share = np.clip(1 - (error / (4.685 * scale)) ** 2, 0, None) ** 2
        share[~front] = 0
        if (share > 0.05).sum() < 3:
            return None
        # Rows are metres at the joint's depth; over the depth they are errors in the image.
        w = trust * share / np.maximum(z, _NEAR_M) ** 2
        moved = _solve(points, directions, w)
        if moved is None:
            return None
        done = np.linalg.norm(moved - t) < 1e-5 * abs(moved[2])
        t = moved
        residual = math.sqrt(
            float((trust * share)[front] @ error[front] ** 2) / float((trust * share)[front].sum())
        )
        if done:
            break
    if not (np.isfinite(t).all() and t[2] > _NEAR_M):
        return None
    inliers = np.zeros(len(xyz), dtype=bool)
    inliers[index] = share > 0.05
    return Place(t, inliers, residual, extent)


def _proposal(xyz: Array, rays: Array, trust: Array, tolerance: float) -> Array | None:
    """The place (3,) that most joints agree with, of those that pairs of joints determine."""
    first, second = _pairs(len(xyz))
    a, b = rays[first], rays[second]
    apart = a - b
    # Least squares for t_z with t_x, t_y eliminated: differences of the two joints' equations.
    ra = a * xyz[first, 2:] - xyz[first, :2]
    rb = b * xyz[second, 2:] - xyz[second, :2]
    squared = (apart**2).sum(axis=1)
    ok = squared > (0.05 * max(float(np.ptp(rays, axis=0).max()), 1e-6)) ** 2
    if not ok.any():
        return None
    tz = -((ra - rb) * apart).sum(axis=1)[ok] / squared[ok]
    txy = ((ra + rb)[ok] + (a + b)[ok] * tz[:, None]) / 2
    z = xyz[:, 2] + tz[:, None]
    front = z > _NEAR_M
    with np.errstate(divide='ignore', invalid='ignore'):
        error = (xyz[:, :2] + txy[:, None]) / z[..., None] - rays
    squared_error = np.where(front, (error**2).sum(axis=2), np.inf)
    cost = (trust * np.minimum(squared_error, (3 * tolerance) ** 2)).sum(axis=1)
    cost[tz <= _NEAR_M] = np.inf
    best = int(np.argmin(cost))
    if not np.isfinite(cost[best]):
        return None
    return np.array([*txy[best], tz[best]])


@lru_cache(maxsize=64)
def _pairs(count: int) -> tuple[Array, Array]:
    first, second = np.triu_indices(count, 1)
    if len(first) > _PAIRS:
        chosen = np.random.default_rng(0).choice(len(first), _PAIRS, replace=False)
        first, second = first[chosen], second[chosen]
    return first, second


def _solve(xyz: Array, rays: Array, w: Array) -> Array | None:
    """Weighted least squares of the two equations of each joint."""
    a, b = rays.T
    ra, rb = a * xyz[:, 2] - xyz[:, 0], b * xyz[:, 2] - xyz[:, 1]
    sw, wa, wb = w.sum(), w @ a, w @ b
    sa, sb = w @ ra, w @ rb
    spread = w @ (a * a + b * b) - (wa * wa + wb * wb) / sw
    if not spread / sw > 1e-10:
        return None
    tz = -(w @ (a * ra + b * rb) - (wa * sa + wb * sb) / sw) / spread
    return np.array([(sa + wa * tz) / sw, (sb + wb * tz) / sw, tz])


def _weighted_median(values: Array, weights: Array) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


def by_bone_lengths(
    rays: Array,
    dz: Array,
    edges: Array,
    lengths: Array,
    weights: Array | None = None,
    start: float = 2.0,
) -> float | None:
    """Depth of the root in metres at which joints on their rays are as far apart as bones are long.

    dz: (J,) depth of the joints about the root. edges: (E, 2). lengths: (E,) metres. weights: (E,).
    Levenberg-Marquardt with the exact derivative (the published program's is not). None if no bone
    has two rays.
    """
    homogeneous = np.column_stack([rays, np.ones(len(rays))])
    i, j = np.asarray(edges).T
    a = homogeneous[i] - homogeneous[j]
    b = dz[i, None] * homogeneous[i] - dz[j, None] * homogeneous[j]
    w = np.ones(len(a)) if weights is None else np.sqrt(weights)
    usable = np.isfinite(a).all(axis=1) & np.isfinite(b).all(axis=1) & np.isfinite(lengths)
    usable &= w > 0
    if not usable.any():
        return None
    a, b, lengths, w = a[usable], b[usable], np.asarray(lengths)[usable], w[usable]
    c, d, e = (a * a).sum(axis=1), 2 * (a * b).sum(axis=1), (b * b).sum(axis=1)

    def length(z: Array) -> Array:
        return np.asarray(np.sqrt(np.maximum(z * z * c + z * d + e, 1e-12)))

    solution = least_squares(
        lambda z: w * (length(z) - lengths),
        [start],
        jac=lambda z: (w * (2 * z * c + d) / (2 * length(z)))[:, None],
        method='trf',
        x_scale='jac',
        xtol=1e-12,
        ftol=1e-12,
        gtol=1e-12,
        max_nfev=100,
    )
    z = float(solution.x[0])
    return z if math.isfinite(z) and z > _NEAR_M else None


def by_box(xyz: Array, low: Array, high: Array) -> Array | None:
    """The place at which the joints fill a box as well as they can; a guess.

    low, high: (2,) x/z, y/z of the box's corners.
    """
    points = xyz[np.isfinite(xyz).all(axis=1)]
    if len(points) < 2:
        return None
    first, last = points.min(axis=0), points.max(axis=0)
    extent, side = (last - first)[:2], np.asarray(high) - low
    axis = int(np.argmax(side))
    if extent[axis] < 1e-3 or side[axis] < 1e-6:
        return None
    depth = extent[axis] / side[axis]
    middle = (first + last) / 2
    centre = (np.asarray(low) + high) / 2
    return np.array([*(centre * depth - middle[:2]), depth - middle[2]])
