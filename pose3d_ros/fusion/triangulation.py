# SPDX-License-Identifier: Apache-2.0
"""Joints from the rays of several cameras and from what each camera says of depth alone.

Arrays (C, J, ...) are of C cameras and J joints, in the fusion frame, metres; NaN: not seen.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from ..types import Array

_ROUNDS = 3
_CUT = 3.0  # standard deviations from which a ray counts as wrong
_PARTS = 0.1  # least weight with which a camera takes part
_MIN_SINE = 0.03  # of the angle between rays that determine a point


@dataclass(frozen=True, eq=False)
class Rays:
    """origins: (C, J, 3). directions: (C, J, 3) unit. sigma: (C, J) across the ray."""

    origins: Array
    directions: Array
    sigma: Array


@dataclass(frozen=True, eq=False)
class Points:
    """xyz: (J, 3). covariance: (J, 3, 3). weights: (C, J) 0..1, 0: not seen, or rolled out."""

    xyz: Array
    covariance: Array
    weights: Array

    @property
    def takes_part(self) -> Array:
        """(C, J) bool: which cameras stand behind each joint."""
        return np.asarray(self.weights > _PARTS)


def misses(xyz: Array, rays: Rays) -> Array:
    """(C, J) distances of points (J, 3) from rays; NaN where there is none, inf behind."""
    away = xyz - rays.origins
    depth = np.add.reduce(away * rays.directions, axis=-1)
    across = away - depth[..., None] * rays.directions
    miss = np.sqrt(np.add.reduce(across * across, axis=-1))
    return np.where(depth < 0, np.inf, miss)


def intersections(rays: Rays) -> Array:
    """(J, 3) where most rays of a joint meet: of all pairs of cameras the best; NaN: nowhere."""
    cameras, joints = rays.sigma.shape
    best, cost = np.full((joints, 3), np.nan), np.full(joints, np.inf)
    for a, b in itertools.combinations(range(cameras), 2):
        point = _nearest(rays, a, b)
        error = misses(point, rays) / rays.sigma
        total = np.nansum(np.minimum(error * error, _CUT**2), axis=0)
        total[~np.isfinite(point[:, 0])] = np.inf
        better = total < cost
        best[better], cost[better] = point[better], total[better]
    return best


def _nearest(rays: Rays, a: int, b: int) -> Array:
    """(J, 3) middle of the shortest line between the rays of two cameras."""
    da, db = rays.directions[a], rays.directions[b]
    apart = rays.origins[b] - rays.origins[a]
    cosine = np.add.reduce(da * db, axis=1)
    sine2 = 1 - cosine * cosine
    pa, pb = np.add.reduce(apart * da, axis=1), np.add.reduce(apart * db, axis=1)
    with np.errstate(divide='ignore', invalid='ignore'):
        la, lb = (pa - cosine * pb) / sine2, (cosine * pa - pb) / sine2
    ok = (sine2 > _MIN_SINE**2) & (la > 0) & (lb > 0)
    middle = (
        rays.origins[a] + la[:, None] * da + rays.origins[b] + lb[:, None] * db
    ) / 2  # fmt: skip
    return np.where(ok[:, None], middle, np.nan)


def solve(rays: Rays, start: Array, along: Array, along_sigma: Array) -> Points:
    """Least squares of points on their rays, and at the depths that single cameras say.

    start: (J, 3) first guess, from which rays are judged; NaN: none. along, along_sigma: (C, J)
    depth along each ray and its standard deviation. Rays that disagree lose their weight
    (Geman-McClure), and their depth with it.
    """
    d = rays.directions
    usable = np.isfinite(d[..., 0]) & np.isfinite(along)
    filled = np.where(usable[..., None], d, 0.0)
    outer = filled[..., :, None] * filled[..., None, :]
    across_w = np.where(usable, 1 / rays.sigma**2, 0.0)
    along_w = np.where(usable, 1 / along_sigma**2, 0.0)
    info = across_w[..., None, None] * (np.eye(3) - outer) + along_w[..., None, None] * outer
    foot = rays.origins + np.where(usable, along, 0.0)[..., None] * filled
    moment = np.einsum('cjik,cjk->cji', info, foot)
    xyz = start
    weights = np.where(usable, 1.0, 0.0)
    several = usable.sum(axis=0) > 1
    for _ in range(_ROUNDS):
        error = misses(xyz, rays) / rays.sigma
        judged = usable & several & np.isfinite(xyz[:, 0])
        with np.errstate(invalid='ignore'):
            robust = 1 / (1 + (error / _CUT) ** 2) ** 2
        weights = np.where(judged, np.nan_to_num(robust), weights)
        total = np.einsum('cj,cjik->jik', weights, info)
        xyz, covariance = _invert(total, np.einsum('cj,cji->ji', weights, moment))
    return Points(xyz, covariance, np.where(np.isfinite(xyz[:, 0]), weights, 0.0))


def _invert(info: Array, moment: Array) -> tuple[Array, Array]:
    """Points (J, 3) and covariances (J, 3, 3); NaN where nothing determines them."""
    ok = info[:, 0, 0] + info[:, 1, 1] + info[:, 2, 2] > 1e-6
    covariance = np.full(info.shape, np.nan)
    covariance[ok] = np.linalg.inv(info[ok] + 1e-9 * np.eye(3))
    return np.einsum('jik,jk->ji', covariance, moment), covariance
