# SPDX-License-Identifier: Apache-2.0
"""Sizes of tracked people, as depth images show them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..camera import Camera
from ..settings.pipeline import PipelineConfig
from ..types import Array, Frame, Pose3D
from .body import trunk_depth

_SCALES = (0.4, 1.4)  # of an assumed body height: from infants to giants
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
        measured = _measured(pose, frame.camera, frame.depth)
        if measured is not None:
            scale = measured if scale is None else scale + _RATE * (measured - scale)
            scales[pose.track_id] = scale
    if scale is None:
        return pose
    covariance = None if pose.covariance is None else pose.covariance * scale**2
    return pose.replace(xyz=pose.xyz * scale, covariance=covariance)


def _measured(pose: Pose3D, camera: Camera, depth: Array) -> float | None:
    """Factor by which a root-relative pose must grow to look as it does at its measured depth.

    depth: (H, W) metres. None if the depth image shows no trunk, or the joints say nothing.
    """
    rays = camera.rays(pose.pixels)
    good = np.isfinite(rays).all(axis=1) & np.isfinite(pose.xyz).all(axis=1)
    z = trunk_depth(pose.skeleton, pose.xyz, pose.pixels, depth)
    if z <= 0 or good.sum() < 3:
        return None
    # k (X - a Z) + t_x = a z and k (Y - b Z) + t_y = b z; the means take t_x and t_y away.
    xyz, image = pose.xyz[good], rays[good]
    own = xyz[:, :2] - image * xyz[:, 2:]
    own = own - own.mean(axis=0)
    spread = float((own * own).sum())
    factor = float((own * (image - image.mean(axis=0))).sum()) * z / max(spread, 1e-9)
    return factor if _SCALES[0] < factor < _SCALES[1] else None
