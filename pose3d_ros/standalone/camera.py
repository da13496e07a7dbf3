# SPDX-License-Identifier: Apache-2.0
"""A video, a folder or a webcam as a ROS 2 camera: image, image/compressed and camera_info."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from ..messages.calibration import info_message
from ..messages.images import compressed_message, image_message
from ..node.qos import Profile
from ..types import Frame
from .wire import WireNode

_log = logging.getLogger('pose3d')


class CameraNode:
    """Publishes frames at their own pace or at a given rate, stamped with the time of sending.

    The three messages of a frame carry the same stamp. Nothing is made of what nobody listens to.
    """

    def __init__(self, node: WireNode, frame_id: str, *, reliable: bool = True) -> None:
        profile = Profile(reliable=reliable, depth=5)
        self._node, self._frame_id = node, frame_id
        base = node.names.topic('image')
        self._image = node.publisher(base, 'sensor_msgs/msg/Image', profile)
        self._compressed = node.publisher(
            f'{base}/compressed', 'sensor_msgs/msg/CompressedImage', profile
        )
        self._info = node.publisher('camera_info', 'sensor_msgs/msg/CameraInfo', profile)
        self.topic = base
        self.sent = 0

    def wait_for_listener(self, timeout_s: float, wait: Callable[[float], bool]) -> None:
        """Wait for a subscriber, at most so long, or until wait() is true."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if self._image.listeners() or self._compressed.listeners() or wait(0.02):
                return

    def send(self, frame: Frame, stamp_ns: int) -> None:
        """Publish one frame."""
        stamp: dict[str, Any] = {'stamp_ns': stamp_ns, 'frame_id': self._frame_id or frame.frame_id}
        types = self._node.types
        if frame.camera is not None:
            self._info.publish(info_message(types, frame.camera, **stamp))
        if self._image.listeners():
            self._image.publish(image_message(types, frame.image, **stamp))
        if self._compressed.listeners():
            self._compressed.publish(compressed_message(types, frame.image, **stamp))
        self.sent += 1
