# SPDX-License-Identifier: Apache-2.0
"""Several simulated cameras around people, with a detector's errors: what fusion is tried on.

Errors are those that the lifter's training uses, measured of BlazePose on the rendered clips
(tools/training/detector.py): joints that lie elsewhere than those of motion capture, errors
that wander within a second, and others that grow as confidence falls.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..camera import Camera
from ..fusion.sighting import View
from ..skeleton import SKELETONS
from ..types import Array, JointStatus, Pose3D, PositionSource, TrackingState

SKELETON = SKELETONS['cmu_22']
CAMERA = Camera(
    K=np.array([[600.0, 0, 319.5], [0, 600, 239.5], [0, 0, 1]]),
    size=(640, 480),
    model='plumb_bob',
    D=np.array([-0.15, 0.03, 0.0, 0.0, 0.0]),
)
# Metres from the rig's joint to the detector's: left, back, up along the trunk.
_OFFSETS = {
    'hip': (-0.010, -0.052, -0.004), 'shoulder': (-0.010, -0.003, 0.030),
    'elbow': (-0.003, -0.010, 0.009), 'toe': (-0.007, -0.030, -0.026),
    'ear': (-0.029, -0.031, -0.013), 'nose': (0.0, 0.012, 0.012),
}  # fmt: skip
_STEADY, _WANDER, _WHITE, _DOUBT = 0.012, 0.010, 0.004, 0.065
_WANDER_S = 0.5
_SIZE_SIGMA, _RELATIVE_SIGMA = 0.08, 0.06
_WRONG, _WRONG_M = 0.01, 0.15


@dataclass(frozen=True, eq=False)
class Placed:
    """A camera in the world (z up): x_camera = R x_world + t."""

    R: Array
    t: Array
    camera: Camera = CAMERA

    def view(self, source: str, stamp_ns: int, people: Sequence[Pose3D]) -> View:
        """What it sees, for the fusion."""
        return View(source, stamp_ns, self.camera, self.R.T, -self.R.T @ self.t, people)


def around(
    count: int, *, distance: float = 4.5, height: float = 1.8, aim: float = 0.9
) -> list[Placed]:
    """So many cameras on a circle about the origin, looking at its middle."""
    out = []
    for angle in np.arange(count) * 2 * math.pi / count:
        place = np.array([distance * math.cos(angle), distance * math.sin(angle), height])
        ahead = np.array([0, 0, aim]) - place
        ahead /= np.linalg.norm(ahead)
        right = np.cross(ahead, [0, 0, 1])
        right /= np.linalg.norm(right)
        R = np.stack([right, np.cross(ahead, right), ahead])
        out.append(Placed(R, -R @ place))
    return out


def walkers(count: int, stamps_s: Array) -> Array:
    """(T, P, 22, 3) metres: simple bodies that walk in circles, arms and legs swinging."""
    out = np.full((len(stamps_s), count, len(SKELETON), 3), np.nan)
    for k in range(count):
        size = 0.92 + 0.16 * k / max(count - 1, 1)
        phase = 2 * math.pi * k / count
        turn = phase + (0.9 - 0.25 * k) * stamps_s / 1.2
        radius = 0.5 + 0.9 * (k % 2)
        root = radius * np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1)
        sign = math.copysign(1.0, 0.9 - 0.25 * k)
        ahead = sign * np.stack([-np.sin(turn), np.cos(turn), 0 * turn], axis=1)
        left = np.stack([-ahead[:, 1], ahead[:, 0], 0 * turn], axis=1)
        swing = 0.45 * np.sin(2 * math.pi * 0.9 * stamps_s + phase)
        for name, (side, front, up, moves) in _BODY.items():
            for sign_side, joint in ((1, f'left_{name}'), (-1, f'right_{name}'), (0, name)):
                if joint in SKELETON.names:
                    step = front + sign_side * moves * swing
                    xyz = size * (sign_side * side * left + step[:, None] * ahead) + root
                    xyz[:, 2] = size * up
                    out[:, k, SKELETON.names.index(joint)] = xyz
    return out


# To the side, to the front, up; how far forward it swings.
_BODY = {
    'pelvis': (0, 0, 0.92, 0), 'hip': (0.09, 0, 0.92, 0), 'knee': (0.1, 0.02, 0.5, 0.5),
    'ankle': (0.1, -0.03, 0.09, 0.9), 'toe': (0.1, 0.1, 0.04, 0.9), 'spine': (0, 0, 1.05, 0),
    'thorax': (0, 0, 1.4, 0), 'neck': (0, 0.02, 1.5, 0), 'head': (0, 0.02, 1.7, 0),
    'shoulder': (0.17, 0, 1.4, 0), 'elbow': (0.24, -0.02, 1.12, -0.35),
    'wrist': (0.25, 0.05, 0.9, -0.7), 'nose': (0, 0.12, 1.58, 0), 'ear': (0.07, 0.03, 1.58, 0),
}  # fmt: skip


class Detector:
    """What a network sees of people in one camera. track ids are the camera's own."""

    def __init__(
        self, placed: Placed, people: int, rng: np.random.Generator, missing: float = 0.15
    ) -> None:
        self._placed, self._rng, self._missing = placed, rng, missing
        joints = len(SKELETON)
        self._size = np.exp(_SIZE_SIGMA * rng.standard_normal(people))
        self._steady = _STEADY * rng.standard_normal((people, joints, 2))
        self._wander = _WANDER * rng.standard_normal((people, joints, 2))
        self._relative = _RELATIVE_SIGMA * rng.standard_normal((people, joints))
        self._gone = rng.random((people, joints)) < missing
        self._stamp_s = math.nan
        self._numbers = 1 + rng.permutation(people)

    def people(self, world: Array, stamp_s: float) -> list[Pose3D]:
        """The people (P, 22, 3) as they are at a time, as the camera reports them."""
        self._wander_on(stamp_s)
        true = world @ self._placed.R.T + self._placed.t
        out = []
        for k in self._rng.permutation(len(true)):
            pose = self._pose(int(k), world[k], true[k])
            if pose is not None:
                out.append(pose)
        return out

    def _wander_on(self, stamp_s: float) -> None:
        rng = self._rng
        dt = stamp_s - self._stamp_s
        keep = math.exp(-dt / _WANDER_S) if math.isfinite(dt) else 1.0
        fresh = math.sqrt(1 - keep**2)
        for values, sigma in ((self._wander, _WANDER), (self._relative, _RELATIVE_SIGMA)):
            values *= keep
            values += fresh * sigma * rng.standard_normal(values.shape)
        # Joints stay away for a while, as behind somebody.
        change = rng.random(self._gone.shape) > keep
        self._gone = np.where(change, rng.random(change.shape) < self._missing, self._gone)
        self._stamp_s = stamp_s

    def _pose(self, k: int, world: Array, true: Array) -> Pose3D | None:
        rng, camera = self._rng, self._placed.camera
        shown = true + _detector_offsets(world) @ self._placed.R.T
        doubt = np.where(rng.random(len(true)) < 0.2, rng.uniform(0.1, 0.6, len(true)), 0.02)
        sigma = _DOUBT * doubt**0.75
        error = self._steady[k] + self._wander[k] + _WHITE * rng.standard_normal((len(true), 2))
        error += sigma[:, None] * 0.6 * rng.standard_normal((len(true), 2))
        wrong = rng.random(len(true)) < _WRONG
        error += wrong[:, None] * _WRONG_M * rng.standard_normal((len(true), 2))
        if not (shown[:, 2] > 0.5).all():
            return None
        shown[:, :2] += error
        pixels = camera.project(shown)
        width, height = camera.size
        inside = ((pixels >= 0) & (pixels < (width, height))).all(axis=1)
        present = inside & ~self._gone[k]
        if present.sum() < 8:
            return None
        # Of a misjudged size the distance is wrong, and everything with it.
        scale = self._size[k] * (1 + self._relative[k] / np.maximum(true[:, 2], 1))
        xyz = shown * scale[:, None]
        # As estimators state them: the distance of all, and each joint's own.
        along = (_SIZE_SIGMA * true[:, 2]) ** 2 + _RELATIVE_SIGMA**2
        ray = xyz / np.linalg.norm(xyz, axis=1, keepdims=True)
        covariance = 0.02**2 * np.eye(3) + along[:, None, None] * ray[:, :, None] * ray[:, None]
        return Pose3D(
            skeleton=SKELETON,
            xyz=np.where(present[:, None], xyz, np.nan),
            confidence=np.where(present, 1 - doubt, np.nan),
            pixels=np.where(present[:, None], pixels, np.nan),
            status=np.where(present, JointStatus.MEASURED, JointStatus.INVALID).astype(np.uint8),
            covariance=np.where(present[:, None, None], covariance, np.nan),
            position_source=PositionSource.ASSUMED,
            score=0.9,
            track_id=int(self._numbers[k]),
            tracking_state=TrackingState.TRACKED,
        )


def _detector_offsets(world: Array) -> Array:
    """(22, 3) metres from the joints of motion capture to those that detectors see."""
    index = SKELETON.names.index
    left = world[index('left_hip')] - world[index('right_hip')]
    up = world[index('thorax')] - world[index('pelvis')]
    left, up = left / np.linalg.norm(left), up / np.linalg.norm(up)
    axes = np.stack([left, np.cross(left, up) * -1, up])
    out = np.zeros((len(SKELETON), 3))
    for k, name in enumerate(SKELETON.names):
        side, _, joint = name.rpartition('_')
        offset = np.array(_OFFSETS.get(joint, (0.0, 0.0, 0.0)))
        out[k] = (offset * ([-1, 1, 1] if side == 'right' else [1, 1, 1])) @ axes
    return out
