# SPDX-License-Identifier: Apache-2.0
"""What a node holds from configuration to clean-up: the models, the outputs and, while it is
active, the subscriptions.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from rclpy.lifecycle import LifecycleNode
from rclpy.serialization import deserialize_message

from ..errors import ConfigError, InputError
from ..messages.diagnostics import Status
from ..messages.skeletons import INFO_TYPE
from ..node.core import NodeCore
from ..node.frames import FrameTree
from ..node.graph import image_profile
from ..node.host import Host
from ..node.inputs import without_effect
from ..node.qos import LATCHED, RESULT, SENSOR_DATA, STATIC_TRANSFORMS, TRANSFORMS, Profile
from ..node.topics import CAMERA_INFO, IMAGE_TYPES, OUTPUTS, input_topic, output_topic
from ..node.transforms import TF, TransformBuffer
from ..node.watch import Heard, Watch
from ..pipeline import Pipeline
from ..settings.node import NodeConfig
from ..types import Array, Frame
from .endpoints import Endpoint, Endpoints, describe_qos, profile_of, ros_qos
from .graph import RosGraph
from .images import image_decoder
from .messages import message_class, message_class_for

FLUSH_S = 0.5
"""How long the last messages may take to those who listen, all together."""


class Session:
    """The adapter around a NodeCore, made of a lifecycle node's endpoints."""

    def __init__(
        self, node: LifecycleNode, config: NodeConfig, on_halt: Callable[[str], None]
    ) -> None:
        """Load the models and make the publishers.

        Raises Pose3DError, and rclpy's errors for names and QoS overrides that are not valid.
        """
        self._node = node
        self._endpoints = {name: Endpoints(node) for name in config.camera_names}
        self._outputs: dict[tuple[str, str], Endpoint] = {}
        self._inputs: dict[str, Endpoint] = {}
        # Of images and depth images: camera, subscription, type; they follow their publishers.
        self._following: list[tuple[str, Endpoint, str]] = []
        self._auxiliary: dict[str, dict[str, str]] = {}
        self._transforms = TransformBuffer()
        self._listener = Endpoints(node)
        self._hears_transforms = False
        self._broadcaster: Any = None
        self._graph = RosGraph(node)
        self._closed = False
        pipeline = Pipeline(config)
        _warm_up(pipeline)
        try:
            self._open(config)
            if config.target_frame or config.input_frames or config.publish_tf:
                self._listen_to_transforms()
            self._image_type = message_class(IMAGE_TYPES[config.image_transport])
            self.core = NodeCore(
                config,
                pipeline,
                Host(
                    message_class,
                    self,
                    clock=lambda: int(node.get_clock().now().nanoseconds),
                    log=partial(log, node),
                    unpack=self._unpack,
                    decode=image_decoder(node.get_logger().warning),
                ),
                on_halt=on_halt,
                name=node.get_fully_qualified_name(),
            )
            self._watch = Watch(
                self.core,
                self._graph,
                node.get_fully_qualified_name(),
                partial(log, node),
                time.monotonic,
            )
            for name, topic in self.core.auxiliary_topics.items():
                message_class_for(f'the topic {name}', topic.type_name)  # rather than at activation
        except Exception:
            self.close()
            raise

    def _open(self, config: NodeConfig) -> None:
        for name, endpoints in self._endpoints.items():
            for output, type_name in OUTPUTS.items():
                self._outputs[name, output] = endpoints.publisher(
                    message_class(type_name), output_topic(name, output), RESULT
                )
        self._info = next(iter(self._endpoints.values())).publisher(
            message_class(INFO_TYPE), '~/estimator_info', LATCHED
        )
        self._prepare_broadcasts(config)

    def _listen_to_transforms(self) -> None:
        """Subscribe to them; in the executor's thread."""
        self._hears_transforms = True
        type_, take = message_class(TF), self._take_transforms
        listen = self._listener.subscription
        listen(type_, '/tf', partial(take, static=False), TRANSFORMS)
        listen(type_, '/tf_static', partial(take, static=True), STATIC_TRANSFORMS)

    def _take_transforms(self, message: Any, *, static: bool) -> None:
        self._transforms.take(message, static=static)
        if self.core.transforms(message):
            self._info.handle.publish(self.core.info())

    def _prepare_broadcasts(self, config: NodeConfig) -> None:
        """Make the publisher of transforms when it is first wanted; in the executor's thread."""
        if config.publish_tf and self._broadcaster is None:
            # No lifecycle publisher: one that is made while the node is active would be mute.
            self._broadcaster = self._node.create_publisher(
                message_class(TF), '/tf', ros_qos(TRANSFORMS)
            )

    def activate(self) -> None:
        """Start the worker, subscribe, tell what is running; publishers are enabled already."""
        node, core = self._node, self.core
        core.activate()
        self._info.handle.publish(core.info())
        type_name = IMAGE_TYPES[core.config.image_transport]
        heard = []
        self._following.clear()
        for name, endpoints in self._endpoints.items():
            # First, for the first image to find its calibration.
            info = endpoints.subscription(
                message_class(CAMERA_INFO),
                input_topic(name, 'camera_info'),
                partial(core.camera_info, name),
                SENSOR_DATA,
            )
            others = self._auxiliary[name] = {}
            for other, topic in core.auxiliary_topics.items():
                other_name = self._suffixed(input_topic(name, other), topic.suffix)
                latched = LATCHED if topic.latched else SENSOR_DATA
                endpoint = endpoints.subscription(
                    message_class(topic.type_name),
                    other_name,
                    partial(core.auxiliary, other, name),
                    self._image_profile(other_name, topic.type_name) if topic.image else latched,
                    raw=topic.image,
                    changes=topic.image,
                )
                if topic.image:
                    self._following.append((name, endpoint, topic.type_name))
                others[other] = endpoint.topic
            topic_name = self._suffixed(
                input_topic(name, 'image'),
                '/compressed' if core.config.image_transport == 'compressed' else '',
            )
            image = endpoints.subscription(
                self._image_type,
                topic_name,
                partial(core.image, name),
                self._image_profile(topic_name, type_name),
                raw=True,
                changes=True,
            )
            self._inputs[name] = image
            self._following.append((name, image, type_name))
            core.image_topic(name, image.topic)
            topics = ' and '.join([info.topic, *others.values()])
            heard.append(f'{image.topic} ({describe_qos(image.qos)}) and {topics}')
        self._watch.start()
        for line in without_effect(core.config, self._remapped):
            node.get_logger().warning(line)
        about = core.pipeline.info
        node.get_logger().info(
            f'active: {about.model} on {about.backend} {about.device} ({about.precision}); '
            f'listening to {", ".join(heard)}; publishing {self._outputs_prefix()}'
        )

    def deactivate(self) -> None:
        """Unsubscribe, stop the worker, publish the end; publishers are still enabled."""
        for endpoints in self._endpoints.values():
            endpoints.destroy(publishers=False)
        if not self.core.deactivate():
            self._node.get_logger().error('the worker is still busy with an image')
        # The process may end now, and what it has not sent by then with it.
        for endpoints in self._endpoints.values():
            endpoints.flush(FLUSH_S / len(self._endpoints))

    def close(self) -> None:
        """Destroy everything that was made."""
        self._closed = True
        for endpoints in self._endpoints.values():
            endpoints.destroy(publishers=False)
            endpoints.destroy(publishers=True)
        self._listener.destroy(publishers=False)
        if self._broadcaster is not None:
            self._node.destroy_publisher(self._broadcaster)
            self._broadcaster = None

    def configure(self, config: NodeConfig) -> None:
        """Take over live settings."""
        self._prepare_broadcasts(config)
        if config.publish_tf and not self._hears_transforms:
            self._listen_to_transforms()
        self.core.configure(config)

    def look(self) -> None:
        """Follow the publishers of images, say why nothing comes out; while the node is active."""
        type_name = IMAGE_TYPES[self.core.config.image_transport]
        for name, endpoint, followed_type in self._following:
            profile = self._image_profile(endpoint.topic, followed_type)
            if self._endpoints[name].resubscribe(endpoint, profile):
                self._node.get_logger().info(
                    f'images from {endpoint.topic}: {describe_qos(endpoint.qos)}, as publishers'
                )
        self._watch.look(
            {
                name: Heard(endpoint.topic, type_name, profile_of(endpoint.qos))
                for name, endpoint in self._inputs.items()
            }
        )

    def _image_profile(self, topic: str, type_name: str) -> Profile:
        publishers = self._graph.publishers(str(self._node.resolve_topic_name(topic)))
        return image_profile(self.core.config.reliability, publishers, type_name)

    def time_jumped_back(self) -> None:
        """Forget all that has a time."""
        self.core.reset()
        self._transforms.clear()

    def statuses(self) -> list[Status]:
        """Diagnostics of the core, with what is known of topics here."""
        return self.core.diagnostics(
            {name: endpoint.topic for name, endpoint in self._inputs.items()},
            {name: endpoints.problems() for name, endpoints in self._endpoints.items()},
            {name: endpoints.lost for name, endpoints in self._endpoints.items()},
            self._auxiliary,
        )

    # What NodeCore asks of its adapter, from the worker thread.

    def listeners(self, camera: str, output: str) -> int:
        """Subscribers of an output."""
        return int(self._outputs[camera, output].handle.get_subscription_count())

    def publish(self, camera: str, output: str, message: Any) -> None:
        """Send a message."""
        self._outputs[camera, output].handle.publish(message)

    def broadcast(self, transforms: list[Any]) -> None:
        """Send to /tf."""
        broadcaster = self._broadcaster
        if broadcaster is not None:
            broadcaster.publish(message_class(TF)(transforms=transforms))

    def lookup(
        self, target: str, source: str, stamp_ns: int, timeout_s: float
    ) -> tuple[Array, Array]:
        """Transform at that time; LookupError if there is none."""
        self._want_transforms()
        return self._transforms.lookup(target, source, stamp_ns, timeout_s)

    def newest(self, target: str, source: str) -> tuple[Array, Array, int | None]:
        """The newest transform and its stamp; LookupError if there is none."""
        self._want_transforms()
        return self._transforms.newest_stamped(target, source)

    def frames(self) -> FrameTree:
        """What transforms connect; they are listened to from the first call on."""
        self._want_transforms()
        return self._transforms.frames()

    def _want_transforms(self) -> None:
        """Have them listened to, once, by the executor's thread, which makes all endpoints."""
        executor = self._node.executor
        if self._hears_transforms or executor is None:
            return
        self._hears_transforms = True

        def listen() -> None:
            try:
                if not self._closed:
                    self._listen_to_transforms()
            except ConfigError as error:
                self._node.get_logger().warning(str(error))

        executor.create_task(listen)

    def _unpack(self, data: bytes, type_name: str) -> Any:
        """Message of its serialised form; in the worker, because it costs more than receiving."""
        try:
            return deserialize_message(data, message_class(type_name))
        except Exception as error:
            raise InputError(f'an image message cannot be read: {error}') from error

    def _suffixed(self, base: str, suffix: str) -> str:
        """Name of a transport's topic: its suffix belongs behind the remapped name."""
        if not suffix:
            return base
        node = self._node
        own = node.resolve_topic_name(base + suffix)
        if own != node.resolve_topic_name(base + suffix, only_expand=True):
            return base + suffix
        return f'{node.resolve_topic_name(base)}{suffix}'

    def _remapped(self, name: str) -> str:
        """Full name of a topic that a remapping names; empty if none does."""
        topic = str(self._node.resolve_topic_name(name))
        return '' if topic == self._node.resolve_topic_name(name, only_expand=True) else topic

    def _outputs_prefix(self) -> str:
        topics = [endpoint.topic for endpoint in self._outputs.values()]
        return ', '.join(topics)


def _warm_up(pipeline: Pipeline) -> None:
    """Runtimes allocate and choose kernels at the first call; not while a person walks by."""
    pipeline.process(Frame(image=np.zeros((480, 640, 3), np.uint8)))
    pipeline.reset()


def log(node: Any, level: int, line: str) -> None:
    """Write a line with a level of Python's logging to the node's logger."""
    logger = node.get_logger()
    if level >= logging.ERROR:
        logger.error(line)
    elif level >= logging.WARNING:
        logger.warning(line)
    elif level >= logging.INFO:
        logger.info(line)
    else:
        logger.debug(line)
