# SPDX-License-Identifier: Apache-2.0
"""What a node does between its subscriptions and its publishers, in ROS and without.

A shell (pose3d_ros.ros, pose3d_ros.dds) owns the topics. It hands over messages as they come
and is asked to publish others; all estimation runs in the worker thread of the FrameRunner.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ..drawing.overlay import overlay
from ..messages import (
    MarkerBuilder,
    MarkerFrame,
    SkeletonBuilder,
    TransformBuilder,
    Types,
    decode_compressed,
    decode_image,
    image_message,
    stamp_of,
)
from ..messages.body import transformed
from ..messages.calibration import Calibration
from ..messages.diagnostics import CameraState, Status, statuses
from ..messages.types import Message
from ..pipeline import Pipeline
from ..settings.node import NodeConfig
from ..types import Array, Frame, FrameResult, Pose3D
from .frames import FrameTree
from .inputs import Companions, Topic, topics_of
from .marker_frames import MarkerFrames
from .monitor import Throttle
from .runner import Arrival, FrameRunner, Log

# Outputs of each camera under ~/[camera/], and their types. Transforms go to /tf.
OUTPUTS = {
    'skeletons': 'pose3d_ros/msg/Skeleton3DArray',
    'markers': 'visualization_msgs/msg/MarkerArray',
    'debug_image': 'sensor_msgs/msg/Image',
}
NODE_NAME = 'pose3d_estimator'
IMAGE_TYPES = {'raw': 'sensor_msgs/msg/Image', 'compressed': 'sensor_msgs/msg/CompressedImage'}


def input_topic(camera: str, name: str) -> str:
    """Relative name of an input topic, before remapping, as `image` or `camera_info`."""
    return f'{camera}/{name}' if camera else name


def output_topic(camera: str, name: str) -> str:
    """Private name of an output topic, one of OUTPUTS, before remapping."""
    return f'~/{camera}/{name}' if camera else f'~/{name}'


class Shell(Protocol):
    """What the core needs of the node around it; called from the worker thread."""

    def listeners(self, camera: str, output: str) -> int:
        """Subscribers of one of OUTPUTS."""

    def publish(self, camera: str, output: str, message: Message | bytes) -> None:
        """Send a message of one of OUTPUTS, which may be serialised already."""

    def broadcast(self, transforms: list[Message]) -> None:
        """Send geometry_msgs/TransformStamped in one message."""

    def lookup(
        self, target: str, source: str, stamp_ns: int, timeout_s: float
    ) -> tuple[Array, Array]:
        """Rotation (3, 3) and translation (3,) m with x_target = R x_source + t, at that time.

        Raises LookupError with the reason if there is none.
        """

    def frames(self) -> FrameTree:
        """What transforms connect now. Transforms are listened to from the first call on."""


@dataclass
class _Camera:
    calibration: Calibration
    markers: MarkerBuilder
    places: MarkerFrames
    transforms: TransformBuilder
    companions: Companions
    encoding: str = ''
    zero_stamps: int = 0
    tf_failures: int = 0
    tf_problem: str = ''
    assumed: bool = False
    calibration_problem: str = 'no image has come'
    # The header of the last result, for the messages that end the output.
    stamp_ns: int = 0
    frame_id: str = ''
    size: tuple[int, int] = (0, 0)
    # Ids that ended in images for which nothing could be published.
    lost: list[int] = field(default_factory=list)


class NodeCore:
    """One node: cameras in, messages out.

    unpack: makes the message of what image() and companion() were given, and of its type (in the
    worker: only images that are processed cost anything). decode: BGR of such an Image; InputError
    if that cannot be. draw: the image for ~/debug_image.
    """

    def __init__(
        self,
        config: NodeConfig,
        pipeline: Pipeline,
        types: Types,
        shell: Shell,
        *,
        clock: Callable[[], int] = time.time_ns,
        log: Log = lambda level, line: logging.getLogger(__name__).log(level, line),
        gave_up: Callable[[str], None] = lambda reason: None,
        unpack: Callable[[Any, str], Message] = lambda payload, kind: payload,
        decode: Callable[[Message], Array] = decode_image,
        draw: Callable[[Array, Sequence[Pose3D]], Array] = overlay,
    ) -> None:
        self.pipeline = pipeline
        self._types = types
        self._shell = shell
        self._clock = clock
        self._log = log
        self._throttle = Throttle()
        self._unpack = unpack
        self._decode = decode
        self._draw = draw
        self._skeletons = SkeletonBuilder(types)
        self._cameras = {
            name: _Camera(
                Calibration(config.image_is_rectified),
                MarkerBuilder(types),
                MarkerFrames(shell),
                TransformBuilder(types, name),
                Companions(config, log, unpack),
            )
            for name in config.camera_names
        }
        self.runner = FrameRunner(
            pipeline,
            config,
            decode=self._frame,
            publish=self._publish,
            clock=clock,
            wanted=self.wanted,
            gave_up=gave_up,
            log=log,
        )

    @property
    def config(self) -> NodeConfig:
        """The settings in force."""
        return self.runner.config

    def activate(self) -> None:
        """Begin to process images."""
        self.runner.start()

    def deactivate(self) -> bool:
        """Stop, then publish one empty array and remove the markers; whether it stopped in time."""
        stopped = self.runner.stop()
        for name, camera in self._cameras.items():
            if camera.stamp_ns:
                stamp: dict[str, Any] = {'stamp_ns': camera.stamp_ns, 'frame_id': camera.frame_id}
                empty = self._skeletons.array(
                    [], size=camera.size, convention=self.pipeline.skeleton.name, **stamp
                )
                self._shell.publish(name, 'skeletons', empty)
                self._shell.publish(name, 'markers', camera.markers.clear(**stamp))
            camera.transforms.clear()
            camera.lost.clear()
        return stopped

    def image(self, camera: str, payload: Any) -> None:
        """Take an image (or compressed image) message; returns at once."""
        self.runner.offer(camera, payload)

    def camera_info(self, camera: str, info: Message) -> None:
        """Take a CameraInfo; serves the images that come after it."""
        self._cameras[camera].calibration.update(info)

    @property
    def companions(self) -> dict[str, Topic]:
        """Input topics beside the images that the settings ask for; what is latched comes first."""
        return topics_of(self.config)

    def companion(self, name: str, camera: str, message: Any) -> None:
        """Take a message of one of the companions; serves the images of its time."""
        self._cameras[camera].companions.add(name, message)

    def info(self) -> Message:
        """The EstimatorInfo to latch."""
        return self._skeletons.info(
            self.pipeline.skeleton, self.pipeline.info, stamp_ns=self._clock()
        )

    def configure(self, config: NodeConfig) -> None:
        """Take over live settings; ConfigError for others."""
        self.runner.configure(config)

    def reset(self) -> None:
        """Forget all tracks and filters, and what was said of images of another time."""
        for camera in self._cameras.values():
            camera.companions.clear()
        self.runner.reset()

    def wanted(self, camera: str) -> bool:
        """Whether anything has to be computed for a camera."""
        config = self.config
        if config.always_on or (config.publish_tf and config.tf_joints != 'none'):
            return True
        return any(self._listens(camera, output, config) for output in OUTPUTS)

    def diagnostics(
        self,
        topics: dict[str, str],
        qos: dict[str, list[str]] | None = None,
        lost_samples: dict[str, int] | None = None,
        companions: dict[str, dict[str, str]] | None = None,
    ) -> list[Status]:
        """All diagnostic statuses.

        By camera: resolved image topics, incompatible peers, images lost in transport, resolved
        topics of the companions.
        """
        states = {
            name: CameraState(
                topic=topics.get(name, ''),
                encoding=camera.encoding,
                calibration=camera.calibration_problem,
                assumed=camera.assumed,
                zero_stamps=camera.zero_stamps,
                tf_failures=camera.tf_failures,
                tf_problem=camera.tf_problem,
                qos=(qos or {}).get(name, ()),
                lost_samples=(lost_samples or {}).get(name, 0),
                companions=camera.companions.states((companions or {}).get(name, {})),
            )
            for name, camera in self._cameras.items()
        }
        wanted = {name: self.wanted(name) for name in self._cameras}
        return statuses(self.runner.report(), states, self.pipeline.info, self.config, wanted)

    def _listens(self, camera: str, output: str, config: NodeConfig) -> bool:
        switch = {'markers': config.publish_markers, 'debug_image': config.publish_debug_image}
        return switch.get(output, True) and self._shell.listeners(camera, output) > 0

    def _frame(self, arrival: Arrival) -> Frame:
        """Frame of an image message; runs in the worker."""
        camera, config = self._cameras[arrival.source], self.config
        message = self._unpack(arrival.payload, IMAGE_TYPES[config.image_transport])
        if config.image_transport == 'compressed':
            camera.encoding = str(message.format)
            image = decode_compressed(message)
        else:
            camera.encoding = str(message.encoding)
            image = self._decode(message)
        stamp_ns = stamp_of(message.header)
        if stamp_ns == 0:
            stamp_ns = arrival.received_ns
            camera.zero_stamps += 1
            if camera.zero_stamps == 1:
                self._log(
                    logging.WARNING, 'images have no stamp; the time of their arrival is used'
                )
        frame_id = str(message.header.frame_id) or config.camera_frame
        if not frame_id and self._throttle('no frame_id'):
            self._log(logging.WARNING, 'images have no frame_id; set the parameter camera_frame')
        size = (int(image.shape[1]), int(image.shape[0]))
        beside = camera.companions.of(stamp_ns, frame_id, size, config)
        return Frame(
            image=image,
            stamp_ns=stamp_ns,
            frame_id=frame_id,
            camera=self._calibrated(camera, size, config),
            source=arrival.source,
            gravity=self._gravity(frame_id, stamp_ns, config),
            depth=beside.depth,
            boxes=beside.boxes,
            keypoints=beside.keypoints,
        )

    def _gravity(self, frame_id: str, stamp_ns: int, config: NodeConfig) -> Array | None:
        """(3,) unit vector down in the camera's frame, if the transforms tell."""
        if not config.gravity_frame:
            return None
        try:
            rotation, _ = self._shell.lookup(
                config.gravity_frame, frame_id, stamp_ns, config.tf_timeout_s
            )
        except LookupError as error:
            if self._throttle('gravity'):
                self._log(logging.WARNING, f'gravity is unknown: {error.args[0]}')
            return None
        return np.asarray(-rotation[2] / np.linalg.norm(rotation[2]))

    def _calibrated(self, camera: _Camera, size: tuple[int, int], config: NodeConfig) -> Any:
        found = camera.calibration.camera(size)
        guessed = self.pipeline.info.focal_share > 0
        camera.assumed = found is None and (config.focal_length_px > 0 or guessed)
        problem = '' if found is not None or camera.assumed else camera.calibration.problem
        if problem != camera.calibration_problem:
            camera.calibration_problem = problem
            if problem:
                self._log(logging.WARNING, f'no absolute positions: {problem}')
        return found

    def _publish(self, result: FrameResult, config: NodeConfig) -> None:
        """All messages of an image; runs in the worker."""
        frame, name = result.frame, result.frame.source
        camera = self._cameras[name]
        lost = [*camera.lost, *result.ended]
        poses, frame_id = result.people, frame.frame_id
        rotation, translation = np.eye(3), np.zeros(3)
        if config.target_frame and config.target_frame != frame_id:
            try:
                rotation, translation = self._shell.lookup(
                    config.target_frame, frame_id, frame.stamp_ns, config.tf_timeout_s
                )
            except LookupError as error:
                camera.tf_failures += 1
                camera.tf_problem = str(error.args[0]) if error.args else str(error)
                camera.lost = lost
                if self._throttle('transform'):
                    self._log(logging.WARNING, f'nothing published: {camera.tf_problem}')
                return
            camera.tf_problem = ''
            frame_id = config.target_frame
            poses = [transformed(pose, rotation, translation) for pose in poses]
        camera.lost = []
        camera.stamp_ns, camera.frame_id, camera.size = frame.stamp_ns, frame_id, frame.size
        stamp: dict[str, Any] = {'stamp_ns': frame.stamp_ns, 'frame_id': frame_id}
        if config.always_on or self._listens(name, 'skeletons', config):
            message = self._skeletons.array(
                poses,
                size=frame.size,
                convention=self.pipeline.skeleton.name,
                lost=lost,
                **stamp,
            )
            self._shell.publish(name, 'skeletons', message)
        if self._listens(name, 'markers', config):
            output = MarkerFrame(
                frame.stamp_ns, frame_id, rotation, translation, camera=frame.camera
            )
            self._publish_markers(result, config, output)
        if config.publish_tf:
            transforms = camera.transforms.transforms(poses, config=config, lost=lost, **stamp)
            if transforms:
                self._shell.broadcast(transforms)
        if self._listens(name, 'debug_image', config):
            drawn = self._draw(frame.image, result.people)
            self._shell.publish(
                name,
                'debug_image',
                image_message(self._types, drawn, stamp_ns=frame.stamp_ns, frame_id=frame.frame_id),
            )

    def _publish_markers(
        self, result: FrameResult, config: NodeConfig, output: MarkerFrame
    ) -> None:
        """Markers in a frame that RViz can show; output: that of the skeletons."""
        frame = result.frame
        camera = self._cameras[frame.source]
        try:
            place = camera.places.of(frame, output, config)
        except LookupError as error:
            if self._throttle('marker transform'):
                self._log(logging.WARNING, f'no markers: {error.args[0] if error.args else error}')
            return
        markers = camera.markers.array(result.people, place, config)
        self._shell.publish(frame.source, 'markers', markers)
