# SPDX-License-Identifier: Apache-2.0
"""Messages of simulated cameras, for any message classes."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from pose3d_ros.messages import SkeletonBuilder, make_header
from pose3d_ros.messages.calibration import info_message
from pose3d_ros.tools.rig import SKELETON, Detector, Placed, walkers
from pose3d_ros.types import Pose3D


class CameraMessages:
    """What the estimator of a camera publishes of people who walk; its frame is <name>_optical."""

    def __init__(self, types, name: str, placed: Placed, people: int = 1) -> None:
        self.frame = f'{name}_optical'
        self._types, self._placed = types, placed
        self._builder = SkeletonBuilder(types)
        self._detector = Detector(placed, people, np.random.default_rng(1), missing=0.0)
        self._people = people

    def people(self, stamp_s: float) -> list[Pose3D]:
        return self._detector.people(world(self._people, stamp_s), stamp_s)

    def skeletons(self, stamp_ns: int, people: list[Pose3D], **changes):
        arguments = {'frame_id': self.frame, 'size': (640, 480), 'convention': SKELETON.name}
        return self._builder.array(people, stamp_ns=stamp_ns, **(arguments | changes))

    def info(self, stamp_ns: int = 0):
        return info_message(
            self._types, self._placed.camera, stamp_ns=stamp_ns, frame_id=self.frame
        )

    def transforms(self, parent: str):
        """TFMessage of its place."""
        q = Rotation.from_matrix(self._placed.R.T).as_quat()
        t = -self._placed.R.T @ self._placed.t
        types = self._types
        transform = types('geometry_msgs/msg/Transform')(
            translation=types('geometry_msgs/msg/Vector3')(x=t[0], y=t[1], z=t[2]),
            rotation=types('geometry_msgs/msg/Quaternion')(x=q[0], y=q[1], z=q[2], w=q[3]),
        )
        stamped = types('geometry_msgs/msg/TransformStamped')(
            header=make_header(types, 0, parent), child_frame_id=self.frame, transform=transform
        )
        return types('tf2_msgs/msg/TFMessage')(transforms=[stamped])


def world(people: int, stamp_s: float) -> np.ndarray:
    """(P, 22, 3) metres: where the joints are then."""
    return walkers(people, np.array([stamp_s]))[0]
