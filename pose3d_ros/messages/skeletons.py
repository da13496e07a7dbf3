# SPDX-License-Identifier: Apache-2.0
"""People of one image to Skeleton3DArray; what they come from to EstimatorInfo."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from ..skeleton import Skeleton
from ..types import Array, EstimatorInfo, JointStatus, Pose3D, PositionSource, TrackingState
from .body import quaternion_of, rotation_of
from .types import Message, Types, fill, make_header

INFO_TYPE = 'pose3d_ros/msg/EstimatorInfo'

_NAN = math.nan
_UNKNOWN = np.array([-1, 0, 0, 0, 0, 0, 0, 0, 0], dtype=np.float32)


class SkeletonBuilder:
    """Makes the messages of one node; has no state."""

    def __init__(self, types: Types) -> None:
        self._types = types
        self._array = types('pose3d_ros/msg/Skeleton3DArray')
        self._skeleton = types('pose3d_ros/msg/Skeleton3D')
        self._joint = types('pose3d_ros/msg/Joint3D')
        self._info = types(INFO_TYPE)
        self._point = types('geometry_msgs/msg/Point')
        self._pose = types('geometry_msgs/msg/Pose')
        self._quaternion = types('geometry_msgs/msg/Quaternion')
        self._vector = types('geometry_msgs/msg/Vector3')
        self._roi = types('sensor_msgs/msg/RegionOfInterest')

    def array(
        self,
        poses: Sequence[Pose3D],
        *,
        stamp_ns: int,
        frame_id: str,
        size: tuple[int, int],
        convention: str,
        lost: Iterable[int] = (),
    ) -> Message:
        """Skeleton3DArray of an image of that size (width, height).

        lost: ids that ended with this image; each gets an entry without joints.
        """
        return self._array(
            header=make_header(self._types, stamp_ns, frame_id),
            convention=convention,
            image_width=size[0],
            image_height=size[1],
            skeletons=[
                *(self._person(pose, size) for pose in poses),
                *(self._lost(track_id) for track_id in lost),
            ],
        )

    def info(
        self,
        skeleton: Skeleton,
        info: EstimatorInfo,
        *,
        stamp_ns: int,
        frame_id: str = '',
        tf_prefix: str = '',
    ) -> Message:
        """EstimatorInfo. tf_prefix: what the names of broadcast frames begin with."""
        message = self._info(
            header=make_header(self._types, stamp_ns, frame_id),
            convention=skeleton.name,
            joint_names=list(skeleton.names),
            model_name=info.model,
            model_version=info.version,
            backend=info.backend,
            device=info.device,
            metric=bool(info.metric),
            tf_prefix=tf_prefix,
        )
        fill(message, 'parents', np.asarray(skeleton.parents, dtype=np.int16))
        return message

    def _person(self, pose: Pose3D, size: tuple[int, int]) -> Message:
        rotation = rotation_of(pose)
        quaternion = (0.0, 0.0, 0.0, 0.0) if rotation is None else quaternion_of(rotation)
        root: list[float] = pose.root.tolist()
        velocity: list[float] = pose.velocity.tolist()
        covariance = _rows(pose)
        root_covariance = _UNKNOWN
        if pose.covariance is not None:
            # Errors of two joints of a body are too alike to count as independent.
            mean = pose.covariance[list(pose.skeleton.root)].mean(axis=0)
            if np.isfinite(mean).all():
                root_covariance = mean.astype(np.float32).ravel()
        box = pose.box(size)
        return self._skeleton(
            track_id=int(pose.track_id) & 0xFFFFFFFF,
            tracking_state=int(pose.tracking_state),
            position_source=int(pose.position_source),
            score=float(pose.score),
            bone_quality=float(pose.bone_quality),
            height=float(pose.height_m),
            root=self._pose(
                position=self._point(x=root[0], y=root[1], z=root[2]),
                orientation=self._quaternion(
                    x=quaternion[0], y=quaternion[1], z=quaternion[2], w=quaternion[3]
                ),
            ),
            root_covariance=root_covariance,
            velocity=self._vector(x=velocity[0], y=velocity[1], z=velocity[2]),
            roi=self._roi()
            if box is None
            else self._roi(x_offset=box[0], y_offset=box[1], width=box[2], height=box[3]),
            joints=self._joints(pose, covariance),
        )

    def _joints(self, pose: Pose3D, covariance: Array | None) -> list[Message]:
        joint, point = self._joint, self._point
        xyz = pose.xyz
        invalid = pose.status == JointStatus.INVALID
        if invalid.any():
            xyz = np.where(invalid[:, None], _NAN, xyz)
        columns = zip(
            pose.status.tolist(),
            pose.confidence.tolist(),
            xyz.tolist(),
            pose.pixels.tolist(),
            [_UNKNOWN] * len(xyz) if covariance is None else list(covariance),
        )
        return [
            joint(
                id=k,
                status=status,
                confidence=confidence,
                position=point(x=x, y=y, z=z),
                position_covariance=c,
                pixel_x=u,
                pixel_y=v,
            )
            for k, (status, confidence, (x, y, z), (u, v), c) in enumerate(columns)
        ]

    def _lost(self, track_id: int) -> Message:
        return self._skeleton(
            track_id=int(track_id) & 0xFFFFFFFF,
            tracking_state=int(TrackingState.LOST),
            position_source=int(PositionSource.RELATIVE),
            score=_NAN,
            bone_quality=_NAN,
            height=_NAN,
            root=self._pose(
                position=self._point(x=_NAN, y=_NAN, z=_NAN),
                orientation=self._quaternion(x=0.0, y=0.0, z=0.0, w=0.0),
            ),
            root_covariance=_UNKNOWN,
            velocity=self._vector(x=_NAN, y=_NAN, z=_NAN),
        )


def _rows(pose: Pose3D) -> Array | None:
    """(J, 9) float32 covariances, first element -1 where unknown; None if all are."""
    if pose.covariance is None:
        return None
    rows = pose.covariance.reshape(-1, 9).astype(np.float32)
    rows[~np.isfinite(rows).all(axis=1)] = _UNKNOWN
    return rows
