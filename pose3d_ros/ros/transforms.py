# SPDX-License-Identifier: Apache-2.0
"""Transforms of a node: looked up at an image's stamp, broadcast, and back from their messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time
from scipy.spatial.transform import Rotation
from tf2_ros import Buffer, TransformBroadcaster, TransformException, TransformListener

from ..types import Array


class _Rotations:
    """The two functions of tf_transformations that are used here, by SciPy."""

    @staticmethod
    def quaternion_matrix(quaternion: Sequence[float]) -> Array:
        """(4, 4) of x, y, z, w."""
        matrix = np.eye(4)
        matrix[:3, :3] = Rotation.from_quat(quaternion).as_matrix()
        return matrix

    @staticmethod
    def quaternion_from_matrix(matrix: Array) -> Array:
        """x, y, z, w of (4, 4)."""
        return np.asarray(Rotation.from_matrix(matrix[:3, :3]).as_quat())


def quaternions() -> Any:
    """The module tf_transformations, or what stands in for it.

    Distributions ship a transforms3d below it that cannot be imported with NumPy 2.
    """
    try:
        import tf_transformations
    except (ImportError, AttributeError):
        return _Rotations
    return tf_transformations


class TransformSource:
    """What target_frame needs; costs a subscription of everything on /tf."""

    def __init__(self, node: Node) -> None:
        self._maths = quaternions()
        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, node)

    def lookup(
        self, target: str, source: str, stamp_ns: int, timeout_s: float
    ) -> tuple[Array, Array]:
        """Rotation (3, 3) and translation (3,) m with x_target = R x_source + t, at that time.

        Waits in the calling thread, which must not be the executor's. Raises LookupError.
        """
        if not source:
            raise LookupError('images have no frame_id; set the parameter camera_frame')
        try:
            found = self._buffer.lookup_transform(
                target, source, Time(nanoseconds=stamp_ns), Duration(seconds=timeout_s)
            )
        except TransformException as error:
            raise LookupError(str(error)) from error
        q, t = found.transform.rotation, found.transform.translation
        matrix = self._maths.quaternion_matrix([q.x, q.y, q.z, q.w])
        return np.asarray(matrix)[:3, :3], np.array([t.x, t.y, t.z])

    def clear(self) -> None:
        """Forget everything: time went backwards."""
        self._buffer.clear()

    def close(self) -> None:
        """End the subscriptions."""
        self._listener.unregister()


class Broadcasts:
    """Sends transforms; the publisher is made when it is first wanted."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._broadcaster: TransformBroadcaster | None = None

    def prepare(self) -> None:
        """Make the publisher; in the executor's thread."""
        if self._broadcaster is None:
            self._broadcaster = TransformBroadcaster(self._node)

    def send(self, transforms: list[Any]) -> None:
        """Send all in one message; from any thread, after prepare()."""
        if self._broadcaster is not None:
            self._broadcaster.sendTransform(transforms)

    def close(self) -> None:
        """Destroy the publisher."""
        if self._broadcaster is not None:
            self._node.destroy_publisher(self._broadcaster.pub_tf)
            self._broadcaster = None
