# SPDX-License-Identifier: Apache-2.0
"""Auxiliary inputs of a camera, on topics of other nodes: boxes, keypoints, depth."""

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
from ..messages.keypoints import KEYPOINTS, Conventions, keypoints_of
from ..messages.skeletons import INFO_TYPE
from ..messages.stamped import Stamped, stamp_in
from ..messages.types import Message
from ..settings.declare import settings_of
from ..settings.estimators import options_of
from ..settings.node import NodeConfig, idle_settings
from ..types import Array, Pose3D
from .host import Host
from .topics import input_topic

DEPTH_TYPES = {'raw': 'sensor_msgs/msg/Image', 'compressed': 'sensor_msgs/msg/CompressedImage'}
_DEPTHS_KEPT = 8


@dataclass(frozen=True)
class AuxiliaryTopic:
    """An input topic beside the images.

    type_name: of its messages. suffix: comes behind the remapped name. image: messages are
    handed over as they came, since reading them costs more than receiving them and few are used;
    they are subscribed to as images are.
    """

    type_name: str
    suffix: str = ''
    latched: bool = False
    image: bool = False


def topics_of(config: NodeConfig) -> dict[str, AuxiliaryTopic]:
    """The topics that the settings ask for, by their names; what is latched comes first."""
    topics = {}
    options = dict(config.options)
    if 'topic' in (config.finder, options.get('detector')):
        topics['detections'] = AuxiliaryTopic(DETECTIONS)
    if options.get('keypoints') == 'topic':
        topics['keypoints_info'] = AuxiliaryTopic(INFO_TYPE, latched=True)
        topics['keypoints'] = AuxiliaryTopic(KEYPOINTS)
    if config.depth_transport != 'none':
        suffix = '/compressedDepth' if config.depth_transport == 'compressed' else ''
        type_name = DEPTH_TYPES[config.depth_transport]
        topics['depth_image'] = AuxiliaryTopic(type_name, suffix, image=True)
    return topics


def without_effect(config: NodeConfig, remapped: Callable[[str], str]) -> list[str]:
    """Lines about settings that do nothing, and inputs with a topic that are not listened to.

    remapped: the full topic of an input of that relative name, empty if it was left as it is.
    """
    lines = idle_settings(config)
    own = {item.name for item in settings_of(options_of(config.estimator))}
    for name, option in (
        ('detections', 'detector'),
        ('keypoints', 'keypoints'),
        ('depth_image', ''),
    ):
        for camera in config.camera_names:
            topic = remapped(input_topic(camera, name))
            if not topic or name in topics_of(config):
                continue
            setting = f'{config.estimator}.{option}: topic' if option else 'depth_transport: raw'
            takes = not option or option in own
            reason = f'set {setting}' if takes else f'the estimator {config.estimator} takes none'
            lines.append(f'{name} on {topic} have no effect: {reason}')
    return lines


@dataclass(frozen=True)
class Auxiliary:
    """What belongs to an image; see Frame."""

    boxes: Array | None = None
    keypoints: list[Pose3D] | None = None
    depth: Array | None = None


@dataclass(frozen=True)
class AuxiliaryInput:
    """A topic of another node that says something of each image: boxes, keypoints or depth.

    topic: resolved. exact, near, missing: images for which it had something of their very stamp, of
    a stamp nearby, nothing; waited_s: for all of them. matched: the last image had one. offset_s:
    its newest stamp minus that of the last image. problem: why a message was of no use. needed:
    nobody is found without it.
    """

    name: str
    topic: str
    received: int = 0
    exact: int = 0
    near: int = 0
    missing: int = 0
    waited_s: float = 0.0
    matched: bool = True
    offset_s: float | None = None
    problem: str = ''
    needed: bool = True


class AuxiliaryInputs:
    """The last messages on the topics of one camera; filled by one thread, read by another."""

    def __init__(self, config: NodeConfig, host: Host) -> None:
        self.topics = topics_of(config)
        self._host = host
        self._boxes: Stamped[Array] = Stamped()
        self._keypoints: Stamped[Message] = Stamped()
        self._depths: Stamped[Any] = Stamped(_DEPTHS_KEPT)
        self._conventions = Conventions()
        self._problems: dict[str, str] = {}
        self._image_ns: int | None = None
        self._classes = [name.strip() for name in config.person_class.split(',')]

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
                self._host.log(logging.WARNING, str(error))

    def clear(self) -> None:
        """Forget messages of another time."""
        for stamped in (self._boxes, self._keypoints, self._depths):
            stamped.clear()

    @property
    def come_late(self) -> bool:
        """Whether images may have to wait for any of them."""
        return 'keypoints' in self.topics or 'depth_image' in self.topics

    def wait(self, stamp_ns: int, waited_s: float, config: NodeConfig) -> float:
        """Wait for what belongs to an image of that time, which has waited so long already.

        How many seconds it might have waited longer.
        """
        timer = self._host.timer
        came_s, left_s = timer() - waited_s, 0.0
        late: dict[str, tuple[Stamped[Any], float]] = {
            'keypoints': (self._keypoints, config.keypoints_wait_s),
            'depth_image': (self._depths, config.depth_wait_s),
        }
        for name, (messages, wait_s) in late.items():
            if name in self.topics:
                messages.wait(stamp_ns, came_s + wait_s - timer())
                left_s = max(left_s, came_s + wait_s - timer())
        return left_s

    def at(
        self, stamp_ns: int, frame_id: str, size: tuple[int, int], config: NodeConfig
    ) -> Auxiliary:
        """What belongs to an image of that time, frame and size."""
        self._image_ns = stamp_ns
        boxes = keypoints = depth = None
        if 'detections' in self.topics:
            boxes = self._boxes.of(stamp_ns, NEAR_NS)
        if 'keypoints' in self.topics:
            near_ns = round(config.keypoints_tolerance_s * 1e9)
            message = self._keypoints.of(stamp_ns, near_ns)
            if message is not None:
                keypoints = self._read('keypoints', lambda: self._people(message, size))
        if 'depth_image' in self.topics:
            near_ns = round(config.depth_tolerance_s * 1e9)
            payload = self._depths.of(stamp_ns, near_ns)
            if payload is not None:
                depth = self._read('depth_image', lambda: self._depth(payload, frame_id, size))
        return Auxiliary(boxes, keypoints, depth)

    def states(self, resolved: dict[str, str]) -> list[AuxiliaryInput]:
        """For the diagnostics. resolved: full names of the topics."""
        stamped: dict[str, Stamped[Any]] = {
            'detections': self._boxes, 'keypoints': self._keypoints, 'depth_image': self._depths,
        }  # fmt: skip
        return [
            AuxiliaryInput(
                name=name,
                topic=resolved.get(name, name),
                received=messages.received,
                exact=messages.exact,
                near=messages.near,
                missing=messages.missing,
                waited_s=messages.waited_s,
                matched=messages.matched,
                offset_s=self._offset_s(messages.newest_ns),
                problem=self._problems.get(name, ''),
                # Without depth people are placed as with any camera.
                needed=name != 'depth_image',
            )
            for name, messages in stamped.items()
            if name in self.topics
        ]

    def _offset_s(self, newest_ns: int | None) -> float | None:
        if newest_ns is None or self._image_ns is None:
            return None
        return (newest_ns - self._image_ns) * 1e-9

    def _read(self, name: str, read: Callable[[], Any]) -> Any:
        """What a message holds; None if it is broken, which the diagnostics then say."""
        try:
            values = read()
        except InputError as error:
            self._problems[name] = str(error)
            self._host.report(logging.ERROR, str(error), key=name)
            return None
        self._problems.pop(name, None)
        return values

    def _people(self, message: Message, size: tuple[int, int]) -> list[Pose3D]:
        return keypoints_of(message, self._conventions.get(str(message.convention)), size)

    def _depth(self, payload: Any, frame_id: str, size: tuple[int, int]) -> Array:
        topic = self.topics['depth_image']
        message = self._host.unpack(payload, topic.type_name)
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
