# SPDX-License-Identifier: Apache-2.0
"""A recorded bag through the pipeline: image topics in, the same and the results out.

Every image is processed, in its order, so that equal input gives equal output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.interfaces import Connection, MessageDefinitionFormat
from rosbags.rosbag1 import ReaderError as Rosbag1Error
from rosbags.rosbag2 import ReaderError as Rosbag2Error
from rosbags.serde import SerdeError

from ..camera import Camera
from ..errors import InputError
from ..messages import decode_compressed, decode_image, stamp_of
from ..messages.calibration import Calibration
from ..messages.detections import DETECTIONS
from ..messages.keypoints import KEYPOINTS
from ..messages.skeletons import INFO_TYPE
from ..messages.standalone import typestore
from ..messages.types import Message
from ..node.core import NODE_NAME
from ..node.inputs import Companions
from ..pipeline import Pipeline
from ..settings.node import NodeConfig
from ..types import Frame, FrameResult
from .writer import BagFile, ResultTopics, write_info

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED = 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
_LAST_NS = 2**62
_AHEAD_NS = 1_000_000_000  # what belongs to an image may be recorded so much later


@dataclass(frozen=True)
class Stream:
    """An image topic of a bag, and the topic of its calibration (empty: none)."""

    image: str
    camera_info: str
    name: str = ''
    """Names the results, when there are several."""
    beside: Mapping[str, str] = field(default_factory=dict)
    """Topics with boxes, keypoints or depth for the images, by the names of `companions`."""


@dataclass
class BagSummary:
    """What a run did."""

    images: int = 0
    people: int = 0
    warnings: list[str] = field(default_factory=list)
    damage: str = ''
    """Why the recording could not be read to its end; empty if it could."""


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

    def messages(self, topic: str = '') -> Iterator[tuple[Connection, int, bytes]]:
        """Connection, time in nanoseconds, serialised message, of all topics or of one.

        Raises InputError where the bag is damaged.
        """
        chosen = [c for c in self.connections if c.topic == topic]
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
    recording: Recording, images: Sequence[str] = (), camera_info: str = '', depth: str = ''
) -> list[Stream]:
    """The image topics to process: those asked for, else the only one that is not depth.

    A topic that is there raw and compressed counts once, as raw. The calibration is on
    camera_info, or beside the image as ROS has it.
    """
    known = recording.topics(IMAGE, COMPRESSED)
    if not known:
        there = ', '.join(sorted({c.topic for c in recording.connections})) or 'none at all'
        raise InputError(f'{recording.path}: no image topics; topics: {there}')
    missing = [topic for topic in images if topic not in known]
    if missing:
        raise InputError(
            f'{recording.path}: no image topic {missing[0]}; there: {", ".join(known)}'
        )
    chosen = list(images)
    if not chosen:
        chosen = [t for t in known if t.removesuffix('/compressed') not in set(known) - {t}]
        chosen = [t for t in chosen if t != depth and not t.endswith('/compressedDepth')]
        if len(chosen) != 1:
            raise InputError(
                f'{recording.path}: several image topics, choose with --image: {", ".join(known)}'
            )
    infos = recording.topics(CAMERA_INFO)
    if camera_info and camera_info not in infos:
        raise InputError(
            f'{recording.path}: no camera_info topic {camera_info}; there: '
            f'{", ".join(infos) or "none"}'
        )
    streams = []
    for topic in chosen:
        base = topic.removesuffix('/compressed')
        parent = base.rpartition('/')[0]
        found = camera_info or next((t for t in infos if t == f'{parent}/camera_info'), '')
        name = parent.strip('/').replace('/', '_') or base.strip('/')
        streams.append(Stream(topic, found, name))
    if len({stream.name for stream in streams}) < len(streams):
        streams = [
            Stream(s.image, s.camera_info, s.image.strip('/').replace('/', '_')) for s in streams
        ]
    return streams


def find_beside(recording: Recording, wanted: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Topics and their types by the names of `companions`, of the topics that are wanted.

    Joint names of keypoints are found beside them. Raises InputError for a topic that is not there
    or of a type that says something else.
    """
    allowed = {
        'detections': (DETECTIONS,), 'keypoints': (KEYPOINTS,), 'depth_image': (IMAGE, COMPRESSED),
    }  # fmt: skip
    found = {}
    for name, topic in wanted.items():
        kinds = sorted({c.msgtype for c in recording.connections if c.topic == topic})
        there = ', '.join(recording.topics(*allowed[name])) or 'none'
        if not kinds:
            raise InputError(f'{recording.path}: no topic {topic}; of that kind: {there}')
        if kinds[0] not in allowed[name]:
            raise InputError(
                f'{recording.path}: {topic} is a {kinds[0]}, not a '
                f'{" or ".join(allowed[name])}; of that kind: {there}'
            )
        found[name] = topic, kinds[0]
    told = f'{wanted.get("keypoints", "").rpartition("/")[0]}/estimator_info'
    if 'keypoints' in found and told in recording.topics(INFO_TYPE):
        found['keypoints_info'] = told, INFO_TYPE
    return found


class _Ahead:
    """A topic beside the images, read as far as the image at hand needs it."""

    def __init__(self, path: Path, name: str, topic: str, companions: Companions) -> None:
        # Readers keep one place in their files.
        self._recording = Recording(path)
        self.serves, self._name, self._topic = companions, name, topic
        self._messages = self._recording.messages(topic)
        self._next: tuple[Connection, int, bytes] | None = None
        self._newest_ns = -1

    def read(self, stamp_ns: int, time_ns: int, warnings: list[str]) -> None:
        """What was recorded before an image, and on to the first message later than it.

        Adds warnings of broken messages.
        """
        while True:
            try:
                if self._next is None:
                    self._next = next(self._messages, None)
                if self._next is None or self._next[1] > time_ns + _AHEAD_NS:
                    return
                # Stamps may go back, as in a bag of two runs; the times of recording do not.
                if self._next[1] > time_ns and self._newest_ns >= stamp_ns:
                    return
                connection, recorded_ns, data = self._next
                self._next = None
                message = self._recording.decode(connection, data)
            except InputError as error:
                warnings.append(f'{self._topic}: {error}')
                continue
            self.serves.add(self._name, message)
            self._newest_ns = stamp_of(message.header) or recorded_ns

    def read_all(self, warnings: list[str]) -> None:
        """What is latched, wherever it was recorded."""
        self.read(_LAST_NS, _LAST_NS, warnings)

    def close(self) -> None:
        """Close the files."""
        self._recording.close()


class BagRun:
    """Takes a recording message by message; writes into a bag."""

    def __init__(
        self,
        recording: Recording,
        bag: BagFile,
        pipeline: Pipeline,
        config: NodeConfig,
        streams: Sequence[Stream],
        *,
        node: str = f'/{NODE_NAME}',
        camera: Camera | None = None,
        copy: bool = True,
    ) -> None:
        self._recording, self._bag, self._pipeline = recording, bag, pipeline
        self._node, self._camera = node, camera
        self.summary = BagSummary()
        self._streams = {stream.image: stream for stream in streams}
        self._calibrations = {s.image: Calibration(config.image_is_rectified) for s in streams}
        several = len(streams) > 1
        self._results = {
            s.image: ResultTopics(
                bag,
                pipeline,
                config,
                f'{node}/{s.name}' if several else node,
                s.name if several else '',
            )
            for s in streams
        }
        # Nothing comes while an image waits.
        self._config = replace(config, keypoints_wait_s=0.0, depth_wait_s=0.0)
        self._companions = {
            s.image: Companions(
                self._config,
                lambda level, line: self.summary.warnings.append(line),
                lambda message, kind: message,
            )
            for s in streams
        }
        self._ahead: list[_Ahead] = []
        self._copies: dict[int, Connection] = {}
        if copy and not recording.ros1:
            self._copy_connections()
        self._info_written = False

    def run(self, each: Callable[[], object] = lambda: None) -> BagSummary:
        """Process everything; each: called after every image."""
        try:
            self._calibrate()
            self._open_beside()
            newest_ns = 0
            for connection, time_ns, data in self._recording.messages():
                # Before all else, so that a replay has it first.
                if not self._info_written:
                    write_info(self._bag, self._pipeline, self._node, time_ns)
                    self._info_written = True
                copied = self._copies.get(id(connection))
                if copied is not None:
                    self._bag.put_raw(copied, data, time_ns)
                self._take(connection, time_ns, data)
                newest_ns = time_ns
                if connection.topic in self._streams:
                    each()
            for topic in self._streams:
                self._write(topic, self._pipeline.flush(topic), newest_ns)
            for topic, stream in self._streams.items():
                for state in self._companions[topic].states(dict(stream.beside)):
                    if state.missing:
                        self.summary.warnings.append(
                            f'{state.topic}: nothing of the time of {state.missing} images'
                        )
        except InputError as error:
            self.summary.damage = str(error)
        finally:
            for ahead in self._ahead:
                ahead.close()
        return self.summary

    def _open_beside(self) -> None:
        for stream in self._streams.values():
            for name, topic in stream.beside.items():
                ahead = _Ahead(self._recording.path, name, topic, self._companions[stream.image])
                self._ahead.append(ahead)
                if name == 'keypoints_info':
                    ahead.read_all(self.summary.warnings)

    def _calibrate(self) -> None:
        """Begin with the first calibration, which may be recorded after the first image."""
        for stream in self._streams.values():
            if stream.camera_info:
                for connection, _, data in self._recording.messages(stream.camera_info):
                    with suppress(InputError):  # named when its turn comes
                        info = self._recording.decode(connection, data)
                        self._calibrations[stream.image].update(info)
                    break

    def _take(self, connection: Connection, time_ns: int, data: bytes) -> None:
        try:
            for stream in self._streams.values():
                if connection.topic == stream.camera_info:
                    info = self._recording.decode(connection, data)
                    self._calibrations[stream.image].update(info)
            if connection.topic in self._streams:
                self._image(connection, time_ns, data)
        except InputError as error:
            self.summary.warnings.append(f'{connection.topic} at {time_ns * 1e-9:.3f} s: {error}')

    def _image(self, connection: Connection, time_ns: int, data: bytes) -> None:
        message = self._recording.decode(connection, data)
        decode = decode_compressed if connection.msgtype == COMPRESSED else decode_image
        image = decode(message)
        size = (int(image.shape[1]), int(image.shape[0]))
        camera = self._camera.resized(size) if self._camera is not None else None
        stamp_ns = stamp_of(message.header) or time_ns
        frame_id = str(message.header.frame_id) or self._config.camera_frame
        companions = self._companions[connection.topic]
        for ahead in self._ahead:
            if ahead.serves is companions:
                ahead.read(stamp_ns, time_ns, self.summary.warnings)
        beside = companions.of(stamp_ns, frame_id, size, self._config)
        frame = Frame(
            image=image,
            stamp_ns=stamp_ns,
            frame_id=frame_id,
            depth=beside.depth,
            boxes=beside.boxes,
            keypoints=beside.keypoints,
            camera=camera or self._calibrations[connection.topic].camera(size),
            source=connection.topic,
        )
        self._write(connection.topic, self._pipeline.process(frame).finished, time_ns)
        self.summary.images += 1

    def _write(self, topic: str, finished: Iterable[FrameResult], time_ns: int) -> None:
        for result in finished:
            self._results[topic].write(result, time_ns)
            self.summary.people += len(result.people)

    def _copy_connections(self) -> None:
        """Take over all topics but those of results of an earlier run."""
        own = set(self._bag.topics) | {f'{self._node}/estimator_info'}
        for connection in self._recording.connections:
            if connection.topic not in own:
                msgdef, digest = self._recording.definition(connection)
                self._copies[id(connection)] = self._bag.adopt(
                    connection.topic, connection.msgtype, msgdef, digest, connection.ext
                )
