# SPDX-License-Identifier: Apache-2.0
"""What the node's core needs of the program around it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..drawing.overlay import overlay
from ..messages import Types, decode_image
from ..messages.types import Message
from ..types import Array, Pose3D
from .frames import FrameTree
from .monitor import Throttle

Log = Callable[[int, str], None]
"""Takes a level of `logging` and a line."""


class Adapter(Protocol):
    """Topics and transforms: of ROS, of DDS, of a bag. Called from the thread that computes."""

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

    def newest(self, target: str, source: str) -> tuple[Array, Array, int | None]:
        """As lookup, of the newest transforms, and the stamp of the oldest of them.

        None for the stamp if nothing on the way moves.
        """

    def frames(self) -> FrameTree:
        """What transforms connect now. Transforms are listened to from the first call on."""


def write_log(level: int, line: str) -> None:
    """To this module's logger."""
    logging.getLogger(__name__).log(level, line)


@dataclass(frozen=True)
class Host:
    """The program around the core.

    types: message classes by name. clock: nanoseconds, as stamps have them; timer: seconds of a
    clock that never goes back. unpack: makes the message of what came on a topic, and of its type;
    it runs when the message is needed, so that others cost nothing. decode: BGR of an Image; both
    raise InputError. draw: the debug image.
    """

    types: Types
    adapter: Adapter
    clock: Callable[[], int] = time.time_ns
    timer: Callable[[], float] = time.monotonic
    log: Log = write_log
    unpack: Callable[[Any, str], Message] = lambda payload, type_name: payload
    decode: Callable[[Message], Array] = decode_image
    draw: Callable[[Array, Sequence[Pose3D]], Array] = overlay
    _throttle: Throttle = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, '_throttle', Throttle(clock=self.timer))

    def report(self, level: int, line: str, key: str = '') -> bool:
        """Log a line unless one like it was logged seconds ago; whether it was logged.

        key: the same for lines that are alike.
        """
        logged = self._throttle(key or line)
        if logged:
            self.log(level, line)
        return logged
