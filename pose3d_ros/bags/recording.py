# SPDX-License-Identifier: Apache-2.0
"""Recorded bags: their topics, and which of them are images, calibrations and auxiliary inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.interfaces import Connection, MessageDefinitionFormat
from rosbags.rosbag1 import ReaderError as Rosbag1Error
from rosbags.rosbag2 import ReaderError as Rosbag2Error
from rosbags.serde import SerdeError

from ..errors import ConfigError, InputError
from ..messages.detections import DETECTIONS
from ..messages.keypoints import KEYPOINTS
from ..messages.skeletons import INFO_TYPE
from ..messages.standalone import typestore
from ..messages.types import Message
from ..node.topics import CAMERA_INFO, IMAGE_TYPES


@dataclass(frozen=True)
class Stream:
    """An image topic of a bag, and what belongs to it.

    name: of the camera, as in the setting cameras. transport: raw or compressed. camera_info: topic
    of the calibration, or empty. auxiliary: topics of auxiliary inputs by their names.
    """

    name: str
    image: str
    transport: str
    camera_info: str
    auxiliary: Mapping[str, str] = field(default_factory=dict)


class Recording:
    """A bag of ROS 2 (MCAP, SQLite; folder or file) or of ROS 1, open for reading.

    Raises InputError if it is none, or damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        if not self.path.exists():
            raise InputError(f'{self.path}: no such bag')
        try:
            self._reader = AnyReader([self.path], default_typestore=typestore())
            self._reader.open()
        except FileNotFoundError as error:
            raise InputError(f'{self.path}: not a bag (no metadata.yaml)') from error
        except Exception as error:  # a damaged file may fail in any way
            raise InputError(f'{self.path}: not a readable bag: {error}') from error
        self.ros1 = not self._reader.is2
        self.connections = sorted(self._reader.connections, key=lambda c: (c.topic, c.id))

    @property
    def message_count(self) -> int:
        """Messages of all topics, as far as the bag knows."""
        return int(self._reader.message_count)

    def topics(self, *types: str) -> list[str]:
        """Topics of some types."""
        return sorted({c.topic for c in self.connections if c.msgtype in types})

    def count(self, topics: Sequence[str]) -> int:
        """Messages on some topics."""
        return sum(c.msgcount for c in self.connections if c.topic in topics)

    def messages(self, *topics: str) -> Iterator[tuple[Connection, int, bytes]]:
        """Connection, time in nanoseconds, serialised message, of some topics or of all.

        Raises InputError where the bag is damaged.
        """
        chosen = [c for c in self.connections if c.topic in topics]
        if topics and not chosen:
            return
        try:
            yield from self._reader.messages(chosen)
        except GeneratorExit:
            raise
        except Exception as error:
            raise InputError(f'{self.path}: damaged: {error}') from error

    def decode(self, connection: Connection, data: bytes) -> Message:
        """The message; InputError if it is damaged."""
        try:
            return self._reader.deserialize(data, connection.msgtype)
        except (AnyReaderError, SerdeError, Rosbag1Error, Rosbag2Error, IndexError) as error:
            raise InputError(f'broken message on {connection.topic}: {error}') from error

    def definition(self, connection: Connection) -> tuple[str, str]:
        """Text of the message's definition, and its hash."""
        store = self._reader.typestore
        digest = connection.digest or store.hash_rihs01(connection.msgtype)
        if connection.msgdef.format != MessageDefinitionFormat.NONE:
            return connection.msgdef.data, digest
        return store.generate_msgdef(connection.msgtype, ros_version=2)[0], digest

    def close(self) -> None:
        """Close the files."""
        with suppress(AnyReaderError):
            self._reader.close()


def find_streams(
    recording: Recording,
    images: Sequence[str] = (),
    camera_info: str = '',
    depth: str = '',
    cameras: Sequence[str] = (),
) -> list[Stream]:
    """The image topics to process: those named, those of the named cameras, or the only one.

    A topic that is recorded raw and compressed counts once, as raw. The calibration is on
    camera_info, or beside the image as ROS has it. cameras: names of the images, in their order, or
    of the images' namespaces. Raises InputError or ConfigError.
    """
    recorded = recording.topics(*IMAGE_TYPES.values())
    if not recorded:
        others = ', '.join(sorted({c.topic for c in recording.connections})) or 'none at all'
        raise InputError(f'{recording.path}: no image topics; topics: {others}')
    for topic in images:
        if topic not in recorded:
            raise InputError(
                f'{recording.path}: no image topic {topic}; there: {", ".join(recorded)}'
            )
    infos = recording.topics(CAMERA_INFO)
    if camera_info and camera_info not in infos:
        raise InputError(
            f'{recording.path}: no camera_info topic {camera_info}; there: '
            f'{", ".join(infos) or "none"}'
        )
    chosen = list(images)
    if not chosen:
        chosen = [t for t in recorded if t.removesuffix('/compressed') not in {*recorded} - {t}]
        chosen = [t for t in chosen if t != depth and not t.endswith('/compressedDepth')]
        if cameras:
            chosen = [_image_of(camera, chosen) for camera in cameras]
        elif len(chosen) != 1:
            raise InputError(
                f'{recording.path}: several image topics, choose with --image: '
                f'{", ".join(recorded)}'
            )
    if cameras and len(cameras) != len(chosen):
        raise ConfigError(f'{len(cameras)} cameras are named, and {len(chosen)} image topics')
    names = list(cameras)
    if not names:
        names = [_namespace(t).replace('/', '_') or t.strip('/') for t in chosen]
        if len(set(names)) < len(names):
            names = [topic.strip('/').replace('/', '_') for topic in chosen]
        if len(names) == 1:
            names = ['']
    types = {c.topic: c.msgtype for c in recording.connections}
    streams = []
    for name, topic in zip(names, chosen):
        beside = f'/{_namespace(topic)}/camera_info'.replace('//', '/')
        transport = 'raw' if types[topic] == IMAGE_TYPES['raw'] else 'compressed'
        streams.append(
            Stream(name, topic, transport, camera_info or (beside if beside in infos else ''))
        )
    return streams


def _namespace(topic: str) -> str:
    """Of an image topic, without the slash that it begins with."""
    return topic.removesuffix('/compressed').rpartition('/')[0].strip('/')


def _image_of(camera: str, topics: Sequence[str]) -> str:
    """The image topic in the namespace that is called as the camera."""
    own = [topic for topic in topics if _namespace(topic).replace('/', '_') == camera]
    if len(own) != 1:
        choice = ', '.join(own or topics)
        raise InputError(f'no image topic is that of the camera {camera!r}; choose of {choice}')
    return own[0]


def find_auxiliary(recording: Recording, topics: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Topics and their types by the names of auxiliary inputs; topics: those asked for.

    Joint names of keypoints are read beside them. Raises InputError for a topic that was not
    recorded, or of a type that holds something else.
    """
    allowed = {
        'detections': (DETECTIONS,),
        'keypoints': (KEYPOINTS,),
        'depth_image': tuple(IMAGE_TYPES.values()),
    }
    result = {}
    for name, topic in topics.items():
        types = sorted({c.msgtype for c in recording.connections if c.topic == topic})
        others = ', '.join(recording.topics(*allowed[name])) or 'none'
        if not types:
            raise InputError(f'{recording.path}: no topic {topic}; of that type: {others}')
        if types[0] not in allowed[name]:
            raise InputError(
                f'{recording.path}: {topic} is a {types[0]}, not a '
                f'{" or ".join(allowed[name])}; of that type: {others}'
            )
        result[name] = topic, types[0]
    info = f'{topics.get("keypoints", "").rpartition("/")[0]}/estimator_info'
    if 'keypoints' in result and info in recording.topics(INFO_TYPE):
        result['keypoints_info'] = info, INFO_TYPE
    return result
