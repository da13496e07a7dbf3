# SPDX-License-Identifier: Apache-2.0
"""ROS 2 bags (MCAP), written message by message."""

from __future__ import annotations

import os
import shutil
import tempfile
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

from ..messages.standalone import StandaloneTypes
from ..messages.types import Message
from ..outputs.files import writing

# rosbag2's format since Iron, which later ones read too.
_VERSION: Literal[8] = 8


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
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error_type is None:
            self.close()
        else:
            self.discard()
