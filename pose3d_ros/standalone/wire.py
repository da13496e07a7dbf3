# SPDX-License-Identifier: Apache-2.0
"""What a node on the wire is, whatever transport carries its topics."""

from __future__ import annotations

import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..errors import ConfigError
from ..messages.standalone import StandaloneTypes
from ..messages.types import Message
from ..node.graph import Graph
from ..node.qos import Profile
from .names import Names
from .overrides import Overrides

# A signal is noticed only between two waits.
_LONGEST_WAIT_S = 0.1


def domain_id(value: int | None = None) -> int:
    """The domain to join: as asked for, else $ROS_DOMAIN_ID, else 0."""
    text = os.environ.get('ROS_DOMAIN_ID') or '0'
    if value is None:
        if not text.strip().isdigit():
            raise ConfigError(f'ROS_DOMAIN_ID must be a number, not {text!r}')
        value = int(text)
    if not 0 <= value <= 232:
        raise ConfigError(f'the domain must lie in [0, 232], not {value}')
    return value


class Publisher(Protocol):
    """Sends messages of one topic, from any thread."""

    def publish(self, message: Message | bytes) -> None:
        """Serialise, unless that is done, and send."""

    def listeners(self) -> int:
        """Number of matched subscriptions."""

    def incompatible(self) -> str:
        """What keeps subscriptions away; empty if nothing does."""


class Subscription(Protocol):
    """Receives serialised messages of one topic, full name. profile: with all overrides."""

    topic: str
    profile: Profile

    def dispatch(self) -> None:
        """Call back for each message that waits."""

    def lost(self) -> int:
        """Messages that got lost on the way."""

    def encounters(self) -> tuple[int, int]:
        """Changes whenever a publisher comes or goes whom another profile might suit."""

    def incompatible(self) -> str:
        """What keeps publishers away; empty if nothing does."""


@dataclass
class _Timer:
    period_s: float
    callback: Callable[[], None]
    due: float = field(default_factory=time.monotonic)


class WireNode(ABC):
    """What rclpy.node.Node is under ROS, as far as it is needed here.

    spin() calls subscriptions and timers back in one thread.
    """

    graph: Graph

    def __init__(self, names: Names, distro: str, overrides: Overrides | None) -> None:
        self.names = names
        self.types = StandaloneTypes(distro)
        self._overrides = overrides or Overrides()
        self._timers: list[_Timer] = []
        self._stopping = threading.Event()

    @abstractmethod
    def publisher(self, topic: str, type_name: str, profile: Profile) -> Publisher:
        """Publish on a topic, named as in a ROS node: relative, ~/private or /absolute."""

    @abstractmethod
    def subscribe(
        self,
        topic: str,
        type_name: str,
        profile: Profile,
        callback: Callable[[bytes], None],
        *,
        suffix: str = '',
    ) -> Subscription:
        """Subscribe; the callback gets the serialised message.

        suffix: put behind the name after remapping, as image transports do.
        """

    @abstractmethod
    def resubscribe(self, subscription: Subscription, profile: Profile) -> bool:
        """Go on with another profile; whether that is one. In the thread that spins.

        What is published in between may be lost.
        """

    @abstractmethod
    def close(self) -> None:
        """Leave the network; what was published last still gets through."""

    @abstractmethod
    def _wait(self, seconds: float) -> None:
        """Until a message has come or _wake() is called, at most so long."""

    @abstractmethod
    def _wake(self) -> None:
        """End _wait(); from any thread."""

    @abstractmethod
    def _listening(self) -> Sequence[Subscription]:
        """All subscriptions."""

    def every(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call back at this period, from now on."""
        self._timers.append(_Timer(seconds, callback))

    def spin(self) -> None:
        """Serve subscriptions and timers until stop()."""
        while not self._stopping.is_set():
            self.spin_once(_LONGEST_WAIT_S)

    def spin_once(self, timeout_s: float) -> None:
        """Wait for something to do, at most so long, and do it."""
        now = time.monotonic()
        wait = min([timeout_s, *(timer.due - now for timer in self._timers)])
        if wait > 0:
            self._wait(wait)
        for subscription in self._listening():
            subscription.dispatch()
        now = time.monotonic()
        for timer in self._timers:
            if now >= timer.due:
                # Late ones are left out, not made up for.
                timer.due = max(timer.due + timer.period_s, now)
                timer.callback()

    def stop(self) -> None:
        """End spin(); from any thread."""
        self._stopping.set()
        self._wake()
