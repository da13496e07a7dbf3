# SPDX-License-Identifier: Apache-2.0
"""From a root-relative body in a crop to a pose in front of the camera, and how that was done."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from ..camera import CropCamera
from ..settings.pipeline import PipelineConfig
from ..skeleton import Skeleton
from ..types import Array, Frame, JointStatus, Pose3D, PositionSource, inside
from . import published
from .body import SKIN_TO_JOINT_M, body_height, measured, trunk_depth
from .published import place_as_published
from .solvers import by_bone_lengths, by_box, robust_place

AUTO = ('perspective', 'bone_lengths', 'depth', 'box')
_OUTSIDE_WEIGHT = 0.2  # of 2D joints outside the image, which networks can only guess
_OUTSIDE_CONFIDENCE = 0.5
_MAX_RESIDUAL = 0.2  # of the body's extent: over this the two networks see different bodies
_MIN_AGREE = 0.4
_STRIDE = 32  # of training, the unit of the published bands


@dataclass(frozen=True, eq=False)
class CropBody:
    """A root-relative body in a crop, and its 2D joints in the image.

    crop: the camera of the crop. box: (5,) of the person in the image. xyz: (J, 3) metres about the
    root along the crop's axes. confidence: (J,) of xyz, NaN if unknown; then that of the 2D joints
    stands in. pixels: (J, 2), NaN where there is none. pixel_confidence: (J,), 0 where there is
    none. score: 0..1, that this is a person.
    """

    skeleton: Skeleton
    crop: CropCamera
    box: Array
    xyz: Array
    confidence: Array
    pixels: Array
    pixel_confidence: Array
    score: float


def place_in_crop(body: CropBody, frame: Frame, config: PipelineConfig, method: str) -> Pose3D:
    """A pose with the best position that there is. method: `auto`, or one of METHODS."""
    xyz, scaled = body.xyz, False
    if config.body_height_m:
        height = body_height(body.skeleton, body.crop.to_camera(xyz))
        if math.isfinite(height):
            xyz, scaled = xyz * (config.body_height_m / height), True
    view = _View(body, frame, xyz)
    joints, placed_by = None, ''
    for name in AUTO if method == 'auto' else (method,):
        joints = METHODS[name](view)
        if joints is not None:
            placed_by = name
            break
    pixels = body.pixels
    projected = _in_box(view) if joints is None else joints
    if projected is not None:
        image = body.crop.camera.project(body.crop.to_camera(projected))
        pixels = np.where(_finite(pixels)[:, None], pixels, image)
    visible = inside(pixels, frame.size)
    own = np.where(_finite(body.pixels), body.pixel_confidence, np.nan)
    confidence = np.where(np.isfinite(body.confidence), body.confidence, own)
    status = np.where(visible, JointStatus.MEASURED, JointStatus.INFERRED).astype(np.uint8)
    if frame.camera is not None and config.placement and joints is not None:
        final = body.crop.to_camera(joints)
        source = _source(placed_by, scaled or frame.camera.assumed)
    else:
        final, source, placed_by = body.crop.to_camera(xyz), PositionSource.RELATIVE, ''
    return Pose3D(
        skeleton=body.skeleton,
        xyz=final,
        confidence=np.where(visible, confidence, _OUTSIDE_CONFIDENCE * confidence),
        pixels=pixels,
        status=status,
        position_source=source,
        placed_by=placed_by,
        score=body.score,
        size_px=float(max(body.box[2:4])),
    )


@dataclass(frozen=True, eq=False)
class _View:
    """What the methods need of a body. xyz: (J, 3) as in CropBody, scaled."""

    body: CropBody
    frame: Frame
    xyz: Array

    @cached_property
    def crop_pixels(self) -> Array:
        """(J, 2) pixels of the crop."""
        pixels = self.body.pixels
        return self.body.crop.from_image(pixels) if _finite(pixels).any() else pixels

    @cached_property
    def rays(self) -> Array:
        """(J, 2) x/z, y/z along the crop's axes."""
        return self.body.crop.rays(self.crop_pixels)

    @cached_property
    def weights(self) -> Array:
        """(J,) of the rays."""
        visible = inside(self.body.pixels, self.frame.size)
        confidence = np.nan_to_num(self.body.pixel_confidence)
        return np.asarray(confidence * np.where(visible, 1.0, _OUTSIDE_WEIGHT))

    @cached_property
    def box_rays(self) -> tuple[Array, Array]:
        """x/z, y/z along the crop's axes of the middles of the box's sides.

        (2,) left and top, (2,) right and bottom.
        """
        x, y, width, height = (float(v) for v in self.body.box[:4])
        cx, cy = x + width / 2, y + height / 2
        sides = np.array([(x, cy), (cx, y), (x + width, cy), (cx, y + height)])
        rays = self.body.crop.rays(self.body.crop.from_image(sides))
        return np.array([rays[0, 0], rays[1, 1]]), np.array([rays[2, 0], rays[3, 1]])


def _by_perspective(view: _View) -> Array | None:
    """By rays, some of which may be wrong."""
    if not _finite(view.rays).any():
        return None
    place = robust_place(view.xyz, view.rays, view.weights)
    if place is None or place.residual > _MAX_RESIDUAL * place.extent:
        return None
    weights = view.weights
    agree = weights[place.inliers].sum() / max(weights[np.isfinite(weights)].sum(), 1e-9)
    return np.asarray(view.xyz + place.t) if agree >= _MIN_AGREE else None


def _by_bones(view: _View) -> Array | None:
    """Joints on their rays, as far apart as the network says that the bones are long."""
    xyz, rays, weights = view.xyz, view.rays, view.weights
    if not _finite(rays).any():
        return None
    parents = view.body.skeleton.parents
    edges = np.array([(p, j) for j, p in enumerate(parents) if p >= 0])
    lengths = np.linalg.norm(xyz[edges[:, 0]] - xyz[edges[:, 1]], axis=1)
    shares = np.minimum(weights[edges[:, 0]], weights[edges[:, 1]])
    z = by_bone_lengths(rays, xyz[:, 2], edges, lengths, shares)
    used = _finite(rays) & (weights > 0)
    if z is None or used.sum() < 3:
        return None
    depth = xyz[used, 2] + z
    aside = np.median(rays[used] * depth[:, None] - xyz[used, :2], axis=0)
    return np.asarray(xyz + np.array([*aside, z]))


def _by_depth(view: _View) -> Array | None:
    """By a depth image: at the trunk's joints, else in the middle of the box."""
    depth, crop, box = view.frame.depth, view.body.crop, view.body.box
    if depth is None:
        return None
    relative = crop.to_camera(view.xyz)
    camera_z = trunk_depth(view.body.skeleton, relative, view.body.pixels, depth)
    low, high = view.box_rays
    ray = (low + high) / 2
    used = _finite(view.rays) & (view.weights > 0)
    if camera_z and used.sum() >= 3:
        # Depth is along the image's axis, the solution along the crop's; near enough to iterate.
        ray = np.median(view.rays[used] - view.xyz[used, :2] / max(camera_z, 0.3), axis=0)
    else:
        centre, half = box[:2] + box[2:4] / 2, np.maximum(box[2:4] / 10, 3)
        left, top = (int(max(v, 0)) for v in np.floor(centre - half))
        right, bottom = (int(v) + 1 for v in np.ceil(centre + half))
        window = measured(depth, left, top, right, bottom)
        if len(window) < 5:
            return None
        camera_z = float(np.median(window)) + SKIN_TO_JOINT_M
    direction = crop.to_camera(np.array([*ray, 1.0]))
    if direction[2] < 1e-3:
        return None
    return np.asarray(view.xyz + np.array([*ray, 1.0]) * (camera_z / direction[2]))


def _in_box(view: _View) -> Array | None:
    """As large as the box."""
    t = by_box(view.xyz, *view.box_rays)
    return None if t is None else np.asarray(view.xyz + t)


def _as_published(method: str, view: _View) -> Array | None:
    """By the joints in the inner part of the crop."""
    edge = (1.0 if method == 'metrabs_2020' else 0.75) * _STRIDE
    finite, pixels = _finite(view.rays), view.crop_pixels
    with np.errstate(invalid='ignore'):
        within = (pixels >= edge) & (pixels <= view.body.crop.size - edge)
    trusted = np.asarray(within.all(axis=1))
    if (trusted & finite).sum() < 3:
        # Fewer collapse onto the camera.
        return None
    return place_as_published(method, view.xyz, view.rays, trusted)


def _source(placed_by: str, assumed: bool) -> PositionSource:
    if placed_by == 'depth':
        return PositionSource.DEPTH
    return PositionSource.ASSUMED if assumed or placed_by == 'box' else PositionSource.METRIC


def _finite(points: Array) -> Array:
    return np.asarray(np.isfinite(points).all(axis=1))


METHODS: Mapping[str, Callable[[_View], Array | None]] = {
    'perspective': _by_perspective,
    'bone_lengths': _by_bones,
    'depth': _by_depth,
    'box': _in_box,
    **{name: partial(_as_published, name) for name in published.METHODS},
}
"""Ways to joints (J, 3) from the camera along the crop's axes; None where one cannot tell."""
