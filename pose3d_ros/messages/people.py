# SPDX-License-Identifier: Apache-2.0
"""People of a Skeleton3DArray: what `skeletons` writes, read back."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..skeleton import Skeleton
from ..types import Array, JointStatus, Pose3D, PositionSource, TrackingState
from .types import Message


def people_of(message: Message, skeleton: Skeleton) -> list[Pose3D]:
    """People in the array's frame, those that are lost left out; InputError if it is broken."""
    return [
        _person(person, skeleton)
        for person in message.skeletons
        if int(person.tracking_state) != TrackingState.LOST
    ]


def _person(person: Message, skeleton: Skeleton) -> Pose3D:
    count = len(skeleton)
    xyz, pixels = np.full((count, 3), np.nan), np.full((count, 2), np.nan)
    confidence = np.full(count, np.nan)
    status = np.full(count, int(JointStatus.INVALID), np.uint8)
    covariance = np.full((count, 3, 3), np.nan)
    for joint in person.joints:
        k = int(joint.id)
        if k >= count:
            raise InputError(f'people with a joint {k}: {skeleton.name} has only {count}')
        status[k] = min(int(joint.status), int(JointStatus.PREDICTED))
        xyz[k] = joint.position.x, joint.position.y, joint.position.z
        pixels[k] = joint.pixel_x, joint.pixel_y
        confidence[k] = joint.confidence
        values = np.asarray(joint.position_covariance, float)
        if values[0] != -1:
            covariance[k] = values.reshape(3, 3)
    status[~np.isfinite(xyz).all(axis=1)] = JointStatus.INVALID
    try:
        source = PositionSource(int(person.position_source))
        state = TrackingState(int(person.tracking_state))
    except ValueError as error:
        raise InputError(f'people whose state or source no message has: {error}') from error
    velocity: Array = np.array([person.velocity.x, person.velocity.y, person.velocity.z])
    return Pose3D(
        skeleton=skeleton,
        xyz=xyz,
        confidence=confidence,
        pixels=pixels,
        status=status,
        covariance=covariance if np.isfinite(covariance).any() else None,
        position_source=source,
        score=float(person.score),
        track_id=int(person.track_id),
        tracking_state=state,
        velocity=velocity,
        height_m=float(person.height),
        bone_quality=float(person.bone_quality),
    )
