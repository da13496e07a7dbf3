# SPDX-License-Identifier: Apache-2.0
"""The objects that travel through the package: a frame goes in, poses come out.

Lengths are metres, angles radians, image points pixels with the centre of the top-left pixel at
(0, 0), times integer nanoseconds. A missing number is NaN, never zero.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .camera import Camera
from .errors import InputError
from .skeleton import Skeleton, conversion

Array = NDArray[Any]


class JointStatus(IntEnum):
    """What a joint's position rests on; the numbers are those of Joint3D.msg."""

    INVALID = 0
    MEASURED = 1
    INFERRED = 2
    PREDICTED = 3


class TrackingState(IntEnum):
    """The life of a track id; the numbers are those of Skeleton3D.msg."""

    UNTRACKED = 0
    NEW = 1
    TRACKED = 2
    PREDICTED = 3
    LOST = 4


class PositionSource(IntEnum):
    """Where the absolute position comes from; the numbers are those of Skeleton3D.msg."""

    RELATIVE = 0
    ASSUMED = 1
    METRIC = 2
    PLANE = 3
    DEPTH = 4
    CAMERAS = 5


@dataclass(frozen=True, eq=False)
class Floor:
    """The floor as a camera sees it: the plane of points p with up @ p + height_m = 0.

    up: (3,) unit normal in the camera's optical frame. height_m: of the camera above the floor.
    tilt_sigma, height_sigma: standard deviations, radians about any level axis, and metres.
    """

    up: Array
    height_m: float
    tilt_sigma: float = 0.01
    height_sigma: float = 0.02

    def __post_init__(self) -> None:
        if self.up.shape != (3,) or not abs(float(np.linalg.norm(self.up)) - 1) < 1e-3:
            raise InputError(f'the normal of a floor must be a unit vector, not {self.up}')
        if not (math.isfinite(self.height_m) and self.height_m > 0):
            raise InputError(f'a camera must be above the floor, not {self.height_m} m')


@dataclass(frozen=True, eq=False)
class Frame:
    """One image of one camera.

    image: (H, W, 3) uint8, BGR. stamp_ns: acquisition time. frame_id: optical frame of the camera.
    depth: (H, W) float32 metres along the optical axis, NaN where unknown.
    source: key of the state (tracks, filters) that the frame belongs to, one per camera.
    boxes: (N, 5) x, y, width, height in pixels and score of people whom somebody else detected.
    keypoints: people as somebody else sees them in the image, with pixels (`pose_2d`); None: nobody
        was asked.
    gravity: (3,) unit vector down in the camera's optical frame.
    floor: as it is known apart from the people, from transforms for example; of a FrameResult: as
        it was used.
    """

    image: Array
    stamp_ns: int = 0
    frame_id: str = ''
    camera: Camera | None = None
    depth: Array | None = None
    source: str = ''
    boxes: Array | None = None
    keypoints: Sequence[Pose3D] | None = None
    gravity: Array | None = None
    floor: Floor | None = None

    def __post_init__(self) -> None:
        shape, dtype = getattr(self.image, 'shape', None), getattr(self.image, 'dtype', None)
        if shape is None or len(shape) != 3 or shape[2] != 3 or dtype != np.uint8:
            raise InputError(f'an image must be (H, W, 3) uint8 BGR, not {shape} {dtype}')
        if shape[0] == 0 or shape[1] == 0:
            raise InputError(f'the image is empty ({shape[1]}x{shape[0]})')
        if self.depth is not None and self.depth.shape != shape[:2]:
            raise InputError(f'the depth image is {self.depth.shape}, the image {shape[:2]}')
        if self.boxes is not None and (self.boxes.ndim != 2 or self.boxes.shape[1] != 5):
            raise InputError(f'boxes must be (N, 5) x, y, w, h, score, not {self.boxes.shape}')
        if self.gravity is not None and not (
            self.gravity.shape == (3,) and abs(float(np.linalg.norm(self.gravity)) - 1) < 1e-3
        ):
            raise InputError(f'gravity must be a unit vector, not {self.gravity}')

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return int(self.image.shape[1]), int(self.image.shape[0])


@dataclass(frozen=True, eq=False)
class Pose3D:
    """One person in one frame.

    xyz: (J, 3) metres along the axes of the camera's optical frame (x right, y down, z forward);
        from the camera if position_source is not RELATIVE, else from the skeleton's root.
    confidence: (J,) 0..1, NaN where the model gives none.
    pixels: (J, 2) in the source image, NaN where there is none; may lie outside the image.
    status: (J,) values of JointStatus.
    covariance: (J, 3, 3) square metres, same axes; None if unknown.
    placed_by: the method that found the absolute position, in the estimator's words; may be empty.
    score: 0..1, that this is a person.
    size_px: extent of the body in the image, the scale of pixel errors; NaN: unknown.
    velocity: (3,) m/s of the root, NaN: unknown.
    height_m: of the person when standing, from what measures it (floor, depth), or body_height_m;
        NaN: unknown.
    bone_quality: 0..1, how body-like the bones' ratios are (plausibility.bone_quality), NaN: not
        asked for.
    cameras: (J,) uint32, of people whom several cameras see: bit k is set if the k-th camera of the
        fusion took part in the joint; None: of one camera.
    """

    skeleton: Skeleton
    xyz: Array
    confidence: Array
    pixels: Array
    status: Array
    covariance: Array | None = None
    position_source: PositionSource = PositionSource.RELATIVE
    placed_by: str = ''
    score: float = float('nan')
    size_px: float = float('nan')
    track_id: int = 0
    tracking_state: TrackingState = TrackingState.UNTRACKED
    velocity: Array = dataclasses.field(default_factory=lambda: np.full(3, np.nan))
    height_m: float = float('nan')
    bone_quality: float = float('nan')
    cameras: Array | None = None

    def __post_init__(self) -> None:
        joints = len(self.skeleton.names)
        if (
            self.xyz.shape == (joints, 3)
            and self.pixels.shape == (joints, 2)
            and self.confidence.shape == self.status.shape == (joints,)
            and self.velocity.shape == (3,)
            and (self.covariance is None or self.covariance.shape == (joints, 3, 3))
        ):
            return
        expected = {
            'xyz': (joints, 3),
            'confidence': (joints,),
            'pixels': (joints, 2),
            'status': (joints,),
            'velocity': (3,),
        }
        if self.covariance is not None:
            expected['covariance'] = (joints, 3, 3)
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise InputError(
                    f'{name} of a {self.skeleton.name} pose must be {shape}, '
                    f'not {getattr(self, name).shape}'
                )

    @property
    def root(self) -> Array:
        """(3,) metres: the root joint, or the mean of the joints that stand for it."""
        return np.asarray(self.xyz[list(self.skeleton.root)].mean(axis=0))

    @property
    def absolute(self) -> bool:
        """Whether xyz is measured from the camera."""
        return self.position_source != PositionSource.RELATIVE

    def replace(self, **changes: Any) -> Pose3D:
        """Copy with some fields changed."""
        # dataclasses.replace() takes longer than what is done with most poses.
        new = object.__new__(Pose3D)
        new.__dict__.update(self.__dict__, **changes)
        if len(new.__dict__) > len(self.__dict__):
            raise TypeError(
                f'a pose has none of {", ".join(changes.keys() - self.__dict__.keys())}'
            )
        new.__post_init__()
        return new

    def box(self, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
        """Pixel box x, y, width, height around the joints, cut at an image of that size."""
        finite = self.pixels[np.isfinite(self.pixels).all(axis=1)]
        if not len(finite):
            return None
        low = np.clip(np.floor(finite.min(axis=0)), 0, size)
        high = np.clip(np.ceil(finite.max(axis=0)) + 1, 0, size)
        if (high <= low).any():
            return None
        x, y = (int(v) for v in low)
        return x, y, int(high[0]) - x, int(high[1]) - y


@dataclass(frozen=True)
class ModelInfo:
    """Which model runs where. version: of the model, or its checksum."""

    model: str
    version: str
    backend: str
    device: str
    precision: str


@dataclass(frozen=True)
class EstimatorInfo(ModelInfo):
    """What a loaded estimator is (EstimatorInfo.msg), and what its poses rest on.

    metric: the model itself predicts metres. size_sigma: standard deviation of the predicted body
    size, relative to it. focal_share: focal length that is assumed for cameras without calibration,
    in image widths; 0: none. height_m: of a person of unit size, where people are scaled by an
    assumed height; 0: they are not. scaled_by_depth: depth images determine the sizes of people,
    not only where they are. weighs_pixels: poses are made of the 2D joints, whose errors are
    allowed for: they are not pulled towards them.
    """

    metric: bool
    size_sigma: float = 0.1
    focal_share: float = 0.0
    height_m: float = 0.0
    scaled_by_depth: bool = False
    weighs_pixels: bool = False


@dataclass(frozen=True, eq=False)
class FrameResult:
    """A frame that is finished.

    ended: ids of the tracks that ended with it.
    """

    frame: Frame
    people: list[Pose3D]
    ended: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Result:
    """What came of a frame that went in.

    finished: frames that are finished now, oldest first. It is the one that went in, but for
    estimators that wait for later frames: then earlier ones, several at once, or none.
    timings: milliseconds of each stage. calibration_problem: why the frame's own calibration could
    not be used. restarted: tracks and filters were dropped because time went back or had a gap.
    """

    frame: Frame
    finished: tuple[FrameResult, ...]
    timings: dict[str, float]
    calibration_problem: str = ''
    restarted: bool = False

    @property
    def people(self) -> list[Pose3D]:
        """People of the newest frame that is finished."""
        return self.finished[-1].people if self.finished else []


def pose_2d(
    skeleton: Skeleton, pixels: Array, confidence: Array, score: float, size: tuple[int, int]
) -> Pose3D:
    """A person of whom only the image is known. pixels (J, 2), NaN: missing; confidence (J,)."""
    present = np.isfinite(pixels).all(axis=1)
    status = np.where(inside(pixels, size), JointStatus.MEASURED, JointStatus.INFERRED)
    extent = np.ptp(pixels[present], axis=0) if present.any() else np.zeros(2)
    return Pose3D(
        skeleton=skeleton,
        xyz=np.full((len(skeleton), 3), np.nan),
        confidence=np.asarray(confidence, float),
        pixels=np.asarray(pixels, float),
        status=np.where(present, status, JointStatus.INVALID).astype(np.uint8),
        score=score,
        size_px=float(np.hypot(*extent)) if present.any() else float('nan'),
    )


def inside(pixels: Array, size: tuple[int, int]) -> Array:
    """(...) whether pixels (..., 2) lie within an image of that width and height; not NaN."""
    with np.errstate(invalid='ignore'):
        return np.asarray(((pixels >= -0.5) & (pixels <= np.subtract(size, 0.5))).all(axis=-1))


def convert(pose: Pose3D, target: Skeleton) -> Pose3D:
    """The same person in another convention.

    A joint that the source lacks is missing (NaN, INVALID). Means of two joints are INFERRED, with
    the lower confidence of the two and the mean covariance (the errors of two joints of a body
    are too alike to count as independent).
    """
    if pose.skeleton is target or pose.skeleton.name == target.name:
        return pose
    table = conversion(pose.skeleton, target)
    joints = len(target)
    xyz, pixels = np.full((joints, 3), np.nan), np.full((joints, 2), np.nan)
    confidence = np.full(joints, np.nan)
    status = np.full(joints, JointStatus.INVALID, dtype=np.uint8)
    covariance = None if pose.covariance is None else np.full((joints, 3, 3), np.nan)
    for joint, parts in enumerate(table):
        if not parts:
            continue
        index = list(parts)
        xyz[joint] = pose.xyz[index].mean(axis=0)
        pixels[joint] = pose.pixels[index].mean(axis=0)
        confidence[joint] = pose.confidence[index].min()
        if covariance is not None and pose.covariance is not None:
            covariance[joint] = pose.covariance[index].mean(axis=0)
        worst = pose.status[index]
        if (worst == JointStatus.INVALID).any():
            continue
        inferred = len(index) > 1 and (worst == JointStatus.MEASURED).all()
        status[joint] = JointStatus.INFERRED if inferred else worst.max()
    root = xyz[list(target.root)].mean(axis=0)
    if not pose.absolute and np.isfinite(root).all():
        xyz = xyz - root
    return pose.replace(
        skeleton=target,
        xyz=xyz,
        pixels=pixels,
        confidence=confidence,
        status=status,
        covariance=covariance,
    )
