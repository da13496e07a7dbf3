# SPDX-License-Identifier: Apache-2.0
"""The body frame of REP-155: origin mid hips, x out of the chest, y left, z to the head."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from ..skeleton import MEANS, Skeleton
from ..types import Array, Pose3D

Rotation = tuple[tuple[float, float, float], ...]


@lru_cache(maxsize=32)
def _trunk(skeleton: Skeleton) -> tuple[int, int, tuple[int, ...], tuple[int, ...]] | None:
    """Indices: left hip, right hip, what the pelvis and the middle of the shoulders are made of."""
    by = skeleton.by_meaning
    parts = []
    for meaning in ('pelvis', 'mid_shoulder'):
        # The mean of the two sides is the definition; a joint of that name only stands in.
        names = MEANS[meaning] if all(n in by for n in MEANS[meaning]) else (meaning,)
        if not all(name in by for name in names):
            return None
        parts.append(tuple(by[name] for name in names))
    if 'left_hip' not in by or 'right_hip' not in by:
        return None
    return by['left_hip'], by['right_hip'], parts[0], parts[1]


def rotation_of(pose: Pose3D) -> Rotation | None:
    """3x3 rotation, columns x, y, z of the body frame in the pose's frame.

    None if hips or shoulders are unknown or lie in one line.
    """
    trunk = _trunk(pose.skeleton)
    if trunk is None:
        return None
    left, right, pelvis, shoulders = trunk
    xyz: list[list[float]] = pose.xyz.tolist()
    low, high = _mean(xyz, pelvis), _mean(xyz, shoulders)
    z = _unit([high[k] - low[k] for k in range(3)])
    if z is None:
        return None
    y = [xyz[left][k] - xyz[right][k] for k in range(3)]
    along = sum(y[k] * z[k] for k in range(3))
    across = _unit([y[k] - along * z[k] for k in range(3)])
    if across is None:
        return None
    y = across
    x = [y[1] * z[2] - y[2] * z[1], y[2] * z[0] - y[0] * z[2], y[0] * z[1] - y[1] * z[0]]
    return tuple((x[k], y[k], z[k]) for k in range(3))


def _mean(xyz: list[list[float]], index: tuple[int, ...]) -> list[float]:
    return [sum(xyz[j][k] for j in index) / len(index) for k in range(3)]


def _unit(v: list[float]) -> list[float] | None:
    length = math.sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])
    # Also false for NaN; a millimetre gives no direction.
    return [c / length for c in v] if length > 1e-3 else None


def quaternion_of(r: Rotation) -> tuple[float, float, float, float]:
    """x, y, z, w of a rotation matrix, w >= 0."""
    (a, b, c), (d, e, f), (g, h, i) = r
    # Of the four formulas the one with the largest divisor, to stay exact everywhere.
    squares = (1 + a - e - i, 1 - a + e - i, 1 - a - e + i, 1 + a + e + i)
    best = max(range(4), key=squares.__getitem__)
    s = 2 * math.sqrt(squares[best])
    q = (
        (s / 4, (b + d) / s, (c + g) / s, (h - f) / s),
        ((b + d) / s, s / 4, (f + h) / s, (c - g) / s),
        ((c + g) / s, (f + h) / s, s / 4, (d - b) / s),
        ((h - f) / s, (c - g) / s, (d - b) / s, s / 4),
    )[best]
    sign = -1.0 if q[3] < 0 else 1.0
    return sign * q[0], sign * q[1], sign * q[2], sign * q[3]


def transformed(pose: Pose3D, rotation: Array, translation: Array) -> Pose3D:
    """The pose in another frame: x' = rotation @ x + translation.

    A root-relative pose is only turned.
    """
    xyz = pose.xyz @ rotation.T
    if pose.absolute:
        xyz = xyz + translation
    covariance = pose.covariance
    if covariance is not None:
        covariance = rotation @ covariance @ rotation.T
    return pose.replace(
        xyz=xyz, covariance=covariance, velocity=np.asarray(rotation @ pose.velocity)
    )
