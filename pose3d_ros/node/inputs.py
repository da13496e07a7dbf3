# SPDX-License-Identifier: Apache-2.0
"""What comes beside the images of a camera on topics of other nodes: boxes, keypoints, depth."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from ..errors import InputError
from ..messages import decode_compressed_depth, decode_depth, stamp_of
from ..messages.detections import DETECTIONS, NEAR_NS, boxes_of
from ..messages.diagnostics import Companion
from ..messages.keypoints import KEYPOINTS, Conventions, keypoints_of
from ..messages.skeletons import INFO_TYPE
from ..messages.stamped import Stamped, stamp_in
from ..messages.types import Message
from ..settings.node import NodeConfig
from ..types import Array, Pose3D
from .monitor import Throttle

DEPTH_TYPES = {'raw': 'sensor_msgs/msg/Image', 'compressed': 'sensor_msgs/msg/CompressedImage'}
_DEPTHS_KEPT = 8


@dataclass(frozen=True)
class Topic:
    """An input topic beside the images.

    suffix: comes behind the remapped name. serialised: messages are handed over as they came, since
    reading them costs more than receiving them and few are used.
    """

    kind: str
    suffix: str = ''
    latched: bool = False
    serialised: bool = False


def topics_of(config: NodeConfig) -> dict[str, Topic]:
    """The topics that the settings ask for, by their names; what is latched comes first."""
    found = {}
    options = dict(config.options)
    if options.get('detector') == 'topic':
        found['detections'] = Topic(DETECTIONS)
    if options.get('keypoints') == 'topic':
        found['keypoints_info'] = Topic(INFO_TYPE, latched=True)
        found['keypoints'] = Topic(KEYPOINTS)
    if config.depth_transport != 'none':
        suffix = '/compressedDepth' if config.depth_transport == 'compressed' else ''
        found['depth_image'] = Topic(DEPTH_TYPES[config.depth_transport], suffix, serialised=True)
    return found


@dataclass(frozen=True)
class Beside:
    """What belongs to an image; see Frame."""

    boxes: Array | None = None
    keypoints: list[Pose3D] | None = None
    depth: Array | None = None


class Companions:
    """The last messages on the topics of one camera; filled by one thread, asked by another."""

    def __init__(
        self,
        config: NodeConfig,
        log: Callable[[int, str], None],
        unpack: Callable[[Any, str], Message],
    ) -> None:
        """unpack: message of what a serialised topic gave, and of its type."""
        self.topics = topics_of(config)
        self._log, self._unpack = log, unpack
        self._throttle = Throttle()
        self._boxes: Stamped[Array] = Stamped()
        self._keypoints: Stamped[Message] = Stamped()
        self._depths: Stamped[Any] = Stamped(_DEPTHS_KEPT)
        self._conventions = Conventions()
        self._problems: dict[str, str] = {}
        self._classes = [kind.strip() for kind in config.person_class.split(',')]

    def add(self, name: str, message: Any) -> None:
        """Take a message of one of the topics; serves the images of its time."""
        if name == 'detections':
            self._boxes.add(stamp_of(message.header), boxes_of(message, self._classes))
        elif name == 'keypoints':
            self._keypoints.add(stamp_of(message.header), message)
        elif name == 'depth_image':
            raw = isinstance(message, bytes)
            self._depths.add(stamp_in(message) if raw else stamp_of(message.header), message)
        else:
            try:
                self._conventions.tell(message)
            except InputError as error:
                self._log(logging.WARNING, str(error))

    def clear(self) -> None:
        """Forget what was said of images of another time."""
        for stamped in (self._boxes, self._keypoints, self._depths):
            stamped.clear()

    def of(self, stamp_ns: int, frame_id: str, size: tuple[int, int], config: NodeConfig) -> Beside:
        """What belongs to an image of that time, frame and size; may wait for it."""
        boxes = keypoints = depth = None
        if 'detections' in self.topics:
            boxes = self._boxes.of(stamp_ns, NEAR_NS)
        if 'keypoints' in self.topics:
            near_ns = round(config.keypoints_tolerance_s * 1e9)
            message = self._keypoints.of(stamp_ns, near_ns, config.keypoints_wait_s)
            if message is not None:
                keypoints = self._read('keypoints', lambda: self._people(message, size))
        if 'depth_image' in self.topics:
            near_ns = round(config.depth_tolerance_s * 1e9)
            payload = self._depths.of(stamp_ns, near_ns, config.depth_wait_s)
            if payload is not None:
                depth = self._read('depth_image', lambda: self._depth(payload, frame_id, size))
        return Beside(boxes, keypoints, depth)

    def states(self, resolved: dict[str, str]) -> list[Companion]:
        """For the diagnostics. resolved: full names of the topics."""
        stamped: dict[str, Stamped[Any]] = {
            'detections': self._boxes, 'keypoints': self._keypoints, 'depth_image': self._depths,
        }  # fmt: skip
        return [
            Companion(
                name=name,
                topic=resolved.get(name, name),
                received=messages.received,
                exact=messages.exact,
                near=messages.near,
                missing=messages.missing,
                waited_s=messages.waited_s,
                found=messages.found,
                problem=self._problems.get(name, ''),
                # Without depth people are placed as with any camera.
                needed=name != 'depth_image',
            )
            for name, messages in stamped.items()
            if name in self.topics
        ]

    def _read(self, name: str, read: Callable[[], Any]) -> Any:
        """What a message says; None if it is broken, which the diagnostics then tell."""
        try:
            found = read()
        except InputError as error:
            self._problems[name] = str(error)
            if self._throttle(name):
                self._log(logging.ERROR, str(error))
            return None
        self._problems.pop(name, None)
        return found

    def _people(self, message: Message, size: tuple[int, int]) -> list[Pose3D]:
        return keypoints_of(message, self._conventions.get(str(message.convention)), size)

    def _depth(self, payload: Any, frame_id: str, size: tuple[int, int]) -> Array:
        topic = self.topics['depth_image']
        message = self._unpack(payload, topic.kind)
        depth = decode_compressed_depth(message) if topic.suffix else decode_depth(message)
        return registered(depth, str(message.header.frame_id), frame_id, size)


def registered(depth: Array, theirs: str, frame_id: str, size: tuple[int, int]) -> Array:
    """A depth image (H, W) for an image of that frame, width and height.

    One of another resolution is scaled. Raises InputError if it is that of another camera, whose
    pixels see something else.
    """
    if theirs and frame_id and theirs != frame_id:
        raise InputError(
            f'the depth image is of frame {theirs}, the image of {frame_id}: let the driver align '
            'it, or register it with depth_image_proc'
        )
    height, width = depth.shape
    if (width, height) == size:
        return depth
    if abs(width * size[1] - height * size[0]) > max(size):
        raise InputError(
            f'the depth image is {width}x{height}, the image {size[0]}x{size[1]}: it is not '
            'registered to it'
        )
    return np.asarray(cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST))
