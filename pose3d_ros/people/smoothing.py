# SPDX-License-Identifier: Apache-2.0
"""Smoothing of one tracked person: joints about the root, pixels, and the root by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..settings.pipeline import PipelineConfig
from ..types import Array, Pose3D, PositionSource
from .filters import OneEuro, OneEuroSettings, smooth
from .motion import Motion, follow

_VELOCITY_TIME_S = 0.2


class PoseSmoother:
    """One-euro filters of one track, and the velocity of its root."""

    def __init__(self, config: PipelineConfig) -> None:
        self.configure(config)

    def configure(self, config: PipelineConfig) -> None:
        """Take over changed settings; state stays where the filters stay."""
        cutoff = config.smoothing_derivative_cutoff
        settings = {
            'joints': OneEuroSettings(config.smoothing_min_cutoff, config.smoothing_beta, cutoff),
            'pixels': OneEuroSettings(
                config.smoothing_pixel_min_cutoff, config.smoothing_pixel_beta, cutoff
            ),
            'root': OneEuroSettings(
                config.smoothing_root_min_cutoff, config.smoothing_root_beta, cutoff
            ),
        }
        if not hasattr(self, '_filters'):
            self._filters = {name: OneEuro(value) for name, value in settings.items()}
            self._last: tuple[int, Array] | None = None
            self._velocity: Array = np.full(3, np.nan)
            self._motion = Motion()
        for name, value in settings.items():
            self._filters[name].settings = value
        self._enabled = config.smoothing
        self._kalman = config.smoothing_root_filter == 'kalman'

    def relative(self, pose: Pose3D, stamp_ns: int) -> Pose3D:
        """Joints about the root, and pixels, smoothed; the root itself is left where it is."""
        return smooth_relative([self], [pose], stamp_ns)[0]

    def root(self, pose: Pose3D, stamp_ns: int) -> Pose3D:
        """An absolute pose moved to its smoothed root, with the velocity of that."""
        return smooth_root([self], [pose], stamp_ns)[0]


def smooth_relative(
    smoothers: Sequence[PoseSmoother], poses: Sequence[Pose3D], stamp_ns: int
) -> list[Pose3D]:
    """PoseSmoother.relative of several people of one skeleton and one configuration at once."""
    if not poses or not smoothers[0]._enabled:
        return list(poses)
    xyz = np.array([pose.xyz for pose in poses])
    roots = np.zeros((len(poses), 1, 3))
    placed = [k for k, pose in enumerate(poses) if pose.absolute]
    if placed:
        observed = _roots(poses, xyz)[placed]
        roots[placed, 0] = np.where(np.isfinite(observed).all(axis=1, keepdims=True), observed, 0.0)
    joints = smooth([one._filters['joints'] for one in smoothers], xyz - roots, stamp_ns)
    joints += roots
    pixels = np.array([pose.pixels for pose in poses])
    sizes = [pose.size_px if math.isfinite(pose.size_px) else _extent(pose) for pose in poses]
    sized = [k for k, size in enumerate(sizes) if size > 1e-6]
    if sized:
        filters = [smoothers[k]._filters['pixels'] for k in sized]
        pixels[sized] = smooth(filters, pixels[sized], stamp_ns, [1 / sizes[k] for k in sized])
    return [pose.replace(xyz=joints[k], pixels=pixels[k]) for k, pose in enumerate(poses)]


def smooth_root(
    smoothers: Sequence[PoseSmoother], poses: Sequence[Pose3D], stamp_ns: int
) -> list[Pose3D]:
    """PoseSmoother.root of several people of one skeleton and one configuration at once."""
    if not poses:
        return []
    out = list(poses)
    xyz = np.array([pose.xyz for pose in poses])
    roots = _roots(poses, xyz)
    rooted = np.flatnonzero(np.isfinite(roots).all(axis=1)).tolist()
    if not rooted:
        return out
    smoothed = roots[rooted]
    if smoothers[0]._enabled and smoothers[0]._kalman:
        measured = [poses[k].position_source == PositionSource.DEPTH for k in rooted]
        motions = [smoothers[k]._motion for k in rooted]
        smoothed, velocities = follow(motions, smoothed, stamp_ns, measured)
    else:
        if smoothers[0]._enabled:
            smoothed = smooth([smoothers[k]._filters['root'] for k in rooted], smoothed, stamp_ns)
        velocities = _velocities([smoothers[k] for k in rooted], smoothed, stamp_ns)
    xyz[rooted] += (smoothed - roots[rooted])[:, None]
    for k, velocity in zip(rooted, velocities):
        out[k] = poses[k].replace(xyz=xyz[k], velocity=velocity)
    return out


def _velocities(smoothers: Sequence[PoseSmoother], roots: Array, stamp_ns: int) -> Array:
    """(P, 3) m/s with the roots (P, 3) of now, NaN for the first of a person."""
    last = [one._last or (stamp_ns, root) for one, root in zip(smoothers, roots)]
    dt = np.array([max(stamp_ns - stamp, 0) * 1e-9 for stamp, _ in last])[:, None]
    velocity = np.array([one._velocity for one in smoothers])
    now = (roots - np.array([root for _, root in last])) / np.where(dt > 0, dt, np.nan)
    fresh = np.isnan(velocity)
    velocity[fresh] = now[fresh]
    step = (1 - np.exp(-dt / _VELOCITY_TIME_S)) * (now - velocity)
    step[np.isnan(step)] = 0.0
    velocity += step
    for one, root, speed in zip(smoothers, roots, velocity):
        one._last, one._velocity = (stamp_ns, root), speed
    return velocity.copy()


def _roots(poses: Sequence[Pose3D], xyz: Array) -> Array:
    """(P, 3) roots of joints (P, J, 3)."""
    root = poses[0].skeleton.root
    return np.asarray(np.add.reduce(xyz[:, list(root)], axis=1) / len(root))


def _extent(pose: Pose3D) -> float:
    """Size in the image of the joints that have pixels; NaN if none has."""
    return float(np.linalg.norm(np.nanmax(pose.pixels, axis=0) - np.nanmin(pose.pixels, axis=0)))
