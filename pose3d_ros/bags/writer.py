# SPDX-License-Identifier: Apache-2.0
"""Results as a ROS 2 bag (MCAP) with the topics of the node, for ROS 2 and Foxglove."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer

from ..errors import ConfigError
from ..messages import MarkerBuilder, MarkerFrame, SkeletonBuilder, TransformBuilder, image_message
from ..messages.calibration import info_message
from ..messages.images import compressed_message
from ..messages.standalone import StandaloneTypes
from ..messages.types import Message
from ..node.core import NODE_NAME
from ..outputs.files import writing
from ..pipeline import Pipeline
from ..settings.node import NodeConfig
from ..types import Frame, FrameResult

# rosbag2's format since Iron, which later ones read too.
_VERSION: Literal[8] = 8
# A stamp of zero means "no stamp": stamps that count from the beginning of a video begin here.
_BEGIN_NS = 1_000_000_000

IMAGE_CHOICES = ('compressed', 'raw', 'none')


def qos(*, latched: bool = False) -> Qos:
    """Reliable; latched: late subscribers of a replay get it too."""
    forever = QosTime(0, 0)
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=1 if latched else 10,
        reliability=QosReliability.RELIABLE,
        durability=QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        deadline=forever,
        lifespan=forever,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=forever,
        avoid_ros_namespace_conventions=False,
    )


class BagFile:
    """An MCAP bag that appears under its name only when it is whole.

    A name that ends with .mcap makes that one file, another makes a folder with metadata, as
    `ros2 bag record` does. Every method raises OutputError if it cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self.target = Path(path).expanduser()
        self.types = StandaloneTypes()
        self._connections: dict[str, Connection] = {}
        with writing(self.target):
            single = self.target.suffix == '.mcap'
            if self.target.is_dir() or (not single and self.target.exists()):
                raise FileExistsError(17, 'exists already')
            self.target.parent.mkdir(parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(prefix='.bag-', dir=self.target.parent))
            # rosbags names the file after the folder.
            self._part = self._folder / (self.target.stem if single else self.target.name)
            self._writer = Writer(self._part, version=_VERSION, storage_plugin=StoragePlugin.MCAP)
            self._writer.open()
        self._open = True

    @property
    def topics(self) -> list[str]:
        """Topics of our own so far."""
        return list(self._connections)

    def connect(self, topic: str, type_name: str, *, latched: bool = False) -> Connection:
        """The connection for messages of our own on a topic, made once."""
        if topic not in self._connections:
            self.types(type_name)
            with writing(self.target):
                self._connections[topic] = self._writer.add_connection(
                    topic,
                    type_name,
                    typestore=self.types.store,
                    offered_qos_profiles=[qos(latched=latched)],
                )
        return self._connections[topic]

    def adopt(self, topic: str, type_name: str, msgdef: str, digest: str, ext: Any) -> Connection:
        """A connection as another bag has it."""
        with writing(self.target):
            connection = self._writer.add_connection(
                topic,
                type_name,
                msgdef=msgdef,
                rihs01=digest,
                serialization_format=ext.serialization_format,
                offered_qos_profiles=ext.offered_qos_profiles,
            )
        # Messages of our own on the same topic (/tf) go the same way.
        self._connections.setdefault(topic, connection)
        return connection

    def put(
        self,
        topic: str,
        type_name: str,
        message: Message | bytes,
        time_ns: int,
        *,
        latched: bool = False,
    ) -> None:
        """Write a message of our own, which may be serialised already."""
        connection = self.connect(topic, type_name, latched=latched)
        if not isinstance(message, bytes):
            message = self.types.serialize(message, type_name)
        self.put_raw(connection, message, time_ns)

    def put_raw(self, connection: Connection, data: bytes | memoryview, time_ns: int) -> None:
        """Write a serialised message."""
        with writing(self.target):
            self._writer.write(connection, time_ns, data)

    def close(self) -> None:
        """Finish the bag and give it its name; a file of that name is replaced."""
        if not self._open:
            return
        try:
            with writing(self.target):
                self._writer.close()
                if self.target.suffix == '.mcap':
                    (made,) = self._part.glob('*.mcap')
                    with made.open('rb+') as file:
                        os.fsync(file.fileno())
                    made.replace(self.target)
                else:
                    self._part.rename(self.target)
        except BaseException:
            self.discard()
            raise
        self._open = False
        shutil.rmtree(self._folder, ignore_errors=True)

    def discard(self) -> None:
        """Give up: nothing is left behind."""
        if self._open:
            self._open = False
            self._writer.abort()
            shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()


class ResultTopics:
    """The topics of a node's results for one camera, written into a bag."""

    def __init__(
        self, bag: BagFile, pipeline: Pipeline, config: NodeConfig, prefix: str, source: str = ''
    ) -> None:
        self._bag, self._pipeline, self._config = bag, pipeline, config
        self._prefix = prefix
        self._skeletons = SkeletonBuilder(bag.types)
        self._markers = MarkerBuilder(bag.types)
        self._transforms = TransformBuilder(bag.types, source)
        bag.connect(f'{prefix}/skeletons', 'pose3d_ros/msg/Skeleton3DArray')
        if config.publish_markers:
            bag.connect(f'{prefix}/markers', 'visualization_msgs/msg/MarkerArray')

    def write(self, result: FrameResult, time_ns: int) -> None:
        """The messages of one frame."""
        frame, poses, lost = result.frame, result.people, result.ended
        stamp: dict[str, Any] = {'stamp_ns': frame.stamp_ns, 'frame_id': frame.frame_id}
        array = self._skeletons.array(
            poses,
            size=frame.size,
            convention=self._pipeline.skeleton.name,
            lost=lost,
            **stamp,
        )
        put = self._bag.put
        put(f'{self._prefix}/skeletons', 'pose3d_ros/msg/Skeleton3DArray', array, time_ns)
        if self._config.publish_markers:
            place = MarkerFrame(frame.stamp_ns, frame.frame_id, camera=frame.camera)
            markers = self._markers.array(poses, place, self._config)
            put(f'{self._prefix}/markers', 'visualization_msgs/msg/MarkerArray', markers, time_ns)
        if self._config.publish_tf:
            found = self._transforms.transforms(poses, config=self._config, lost=lost, **stamp)
            if found:
                message = self._bag.types('tf2_msgs/msg/TFMessage')(transforms=found)
                put('/tf', 'tf2_msgs/msg/TFMessage', message, time_ns)


def write_info(bag: BagFile, pipeline: Pipeline, prefix: str, time_ns: int) -> None:
    """EstimatorInfo, latched, as the node publishes it."""
    info = SkeletonBuilder(bag.types).info(pipeline.skeleton, pipeline.info, stamp_ns=time_ns)
    put = f'{prefix}/estimator_info', 'pose3d_ros/msg/EstimatorInfo'
    bag.put(*put, info, time_ns, latched=True)


class BagWriter(BagFile):
    """Frames and their people, as the topics of a camera and of the node.

    >>> with BagWriter('walk.mcap', pipeline) as bag:
    ...     for result in pipeline.process(frame).finished:
    ...         bag.write(0, result)

    image: how the frames go into the bag: compressed (JPEG), raw or none.
    """

    def __init__(
        self,
        path: str | Path,
        pipeline: Pipeline,
        *,
        image: str = 'compressed',
        config: NodeConfig | None = None,
        node: str = f'/{NODE_NAME}',
        camera: str = '/camera',
    ) -> None:
        if image not in IMAGE_CHOICES:
            raise ConfigError(f'image must be one of {", ".join(IMAGE_CHOICES)}, not {image!r}')
        super().__init__(path)
        self._pipeline, self._image, self._node, self._camera = pipeline, image, node, camera
        self._results = ResultTopics(self, pipeline, config or NodeConfig(), node)
        self._shift_ns: int | None = None

    def write(self, index: int, result: FrameResult) -> None:
        """Add a frame; its number is in its stamp."""
        frame = result.frame
        if self._shift_ns is None:
            self._shift_ns = max(0, _BEGIN_NS - frame.stamp_ns)
            write_info(self, self._pipeline, self._node, frame.stamp_ns + self._shift_ns)
        time_ns = frame.stamp_ns + self._shift_ns
        stamp: dict[str, Any] = {'stamp_ns': time_ns, 'frame_id': frame.frame_id}
        if frame.camera is not None:
            message = info_message(self.types, frame.camera, **stamp)
            self.put(f'{self._camera}/camera_info', 'sensor_msgs/msg/CameraInfo', message, time_ns)
        if self._image == 'raw':
            message = image_message(self.types, frame.image, **stamp)
            self.put(f'{self._camera}/image', 'sensor_msgs/msg/Image', message, time_ns)
        elif self._image == 'compressed':
            message = compressed_message(self.types, frame.image, **stamp)
            topic = f'{self._camera}/image/compressed'
            self.put(topic, 'sensor_msgs/msg/CompressedImage', message, time_ns)
        shifted = Frame(frame.image, time_ns, frame.frame_id, frame.camera)
        self._results.write(replace(result, frame=shifted), time_ns)
