# SPDX-License-Identifier: Apache-2.0
"""2D keypoints that come as pose3d_ros/Skeleton3DArray, whose 3D positions are not used."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from ..skeleton import SKELETONS, Skeleton
from ..types import Array, JointStatus, Pose3D, TrackingState, pose_2d
from .types import Message

KEYPOINTS = 'pose3d_ros/msg/Skeleton3DArray'
# People of whom this image shows nothing.
_UNSEEN = (TrackingState.PREDICTED, TrackingState.LOST)


class Conventions:
    """Joint conventions by name: the package's, and those that an EstimatorInfo declared."""

    def __init__(self) -> None:
        self._declared: dict[str, Skeleton] = {}

    def tell(self, info: Message) -> None:
        """Take over an EstimatorInfo; InputError if it makes no sense."""
        convention, names = str(info.convention), tuple(str(name) for name in info.joint_names)
        parents = tuple(int(parent) for parent in info.parents)
        if not convention or not names or len(set(names)) < len(names):
            raise InputError(f'the EstimatorInfo of {convention!r} has no or repeated joint names')
        if len(parents) != len(names) or any(not -1 <= p < len(names) for p in parents):
            raise InputError(f'the EstimatorInfo of {convention!r} has no parent for each joint')
        registered = SKELETONS.get(convention)
        same = next((s for s in SKELETONS.values() if s.names == names), None)
        if registered is not None and registered.names == names:
            self._declared.pop(convention, None)
        elif same is not None and registered is None:
            self._declared[convention] = same
        else:
            # Skeletons of one name count as alike: what is different needs a name of its own.
            name = convention if registered is None else f'{convention} as declared'
            roots = tuple(k for k, parent in enumerate(parents) if parent < 0) or (0,)
            edges = tuple((p, k) for k, p in enumerate(parents) if p >= 0)
            self._declared[convention] = Skeleton(name, names, parents, roots, edges)

    def get(self, convention: str) -> Skeleton:
        """The skeleton of that name; InputError if it is unknown."""
        skeleton = self._declared.get(convention) or SKELETONS.get(convention)
        if skeleton is None:
            raise InputError(
                f'keypoints come in the convention {convention!r}, which is unknown: use '
                f'{", ".join(SKELETONS)}, or one that an EstimatorInfo on keypoints_info declares'
            )
        return skeleton


def keypoints_of(message: Message, skeleton: Skeleton, size: tuple[int, int]) -> list[Pose3D]:
    """People of an image of that width and height, in 2D; InputError if the message is broken.

    Pixels of an image of another size are scaled. What is predicted only, or lost, is left out.
    """
    theirs = (int(message.image_width), int(message.image_height))
    factor = np.divide(size, theirs) if min(theirs) > 0 else np.ones(2)
    people = []
    for person in message.skeletons:
        if int(person.tracking_state) in _UNSEEN:
            continue
        pixels, confidence, status = _joints(person.joints, skeleton)
        # The centre of the first pixel is (0, 0).
        pose = pose_2d(skeleton, (pixels + 0.5) * factor - 0.5, confidence, _score(person), size)
        if np.isfinite(pose.pixels).any():
            worse = (pose.status == JointStatus.MEASURED) & (status != JointStatus.MEASURED)
            people.append(
                pose.replace(status=np.where(worse, status, pose.status).astype(np.uint8))
            )
    return people


def _joints(joints: Sequence[Message], skeleton: Skeleton) -> tuple[Array, Array, Array]:
    """Pixels (J, 2), confidence (J,) and status (J,); NaN and INVALID where there is no joint."""
    pixels, confidence = np.full((len(skeleton), 2), np.nan), np.full(len(skeleton), np.nan)
    status = np.full(len(skeleton), int(JointStatus.INVALID))
    for joint in joints:
        index = int(joint.id)
        if index >= len(skeleton):
            raise InputError(
                f'keypoints with a joint {index}: {skeleton.name} has only {len(skeleton)}'
            )
        status[index] = min(int(joint.status), int(JointStatus.PREDICTED))
        if status[index] != JointStatus.INVALID:
            pixels[index] = joint.pixel_x, joint.pixel_y
            confidence[index] = joint.confidence
    # Half a point is none.
    missing = ~np.isfinite(pixels).all(axis=1)
    pixels[missing], confidence[missing] = np.nan, np.nan
    return pixels, confidence, status


def _score(person: Message) -> float:
    score = float(person.score)
    return score if np.isfinite(score) else 1.0
