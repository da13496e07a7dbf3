# SPDX-License-Identifier: Apache-2.0
"""From a root-relative body in a crop to a pose in front of the camera, and how that was done."""

from __future__ import annotations

import math

import numpy as np

from ..networks.crops import CropCamera
from ..settings.pipeline import PipelineConfig
from ..skeleton import Skeleton
from ..types import Array, Frame, JointStatus, Pose3D, PositionSource
from .placing import body_height, trunk_depth
from .solvers import (
    by_bone_lengths,
    by_box,
    metrabs_full,
    metrabs_joints,
    metrabs_weak,
    robust_place,
)

METHODS = (
    'auto', 'perspective', 'bone_lengths', 'depth', 'box', 'metrabs', 'metrabs_2020',
    'metrabs_weak',
)  # fmt: skip
AUTO = ('perspective', 'bone_lengths', 'depth', 'box')
_BY_RAYS = ('perspective', 'bone_lengths')
_PUBLISHED = ('metrabs', 'metrabs_2020', 'metrabs_weak')
_OUTSIDE_TRUST = 0.2  # of 2D joints outside the image, which networks can only guess
_OUTSIDE_CONFIDENCE = 0.5
_MAX_RESIDUAL = 0.2  # of the body's extent: over this the two networks see different bodies
_MIN_AGREE = 0.4
_STRIDE = 32  # of training, the unit of the published bands
_BODY_DEPTH_M = 0.09


def placed(
    skeleton: Skeleton,
    xyz: Array,
    pixels: Array,
    trust: Array,
    confidence: Array,
    crop: CropCamera,
    box: Array,
    frame: Frame,
    config: PipelineConfig,
    method: str,
    score: float,
) -> Pose3D:
    """A pose with the best place that there is.

    xyz: (J, 3) metres about the root along the crop's axes. pixels, trust: (J, 2), (J,) 2D joints
    in the image and how much they count, NaN and 0 where there is none. confidence: (J,) of xyz,
    NaN if unknown; then that of the 2D joints stands in.
    """
    scaled = False
    relative = crop.to_camera(xyz)
    if config.body_height_m:
        height = body_height(_bare(skeleton, relative))
        if math.isfinite(height):
            xyz, scaled = xyz * (config.body_height_m / height), True
            relative = crop.to_camera(xyz)
    seen = _finite(pixels)
    crop_pixels = crop.from_image(pixels) if seen.any() else pixels
    rays = crop.rays(crop_pixels)
    inside = _inside(pixels, frame.size)
    weights = np.nan_to_num(trust) * np.where(inside, 1.0, _OUTSIDE_TRUST)
    joints, how = None, ''
    for name in AUTO if method == 'auto' else (method,):
        joints = _by(name, skeleton, xyz, rays, weights, crop_pixels, crop, box, frame, pixels)
        if joints is not None:
            how = name
            break
    drawn = joints
    if drawn is None:
        guess = by_box(xyz, *_box_rays(crop, box))
        drawn = None if guess is None else xyz + guess
    if drawn is not None:
        projected = crop.camera.project(crop.to_camera(drawn))
        pixels = np.where(seen[:, None], pixels, projected)
    inside = _inside(pixels, frame.size)
    sure = np.where(np.isfinite(confidence), confidence, np.where(seen, trust, np.nan))
    sure = np.where(inside, sure, _OUTSIDE_CONFIDENCE * sure)
    status = np.where(inside, JointStatus.MEASURED, JointStatus.INFERRED).astype(np.uint8)
    calibrated = frame.camera is not None and config.placement and joints is not None
    if calibrated and joints is not None:
        final = crop.to_camera(joints)
        source = _source(how, scaled or bool(frame.camera and frame.camera.assumed))
    else:
        final, source, how = relative, PositionSource.RELATIVE, ''
    return Pose3D(
        skeleton=skeleton,
        xyz=final,
        confidence=sure,
        pixels=pixels,
        status=status,
        position_source=source,
        placed_by=how,
        score=score,
        size_px=float(max(box[2:4])),
    )


def _by(
    name: str,
    skeleton: Skeleton,
    xyz: Array,
    rays: Array,
    weights: Array,
    crop_pixels: Array,
    crop: CropCamera,
    box: Array,
    frame: Frame,
    pixels: Array,
) -> Array | None:
    """(J, 3) joints from the camera along the crop's axes by one method; None if it cannot."""
    if name in _BY_RAYS and not _finite(rays).any():
        return None
    if name == 'perspective':
        found = robust_place(xyz, rays, weights)
        if found is None or found.residual > _MAX_RESIDUAL * found.extent:
            return None
        agree = weights[found.inliers].sum() / max(weights[np.isfinite(weights)].sum(), 1e-9)
        return xyz + found.t if agree >= _MIN_AGREE else None
    if name == 'bone_lengths':
        return _by_bones(skeleton, xyz, rays, weights)
    if name == 'depth':
        return _by_depth(skeleton, xyz, rays, weights, crop, box, frame, pixels)
    if name == 'box':
        guess = by_box(xyz, *_box_rays(crop, box))
        return None if guess is None else xyz + guess
    return _as_published(name, xyz, rays, crop_pixels, crop.size)


def _by_bones(skeleton: Skeleton, xyz: Array, rays: Array, weights: Array) -> Array | None:
    """Joints on their rays, as far apart as the network says that the bones are long."""
    edges = np.array([(p, j) for j, p in enumerate(skeleton.parents) if p >= 0])
    lengths = np.linalg.norm(xyz[edges[:, 0]] - xyz[edges[:, 1]], axis=1)
    shares = np.minimum(weights[edges[:, 0]], weights[edges[:, 1]])
    z = by_bone_lengths(rays, xyz[:, 2], edges, lengths, shares)
    used = np.isfinite(rays).all(axis=1) & (weights > 0)
    if z is None or used.sum() < 3:
        return None
    depth = xyz[used, 2] + z
    aside = np.median(rays[used] * depth[:, None] - xyz[used, :2], axis=0)
    return np.asarray(xyz + np.array([*aside, z]))


def _by_depth(
    skeleton: Skeleton,
    xyz: Array,
    rays: Array,
    weights: Array,
    crop: CropCamera,
    box: Array,
    frame: Frame,
    pixels: Array,
) -> Array | None:
    """By a depth image: at the trunk's joints, else in the middle of the box."""
    if frame.depth is None:
        return None
    relative = crop.to_camera(xyz)
    camera_z = trunk_depth(_bare(skeleton, relative, pixels), relative, frame.depth)
    centre = box[:2] + box[2:4] / 2
    low, high = _box_rays(crop, box)
    ray = (low + high) / 2
    used = np.isfinite(rays).all(axis=1) & (weights > 0)
    if camera_z and used.sum() >= 3:
        # Depth is along the image's axis, the solution along the crop's; near enough to iterate.
        ray = np.median(rays[used] - xyz[used, :2] / max(camera_z, 0.3), axis=0)
    else:
        half = np.maximum(box[2:4] / 10, 3)
        x0, y0 = (int(max(v, 0)) for v in np.floor(centre - half))
        x1, y1 = (int(v) + 1 for v in np.ceil(centre + half))
        window = frame.depth[y0:y1, x0:x1]
        window = window[np.isfinite(window) & (window > 0)]
        if len(window) < 5:
            return None
        camera_z = float(np.median(window)) + _BODY_DEPTH_M
    direction = crop.to_camera(np.array([*ray, 1.0]))
    if direction[2] < 1e-3:
        return None
    return np.asarray(xyz + np.array([*ray, 1.0]) * (camera_z / direction[2]))


def _as_published(
    name: str, xyz: Array, rays: Array, crop_pixels: Array, size: int
) -> Array | None:
    edge = (1.0 if name == 'metrabs_2020' else 0.75) * _STRIDE
    known = _finite(rays)
    with np.errstate(invalid='ignore'):
        trusted = np.asarray(((crop_pixels >= edge) & (crop_pixels <= size - edge)).all(axis=1))
    if (trusted & known).sum() < 3:
        # Fewer collapse onto the camera.
        return None
    points, seen, band = xyz[known], rays[known], trusted[known]
    if name == 'metrabs_weak':
        t = metrabs_weak(points, seen, band)
    else:
        t = metrabs_full(points, seen, band, 0.0 if name == 'metrabs_2020' else 0.01)
    out = xyz + t
    out[known] = metrabs_joints(points, seen, t, band, 0.0 if name == 'metrabs_2020' else 0.5)
    return np.asarray(out)


def _box_rays(crop: CropCamera, box: Array) -> tuple[Array, Array]:
    """x/z, y/z along the crop's axes of the middles of the box's sides: left top, right bottom."""
    x, y, width, height = (float(v) for v in box[:4])
    cx, cy = x + width / 2, y + height / 2
    sides = np.array([(x, cy), (cx, y), (x + width, cy), (cx, y + height)])
    rays = crop.rays(crop.from_image(sides))
    return np.array([rays[0, 0], rays[1, 1]]), np.array([rays[2, 0], rays[3, 1]])


def _finite(points: Array) -> Array:
    return np.asarray(np.isfinite(points).all(axis=1))


def _inside(pixels: Array, size: tuple[int, int]) -> Array:
    with np.errstate(invalid='ignore'):
        return np.asarray(
            (pixels >= -0.5).all(axis=1) & (pixels <= np.subtract(size, 0.5)).all(axis=1)
        )


def _source(how: str, assumed: bool) -> PositionSource:
    if how == 'depth':
        return PositionSource.DEPTH
    return PositionSource.ASSUMED if assumed or how == 'box' else PositionSource.METRIC


def _bare(skeleton: Skeleton, xyz: Array, pixels: Array | None = None) -> Pose3D:
    """What body_height and trunk_depth read."""
    count = len(skeleton)
    return Pose3D(
        skeleton=skeleton,
        xyz=xyz,
        confidence=np.ones(count),
        pixels=np.full((count, 2), np.nan) if pixels is None else pixels,
        status=np.ones(count, np.uint8),
    )
