# SPDX-License-Identifier: Apache-2.0
"""Topics beside the images of a bag, read as far as the image at hand needs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rosbags.interfaces import Connection

from ..errors import InputError
from ..messages import stamp_of
from ..messages.types import Message
from ..node.frames import FrameTree
from ..node.marker_frames import AUTO
from ..node.transforms import TransformBuffer
from ..settings.node import NodeConfig
from ..types import Array
from .recording import Recording

AHEAD_NS = 1_000_000_000
"""What belongs to an image may be recorded so much later."""
_LAST_NS = 2**62
_TF, _TF_STATIC = '/tf', '/tf_static'


class TopicAhead:
    """Messages of some topics in the order of their recording, taken one by one.

    warn: takes lines about broken messages.
    """

    def __init__(self, path: Path, topics: Sequence[str], warn: Callable[[str], None]) -> None:
        # Readers keep one place in their files, so that this is a reader of its own.
        self._recording = Recording(path)
        self._messages = self._recording.messages(*topics)
        self._warn = warn
        self._next: tuple[Connection, int, bytes] | None = None

    def next(self, until_ns: int) -> tuple[Connection, int, Message] | None:
        """The next message, if it was recorded until then: its connection, that time, itself."""
        while True:
            try:
                if self._next is None:
                    self._next = next(self._messages, None)
                if self._next is None or self._next[1] > until_ns:
                    return None
                (connection, time_ns, data), self._next = self._next, None
                return connection, time_ns, self._recording.decode(connection, data)
            except InputError as error:
                self._warn(str(error))

    def close(self) -> None:
        """Close the files."""
        self._recording.close()


class AuxiliaryAhead:
    """An auxiliary input of the images. take: hands its messages over."""

    def __init__(
        self,
        path: Path,
        topic: str,
        warn: Callable[[str], None],
        take: Callable[[Message], None],
    ) -> None:
        self._messages = TopicAhead(path, [topic], warn)
        self._take = take
        self._newest_ns = -1

    def read(self, stamp_ns: int, time_ns: int) -> None:
        """Take what was recorded before an image, and on to the first message later than it."""
        while True:
            # Stamps may go back, as in a bag of two runs; the times of recording do not.
            ahead_ns = AHEAD_NS if self._newest_ns < stamp_ns else 0
            item = self._messages.next(time_ns + ahead_ns)
            if item is None:
                return
            _, recorded_ns, message = item
            self._take(message)
            self._newest_ns = stamp_of(message.header) or recorded_ns

    def read_all(self) -> None:
        """What is latched, wherever it was recorded."""
        self.read(_LAST_NS, _LAST_NS)

    def close(self) -> None:
        """Close the files."""
        self._messages.close()


class RecordedTransforms:
    """Where frames are, by the /tf and /tf_static of a recording.

    Nothing comes late in a recording: a transform is waited for by reading on.
    """

    def __init__(self, path: Path, warn: Callable[[str], None]) -> None:
        self._buffer = TransformBuffer()
        static = TopicAhead(path, [_TF_STATIC], warn)
        messages = []
        while (item := static.next(_LAST_NS)) is not None:
            messages.append(item[2])
        static.close()
        # What is static counts from the beginning; what comes first is taken last.
        for message in reversed(messages):
            self._buffer.take(message, static=True)
        self._messages = TopicAhead(path, [_TF, _TF_STATIC], warn)

    def lookup(
        self, target: str, source: str, stamp_ns: int, time_ns: int, wait_ns: int
    ) -> tuple[Array, Array]:
        """As TransformBuffer.lookup, for an image that was recorded at time_ns.

        wait_ns: how much later the transform may be recorded.
        """
        while self._read(time_ns):
            pass
        while True:
            try:
                return self._buffer.lookup(target, source, stamp_ns)
            except LookupError:
                if not self._read(time_ns + wait_ns):
                    raise

    def newest(self, target: str, source: str, time_ns: int) -> tuple[Array, Array, int | None]:
        """As TransformBuffer.newest_stamped, at that time of the recording."""
        while self._read(time_ns):
            pass
        return self._buffer.newest_stamped(target, source)

    def frames(self, time_ns: int) -> FrameTree:
        """What is connected at that time of the recording, or soon after."""
        while self._read(time_ns + AHEAD_NS):
            pass
        return self._buffer.frames()

    def _read(self, until_ns: int) -> bool:
        """Take the next message, if it was recorded until then."""
        item = self._messages.next(until_ns)
        if item is None:
            return False
        connection, _, message = item
        self._buffer.take(message, static=connection.topic == _TF_STATIC)
        return True

    def close(self) -> None:
        """Close the files."""
        self._messages.close()


def open_transforms(
    recording: Recording, config: NodeConfig, warn: Callable[[str], None]
) -> RecordedTransforms | None:
    """The transforms of a recording; None if there are none.

    Raises InputError if settings name frames and no transforms were recorded.
    """
    named = [config.target_frame, *config.input_frames]
    if config.publish_markers and config.marker_frame != AUTO:
        named.append(config.marker_frame)
    names = sorted({name for name in named if name})
    recorded = {connection.topic for connection in recording.connections}
    if recorded & {_TF, _TF_STATIC}:
        return RecordedTransforms(recording.path, warn)
    if names:
        raise InputError(
            f'{recording.path}: neither {_TF} nor {_TF_STATIC} is recorded, and '
            f'{" and ".join(names)} need transforms'
        )
    return None
