# SPDX-License-Identifier: Apache-2.0
"""Sizes of tracked people, as depth images show them."""

from __future__ import annotations

from collections.abc import Sequence

from ..settings.pipeline import PipelineConfig
from ..types import Frame, Pose3D
from .placing import depth_scale

_RATE = 0.1  # share of a frame's measurement in a person's size


def body_scaled(
    poses: Sequence[Pose3D], frame: Frame, scales: dict[int, float], config: PipelineConfig
) -> list[Pose3D]:
    """Root-relative people of assumed size in the one that depth images showed so far.

    scales: factors by track id; takes in the measurements of this frame.
    """
    if config.body_height_m or (frame.depth is None and not scales):
        return list(poses)
    return [pose if pose.absolute else _scaled(pose, frame, scales) for pose in poses]


def _scaled(pose: Pose3D, frame: Frame, scales: dict[int, float]) -> Pose3D:
    scale = scales.get(pose.track_id)
    if frame.depth is not None and frame.camera is not None:
        measured = depth_scale(pose, frame.camera, frame.depth)
        if measured is not None:
            scale = measured if scale is None else scale + _RATE * (measured - scale)
            scales[pose.track_id] = scale
    if scale is None:
        return pose
    covariance = None if pose.covariance is None else pose.covariance * scale**2
    return pose.replace(xyz=pose.xyz * scale, covariance=covariance)
