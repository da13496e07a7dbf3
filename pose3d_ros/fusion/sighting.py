# SPDX-License-Identifier: Apache-2.0
"""What one camera says of people, as rays and points in the fusion frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..camera import Camera
from ..errors import InputError
from ..placement.solvers import robust_place
from ..skeleton import Skeleton
from ..types import Array, JointStatus, Pose3D, TrackingState, convert

# Errors of image points across the ray, in metres at the joint, by confidence: as measured of
# BlazePose on the rendered clips (14 mm at 0.98, 45 at 0.6, 70 at 0.2).
_SIGMA_M, _DOUBT_M, _DOUBT_POWER = 0.014, 0.065, 0.75
_CONFIDENCE = 0.8  # where the model gives none
_PIXEL_SIGMA = 1.0
_EXTRAPOLATED = 3.0  # how much less a camera's own prediction counts
# Of distances, where a camera states none: of the person, relative, and of joints about the root.
_DEPTH_SIGMA, _RELATIVE_SIGMA_M = 0.12, 0.07
_LEAST_SIGMA_M, _LEAST_DEPTH = 0.05, 0.03
_MIN_JOINTS = 4


@dataclass(frozen=True, eq=False)
class View:
    """The people of one image of one camera, and where that camera was.

    source: name of the camera. R, t: (3, 3), (3,) metres with x_fusion = R x_camera + t at the
    stamp. received_ns: when it came, by the clock of those who fuse; None: at once.
    """

    source: str
    stamp_ns: int
    camera: Camera
    R: Array
    t: Array
    people: Sequence[Pose3D]
    received_ns: int | None = None

    def __post_init__(self) -> None:
        orthogonal = self.R.shape == (3, 3) and np.allclose(self.R @ self.R.T, np.eye(3), atol=1e-3)
        if not orthogonal or np.linalg.det(self.R) < 0:
            raise InputError(f'{self.source}: the rotation of the camera is none: {self.R}')
        if self.t.shape != (3,) or not np.isfinite(self.t).all():
            raise InputError(f'{self.source}: the position of the camera must be (3,): {self.t}')


@dataclass(eq=False)
class Sighting:
    """One person in one view, of J joints; NaN where a joint has no image point.

    directions: (J, 3) unit rays in the fusion frame from origin (3,). sigma: (J,) metres across
    the ray. depth: (J,) metres along the ray as the camera estimates it alone. depth_sigma: of all
    joints together, relative. relative_sigma: (J,) metres along the ray, of joints about the
    root. velocity: (3,) m/s, zero if unknown. confidence: (J,).
    """

    source: str
    track_id: int
    stamp_ns: int
    origin: Array
    directions: Array
    sigma: Array
    depth: Array
    depth_sigma: float
    relative_sigma: Array
    velocity: Array
    pose: Pose3D
    usable: Array = field(init=False)
    distance: float = field(init=False)
    ahead: Array = field(init=False)
    """(3,) unit vector towards the person."""

    def __post_init__(self) -> None:
        self.usable = np.isfinite(self.directions[:, 0]) & np.isfinite(self.depth)
        self.distance = _middle(self.depth[self.usable])
        ahead = np.add.reduce(self.directions[self.usable], axis=0)
        self.ahead = ahead / max(math.sqrt(float(ahead @ ahead)), 1e-9)

    @property
    def points(self) -> Array:
        """(J, 3) metres, fusion frame: the joints as this camera alone has them, on their rays."""
        return np.asarray(self.origin + self.depth[:, None] * self.directions)

    @property
    def spread(self) -> Array:
        """(3, 3) m²: covariance of the person's place by this camera alone."""
        along = (self.depth_sigma * self.distance) ** 2
        across = _middle(self.sigma[self.usable]) ** 2
        return np.asarray(across * np.eye(3) + (along - across) * np.outer(self.ahead, self.ahead))


def _middle(values: Array) -> float:
    """Upper median of finite values (N,), NaN without any; np.median takes ten times as long."""
    return float(np.sort(values)[len(values) // 2]) if len(values) else math.nan


def sightings_of(view: View, skeleton: Skeleton) -> list[Sighting]:
    """The people of a view, in the joints of that skeleton; those without enough joints left out.

    Raises InputError for people whose numbers cannot be.
    """
    people = [
        convert(pose, skeleton)
        for pose in view.people
        if pose.tracking_state != TrackingState.LOST and pose.xyz.size
    ]
    if not people:
        return []
    joints = len(skeleton)
    pixels = np.concatenate([pose.pixels for pose in people])
    rays = view.camera.directions(pixels).reshape(len(people), joints, 3)
    out = []
    for pose, directions in zip(people, rays):
        one = _sighting(view, pose, directions)
        if one is not None:
            out.append(one)
    return out


def _sighting(view: View, pose: Pose3D, rays: Array) -> Sighting | None:
    present = (pose.status != JointStatus.INVALID) & np.isfinite(rays[:, 0])
    if present.sum() < _MIN_JOINTS:
        return None
    confidence = np.where(np.isfinite(pose.confidence), pose.confidence, _CONFIDENCE).clip(0, 1)
    xyz, sigma_depth = pose.xyz, _DEPTH_SIGMA
    covariance = pose.covariance
    if not pose.absolute:
        # Of a body about its root the rays tell the place, if its size is right.
        with np.errstate(divide='ignore', invalid='ignore'):
            flat = np.where(rays[:, 2:] > 0, rays[:, :2] / rays[:, 2:], np.nan)
        placed = robust_place(xyz, flat, np.where(present, confidence + 1e-3, 0.0))
        if placed is None:
            return None
        xyz = xyz + placed.t
    depth = np.add.reduce(xyz * rays, axis=1)
    depth = np.where(present & (depth > 0.1), depth, np.nan)
    if np.isfinite(depth).sum() < _MIN_JOINTS:
        return None
    middle = _middle(depth[np.isfinite(depth)])
    relative = np.full(len(depth), _RELATIVE_SIGMA_M)
    if covariance is not None:
        along = np.einsum('ji,jik,jk->j', rays, covariance, rays)
        finite = along[np.isfinite(along)]
        if pose.absolute and len(finite):
            root = float(finite.min())
            sigma_depth = max(math.sqrt(max(root, 0.0)) / middle, _LEAST_DEPTH)
            # Those of a body share the error of its distance; the rest is the joint's own.
            own = np.maximum(along - root, _LEAST_SIGMA_M**2)
            relative = np.where(np.isfinite(own), np.sqrt(own), relative)
    sigma = _SIGMA_M + _DOUBT_M * (1 - confidence) ** _DOUBT_POWER
    sigma = np.hypot(sigma, _PIXEL_SIGMA * middle / view.camera.focal)
    if pose.tracking_state == TrackingState.PREDICTED:
        sigma = sigma * _EXTRAPOLATED
    velocity = view.R @ np.nan_to_num(pose.velocity)
    directions = np.where(present[:, None], rays, np.nan) @ view.R.T
    return Sighting(
        source=view.source,
        track_id=pose.track_id,
        stamp_ns=view.stamp_ns,
        origin=view.t,
        directions=directions,
        sigma=sigma,
        depth=depth,
        depth_sigma=sigma_depth,
        relative_sigma=relative,
        velocity=velocity,
        pose=pose,
    )
