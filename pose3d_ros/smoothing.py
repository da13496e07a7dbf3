# SPDX-License-Identifier: Apache-2.0
"""Smoothing of one tracked person: joints about the root, pixels, and the root by itself."""

from __future__ import annotations

import math

import numpy as np

from .config import PipelineConfig
from .filters import OneEuro, OneEuroSettings
from .types import Array, Pose3D

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
        for name, value in settings.items():
            self._filters[name].settings = value
        self._enabled = config.smoothing

    def relative(self, pose: Pose3D, stamp_ns: int) -> Pose3D:
        """Joints about the root, and pixels, smoothed; the root itself is left where it is."""
        if not self._enabled:
            return pose
        root = pose.root if pose.absolute else np.zeros(3)
        if not np.isfinite(root).all():
            root = np.zeros(3)
        xyz = self._filters['joints'](pose.xyz - root, stamp_ns) + root
        size = pose.size_px
        pixels = pose.pixels
        if not math.isfinite(size):
            size = float(np.linalg.norm(np.nanmax(pixels, axis=0) - np.nanmin(pixels, axis=0)))
        if size > 1e-6:
            pixels = self._filters['pixels'](pixels, stamp_ns, 1 / size)
        return pose.replace(xyz=xyz, pixels=pixels)

    def root(self, pose: Pose3D, stamp_ns: int) -> Pose3D:
        """An absolute pose moved to its smoothed root, with the velocity of that."""
        root = pose.root
        if not np.isfinite(root).all():
            return pose
        smooth = self._filters['root'](root, stamp_ns) if self._enabled else root
        if self._last is not None:
            dt = (stamp_ns - self._last[0]) * 1e-9
            if dt > 0:
                now = (smooth - self._last[1]) / dt
                share = 1 - math.exp(-dt / _VELOCITY_TIME_S)
                old = np.where(np.isfinite(self._velocity), self._velocity, now)
                self._velocity = old + share * (now - old)
        self._last = (stamp_ns, smooth)
        return pose.replace(xyz=pose.xyz + (smooth - root), velocity=self._velocity.copy())
