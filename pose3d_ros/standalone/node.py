# SPDX-License-Identifier: Apache-2.0
"""The estimator as a node on the wire: NodeCore's adapter where no ROS is installed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ..errors import InputError, Pose3DError
from ..messages import stamp_of
from ..messages.diagnostics import diagnostic_array
from ..messages.skeletons import INFO_TYPE
from ..messages.stamped import stamp_in
from ..messages.types import Message
from ..node.core import NodeCore
from ..node.frames import FrameTree
from ..node.graph import Peer, image_profile
from ..node.host import Host
from ..node.inputs import AuxiliaryTopic, without_effect
from ..node.monitor import GapCounter
from ..node.qos import LATCHED, RESULT, SENSOR_DATA, STATIC_TRANSFORMS, TRANSFORMS, Profile
from ..node.signals import Signals
from ..node.topics import CAMERA_INFO, IMAGE_TYPES, OUTPUTS, input_topic, output_topic
from ..node.transforms import TF, TransformBuffer
from ..node.watch import PERIOD_S, Heard, Watch
from ..pipeline import Pipeline
from ..settings.node import NodeConfig
from ..types import Array
from .wire import Publisher, Subscription, WireNode

_log = logging.getLogger('pose3d')


class StandaloneNode:
    """Subscribes, runs the core, publishes. Owns nothing but its topics.

    signals: when to end, and when to read the settings again with read_config.
    """

    def __init__(
        self,
        node: WireNode,
        pipeline: Pipeline,
        config: NodeConfig,
        *,
        signals: Signals,
        read_config: Callable[[], NodeConfig] | None = None,
        use_sim_time: bool = False,
    ) -> None:
        self._node = node
        self._read_config = read_config
        self._signals = signals
        self._sim_time_ns: int | None = None
        self._failure = ''
        self._warned: set[str] = set()
        if use_sim_time:
            node.subscribe('/clock', 'rosgraph_msgs/msg/Clock', SENSOR_DATA, self._on_clock)
            self._sim_time_ns = 0
        compressed = config.image_transport == 'compressed'
        self._image_type = IMAGE_TYPES[config.image_transport]
        self._core = NodeCore(
            config,
            pipeline,
            Host(
                node.types,
                self,
                clock=self._now,
                log=_log.log,
                unpack=node.types.deserialize,
            ),
            on_halt=self._on_halt,
            name=node.names.full,
        )
        self._outputs: dict[tuple[str, str], Publisher] = {}
        self._tf: Publisher | None = None
        self._buffer = TransformBuffer()
        # The worker may ask for them later, but not subscribe itself.
        self._wants_transforms = bool(
            config.target_frame or config.input_frames or config.publish_tf
        )
        self._hears_transforms = False
        self._listen_to_transforms()
        self._images: dict[str, Subscription] = {}
        # Images and depth images, by their topics: they follow their publishers.
        self._following: dict[str, tuple[Subscription, str]] = {}
        self._encounters: dict[str, tuple[int, int]] = {}
        self._gaps: dict[str, GapCounter] = {}
        self._topics: dict[str, str] = {}
        self._auxiliary: dict[str, dict[str, str]] = {}
        for camera in config.camera_names:
            for output, type_name in OUTPUTS.items():
                self._outputs[camera, output] = node.publisher(
                    output_topic(camera, output), type_name, RESULT
                )
            self._subscribe(camera, '/compressed' if compressed else '')
        self._info = node.publisher('~/estimator_info', INFO_TYPE, LATCHED)
        self._info.publish(self._core.info())
        self._diagnostics = node.publisher(
            '/diagnostics', 'diagnostic_msgs/msg/DiagnosticArray', RESULT
        )
        self._ensure_tf(config)
        node.every(config.diagnostics_period_s, self._diagnose)
        node.every(0.1, self._housekeeping)
        self._watch = Watch(self._core, node.graph, node.names.full, _log.log, time.monotonic)
        node.every(PERIOD_S, self._look)

    @property
    def core(self) -> NodeCore:
        """The node without its topics."""
        return self._core

    def run(self) -> None:
        """Serve until asked to end, or until the estimator gave up (Pose3DError)."""
        info = self._core.pipeline.info
        _log.info(
            '%s: %s on %s %s (%s), images from %s',
            self._node.names.full,
            info.model,
            info.backend,
            info.device,
            info.precision,
            ', '.join(self._topics.values()),
        )
        for line in without_effect(self._core.config, self._node.names.remapped):
            _log.warning('%s', line)
        self._core.activate()
        self._watch.start()
        self._node.spin()
        self.close()
        if self._failure:
            raise Pose3DError(f'the estimator failed too often: {self._failure}')

    def close(self) -> None:
        """Stop the estimator, say goodbye on the topics, leave the network."""
        if not self._core.deactivate():
            _log.warning('an inference did not end in time')
        self._node.close()

    def listeners(self, camera: str, output: str) -> int:
        """Subscribers of an output."""
        return self._outputs[camera, output].listeners()

    def publish(self, camera: str, output: str, message: Message) -> None:
        """Send a message."""
        self._outputs[camera, output].publish(message)

    def broadcast(self, transforms: list[Message]) -> None:
        """Send transforms to /tf."""
        if self._tf is not None:
            self._tf.publish(self._node.types(TF)(transforms=transforms))

    def lookup(
        self, target: str, source: str, stamp_ns: int, timeout_s: float
    ) -> tuple[Array, Array]:
        """Rotation and translation from source to target; LookupError if unknown."""
        self._wants_transforms = True
        return self._buffer.lookup(target, source, stamp_ns, timeout_s)

    def newest(self, target: str, source: str) -> tuple[Array, Array, int | None]:
        """The newest transform and its stamp; LookupError if unknown."""
        self._wants_transforms = True
        return self._buffer.newest_stamped(target, source)

    def frames(self) -> FrameTree:
        """What transforms connect; they are listened to from the first call on."""
        self._wants_transforms = True
        return self._buffer.frames()

    def _subscribe(self, camera: str, suffix: str) -> None:
        image = input_topic(camera, 'image')
        self._topics[camera] = self._node.names.topic(image) + suffix

        def on_info(raw: bytes) -> None:
            try:
                info = self._node.types.deserialize(raw, CAMERA_INFO)
            except InputError as error:
                _log.warning('%s', error)
                return
            self._core.camera_info(camera, info)

        # Before the images, so that the first of them finds its calibration.
        self._node.subscribe(input_topic(camera, 'camera_info'), CAMERA_INFO, SENSOR_DATA, on_info)
        others = self._auxiliary[camera] = {}
        for other, topic in self._core.auxiliary_topics.items():
            name = input_topic(camera, other)
            others[other] = self._node.names.topic(name) + topic.suffix
            profile = LATCHED if topic.latched else SENSOR_DATA
            subscription = self._node.subscribe(
                name,
                topic.type_name,
                self._image_profile([], topic.type_name) if topic.image else profile,
                partial(self._on_auxiliary, other, topic, camera),
                suffix=topic.suffix,
            )
            if topic.image:
                self._following[subscription.topic] = subscription, topic.type_name
        gaps = self._gaps[camera] = GapCounter()

        def on_image(raw: bytes) -> None:
            gaps.add(stamp_in(raw))
            self._core.image(camera, raw)

        subscription = self._images[camera] = self._node.subscribe(
            image,
            self._image_type,
            self._image_profile([], self._image_type),
            on_image,
            suffix=suffix,
        )
        self._following[subscription.topic] = subscription, self._image_type
        self._core.image_topic(camera, self._topics[camera])

    def _on_auxiliary(self, name: str, topic: AuxiliaryTopic, camera: str, raw: bytes) -> None:
        if topic.image:
            self._core.auxiliary(name, camera, raw)
            return
        try:
            message = self._node.types.deserialize(raw, topic.type_name)
        except InputError as error:
            _log.warning('%s', error)
            return
        self._core.auxiliary(name, camera, message)

    def _listen_to_transforms(self) -> None:
        """Subscribe to them once they are wanted; in the thread that spins."""
        if self._hears_transforms or not self._wants_transforms:
            return
        self._hears_transforms = True

        def take(raw: bytes, *, static: bool) -> None:
            try:
                message = self._node.types.deserialize(raw, TF)
            except InputError as error:
                _log.warning('%s', error)
                return
            self._buffer.take(message, static=static)
            if self._core.transforms(message):
                self._info.publish(self._core.info())

        self._node.subscribe('/tf', TF, TRANSFORMS, partial(take, static=False))
        self._node.subscribe('/tf_static', TF, STATIC_TRANSFORMS, partial(take, static=True))

    def _ensure_tf(self, config: NodeConfig) -> None:
        self._wants_transforms = self._wants_transforms or config.publish_tf
        if config.publish_tf and self._tf is None:
            self._tf = self._node.publisher('/tf', TF, TRANSFORMS)

    def _on_clock(self, raw: bytes) -> None:
        message = self._node.types.deserialize(raw, 'rosgraph_msgs/msg/Clock')
        # A Clock holds a time as a header holds its stamp.
        self._sim_time_ns = stamp_of(_Stamped(message.clock))

    def _now(self) -> int:
        return time.time_ns() if self._sim_time_ns is None else self._sim_time_ns

    def _on_halt(self, reason: str) -> None:
        self._failure = reason
        self._node.stop()

    def _housekeeping(self) -> None:
        self._listen_to_transforms()
        if self._signals.stopped.is_set():
            self._node.stop()
        if self._signals.reload.is_set():
            self._signals.reload.clear()
            self._reconfigure()

    def _reconfigure(self) -> None:
        if self._read_config is None:
            _log.warning('there is no parameters file to read again')
            return
        try:
            config = self._read_config()
            self._ensure_tf(config)
            self._core.configure(config)
        except Pose3DError as error:
            _log.error('settings unchanged: %s', error)
            return
        _log.info('settings taken over')

    def _look(self) -> None:
        for subscription, type_name in self._following.values():
            self._follow(subscription, type_name)
        self._watch.look(
            {
                camera: Heard(self._topics[camera], self._image_type, subscription.profile)
                for camera, subscription in self._images.items()
            }
        )

    def _image_profile(self, peers: Sequence[Peer], type_name: str) -> Profile:
        return image_profile(self._core.config.reliability, peers, type_name)

    def _follow(self, subscription: Subscription, type_name: str) -> None:
        """Subscribe as the publishers that there are now let it."""
        encounters = subscription.encounters()
        if encounters == self._encounters.get(subscription.topic):
            return
        peers = self._node.graph.publishers(subscription.topic)
        profile = self._image_profile(peers, type_name)
        if self._node.resubscribe(subscription, profile):
            how = 'reliable' if subscription.profile.reliable else 'best effort'
            _log.info('images from %s: %s, as their publishers', subscription.topic, how)
            encounters = subscription.encounters()
        self._encounters[subscription.topic] = encounters

    def _diagnose(self) -> None:
        qos: dict[str, list[str]] = {camera: [] for camera in self._images}
        for camera, subscription in self._images.items():
            policy = subscription.incompatible()
            if policy:
                qos[camera].append(f'{self._topics[camera]}: {policy} of its publisher')
        for (camera, output), publisher in self._outputs.items():
            policy = publisher.incompatible()
            if policy:
                topic = self._node.names.topic(output_topic(camera, output))
                qos[camera].append(f'{topic}: {policy} of a subscriber')
        for line in {line for lines in qos.values() for line in lines} - self._warned:
            _log.warning('incompatible QoS on %s', line)
            self._warned.add(line)
        lost = {
            camera: max(subscription.lost(), self._gaps[camera].missing)
            for camera, subscription in self._images.items()
        }
        statuses = self._core.diagnostics(self._topics, qos, lost, self._auxiliary)
        self._diagnostics.publish(
            diagnostic_array(
                self._node.types, statuses, stamp_ns=self._now(), node=self._node.names.full
            )
        )


class _Stamped:
    def __init__(self, stamp: Any) -> None:
        self.stamp = stamp
