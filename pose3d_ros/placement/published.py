# SPDX-License-Identifier: Apache-2.0
"""Solvers as MeTRAbs publishes them (arXiv 2007.07227), for one person at a time.

xyz: (J, 3) metres about an unknown reference point. rays: (J, 2) x/z, y/z of the same joints.
trusted: (J,) bool, joints whose rays count.
"""

from __future__ import annotations

import math

import numpy as np

from ..types import Array

METHODS = ('metrabs', 'metrabs_2020', 'metrabs_weak')
"""Full perspective as released in 2021 and in November 2020, and weak perspective."""
RIDGE = 0.01
MIX = 0.5
_TRUSTED, _UNTRUSTED = 1.0001, 0.0001


def place_as_published(method: str, xyz: Array, rays: Array, trusted: Array) -> Array:
    """(J, 3) joints from the camera by one of METHODS; those without rays (NaN) move along."""
    first = method == 'metrabs_2020'
    finite = np.isfinite(rays).all(axis=1)
    points, image, trusted = xyz[finite], rays[finite], trusted[finite]
    if method == 'metrabs_weak':
        t = metrabs_weak(points, image, trusted)
    else:
        t = metrabs_full(points, image, trusted, 0.0 if first else RIDGE)
    joints = xyz + t
    joints[finite] = metrabs_joints(points, image, t, trusted, 0.0 if first else MIX)
    return np.asarray(joints)


def metrabs_full(xyz: Array, rays: Array, trusted: Array, ridge: float = RIDGE) -> Array:
    """Full perspective: the reference point (3,).

    ridge 0: as in the release of November 2020. Fewer than three trusted joints make the result
    worthless; see docs/estimators/metro.md.
    """
    a, b = rays.T
    right = np.concatenate([a * xyz[:, 2] - xyz[:, 0], b * xyz[:, 2] - xyz[:, 1]])
    s2, sb = math.sqrt(float(np.mean(rays**2))), math.sqrt(float(np.mean(right**2)))
    one, zero = np.ones(len(a)), np.zeros(len(a))
    left = np.concatenate(
        [np.stack([one, zero, -a / s2], axis=1), np.stack([zero, one, -b / s2], axis=1)]
    )
    w = np.tile(np.where(trusted, _TRUSTED, _UNTRUSTED) ** 2, 2)
    normal = (left * w[:, None]).T @ left + ridge * np.eye(3)
    q = np.linalg.solve(normal, (left * w[:, None]).T @ (right / sb))
    return np.array([q[0] * sb, q[1] * sb, q[2] * sb / s2])


def metrabs_weak(xyz: Array, rays: Array, trusted: Array) -> Array:
    """Weak perspective: the reference point (3,) by centroid and size of the trusted joints."""
    if not trusted.any():
        return np.array([0.0, 0.0, 1.0])
    points, image = xyz[trusted], rays[trusted]
    m3, m2 = points.mean(axis=0), image.mean(axis=0)
    s3 = math.sqrt(float(((points - m3)[:, :2] ** 2).sum(axis=1).mean()) + 1e-10)
    s2 = math.sqrt(float(((image - m2) ** 2).sum(axis=1).mean()) + 1e-10)
    return np.asarray(np.array([*m2, 1.0]) * (max(s3, 1e-5) / max(s2, 1e-5)) - m3)


def metrabs_joints(xyz: Array, rays: Array, t: Array, trusted: Array, mix: float = MIX) -> Array:
    """(J, 3) joints: trusted ones between the placed body (mix 1) and their rays (mix 0)."""
    placed = xyz + t
    along = np.column_stack([rays, np.ones(len(rays))]) * placed[:, 2:]
    return np.where(trusted[:, None], mix * placed + (1 - mix) * along, placed)
