# SPDX-License-Identifier: Apache-2.0
"""A recorded bag through a node: image topics in, the same and the results out.

Every image is processed, in its order, so that equal input gives equal output.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from rosbags.interfaces import Connection

from ..camera import Camera
from ..errors import InputError, OutputError, Pose3DError
from ..messages import stamp_of
from ..messages.calibration import info_message
from ..node.core import NodeCore
from ..node.host import Host
from ..node.topics import NODE_NAME
from ..pipeline import Pipeline
from ..settings.node import NodeConfig
from ..types import FrameResult
from .adapter import BagAdapter
from .ahead import AuxiliaryAhead, open_transforms
from .file import BagFile
from .recording import Recording, Stream


@dataclass
class BagSummary:
    """What a run did."""

    images: int = 0
    people: int = 0
    warnings: list[str] = field(default_factory=list)
    damage: str = ''
    """Why the recording could not be read to its end; empty if it could."""


class BagRun:
    """Takes a recording message by message; writes into a bag.

    node: full name of the node whose topics the results are on. camera: a calibration in place of
    the recorded one. copy: the recorded topics go into the output too. outputs: what is written of
    node.topics.OUTPUTS. Raises InputError if the settings need what was not recorded.
    """

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
        outputs: Collection[str] = ('skeletons', 'markers'),
    ) -> None:
        self.summary = BagSummary()
        self._recording, self._bag, self._camera = recording, bag, camera
        self._transforms = open_transforms(recording, config, self._warn)
        # Nothing comes while an image waits, and results must not depend on the machine's speed.
        self._config = replace(
            config,
            cameras=','.join(stream.name for stream in streams),
            keypoints_wait_s=0.0,
            depth_wait_s=0.0,
            finder_in_step=True,
        )
        pipeline.configure(self._config)
        self._adapter = BagAdapter(
            bag, node, self._config, outputs=outputs, transforms=self._transforms
        )
        host = Host(
            bag.types,
            self._adapter,
            clock=self._adapter.clock,
            timer=self._adapter.timer,
            log=self._log,
        )
        transports = {stream.name: stream.transport for stream in streams}
        self._core = NodeCore(self._config, pipeline, host, transports=transports, name=node)
        for stream in streams:
            self._core.image_topic(stream.name, stream.image)
        self._streams = {stream.image: stream for stream in streams}
        self._auxiliary: dict[str, list[AuxiliaryAhead]] = {s.name: [] for s in streams}
        self._finished: Counter[str] = Counter()
        self._failures = 0
        self._copies: dict[int, Connection] = {}
        if copy and not recording.ros1:
            self._copy_connections({f'{node}/estimator_info'})

    def run(self, each: Callable[[], object] = lambda: None) -> BagSummary:
        """Process everything; each: called after every image.

        Raises Pose3DError after max_failures images in a row that the estimator failed on.
        """
        begun = False
        try:
            self._calibrate()
            self._open_auxiliary()
            self._hear_frames()
            for connection, time_ns, data in self._recording.messages():
                self._adapter.time_ns = time_ns
                # Before all else, so that a replay has it first.
                if not begun:
                    self._adapter.info(self._core.info())
                    begun = True
                copied = self._copies.get(id(connection))
                if copied is not None:
                    self._bag.put_raw(copied, data, time_ns)
                self._take(connection, data)
                if connection.topic in self._streams:
                    each()
            self._count(self._core.flush())
            self._report()
        except InputError as error:
            self.summary.damage = str(error)
        finally:
            for readers in self._auxiliary.values():
                for reader in readers:
                    reader.close()
            if self._transforms is not None:
                self._transforms.close()
        return self.summary

    def _calibrate(self) -> None:
        """Begin with the first calibration, which may be recorded after the first image."""
        for stream in self._streams.values():
            if self._camera is not None:
                info = info_message(self._bag.types, self._camera, stamp_ns=0, frame_id='')
                self._core.camera_info(stream.name, info)
            elif stream.camera_info:
                for connection, _, data in self._recording.messages(stream.camera_info):
                    with suppress(InputError):  # named when its turn comes
                        self._core.camera_info(
                            stream.name, self._recording.decode(connection, data)
                        )
                    break

    def _open_auxiliary(self) -> None:
        for stream in self._streams.values():
            for name, topic in stream.auxiliary.items():
                take = partial(self._core.auxiliary, name, stream.name)
                reader = AuxiliaryAhead(self._recording.path, topic, self._warn, take)
                self._auxiliary[stream.name].append(reader)
                if name == 'keypoints_info':
                    reader.read_all()

    def _hear_frames(self) -> None:
        """Learn the names of all recorded frames, for no other to have the same."""
        if self._config.publish_tf:
            for connection, _, data in self._recording.messages('/tf', '/tf_static'):
                with suppress(InputError):  # named when they are needed
                    if self._core.transforms(self._recording.decode(connection, data)):
                        return

    def _take(self, connection: Connection, data: bytes) -> None:
        """A recorded message, if it is a calibration or an image."""
        try:
            for stream in self._streams.values():
                if connection.topic == stream.camera_info and self._camera is None:
                    self._core.camera_info(stream.name, self._recording.decode(connection, data))
            if connection.topic in self._streams:
                self._image(self._streams[connection.topic], connection, data)
        except InputError as error:
            time_s = self._adapter.time_ns * 1e-9
            self._warn(f'{connection.topic} at {time_s:.3f} s: {error}')

    def _image(self, stream: Stream, connection: Connection, data: bytes) -> None:
        message = self._recording.decode(connection, data)
        time_ns = self._adapter.time_ns
        for reader in self._auxiliary[stream.name]:
            reader.read(stamp_of(message.header) or time_ns, time_ns)
        try:
            self._count(self._core.step(stream.name, message))
        except (InputError, OutputError):
            raise
        except Exception as error:
            self._fail(stream, error)
            return
        self._failures = 0
        self.summary.images += 1

    def _fail(self, stream: Stream, error: Exception) -> None:
        """Go on without an image that the estimator fails on, as a node does."""
        self._failures += 1
        line = f'{type(error).__name__}: {error}'
        self._warn(f'{stream.image} at {self._adapter.time_ns * 1e-9:.3f} s: {line}')
        if self._failures >= self._config.max_failures:
            raise Pose3DError(f'{self._failures} images in a row failed: {line}') from error

    def _count(self, finished: Sequence[FrameResult]) -> None:
        for result in finished:
            self._finished[result.frame.source] += 1
            self.summary.people += len(result.people)

    def _report(self) -> None:
        """Warn of images that lack something."""
        for stream in self._streams.values():
            for state in self._core.auxiliary_states(stream.name, dict(stream.auxiliary)):
                if state.missing:
                    self._warn(f'{state.topic}: nothing of the time of {state.missing} images')
            unpublished = self._finished[stream.name] - self._adapter.published[stream.name]
            if unpublished:
                self._warn(
                    f'{stream.image}: no results of {unpublished} images, for want of a '
                    f'transform to {self._config.target_frame}'
                )

    def _copy_connections(self, replaced: set[str]) -> None:
        """Take over all topics but those of results of an earlier run."""
        replaced = replaced | set(self._bag.topics)
        for connection in self._recording.connections:
            if connection.topic not in replaced:
                msgdef, digest = self._recording.definition(connection)
                self._copies[id(connection)] = self._bag.adopt(
                    connection.topic, connection.msgtype, msgdef, digest, connection.ext
                )

    def _warn(self, line: str) -> None:
        self.summary.warnings.append(line)

    def _log(self, level: int, line: str) -> None:
        if level >= logging.WARNING:
            self._warn(line)
