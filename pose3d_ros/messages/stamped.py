# SPDX-License-Identifier: Apache-2.0
"""What another node says of images, by the stamp of an image."""

from __future__ import annotations

import struct
import threading
import time
from collections import deque
from typing import Generic, TypeVar

T = TypeVar('T')

_KEPT = 30
_JUMP_NS = 1_000_000_000


class Stamped(Generic[T]):
    """The last messages of a topic; filled by one thread, asked by another."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._items: deque[tuple[int, T]] = deque(maxlen=kept)
        self._changed = threading.Condition()
        self.received = 0
        self.exact = 0
        self.near = 0
        self.missing = 0
        self.waited_s = 0.0
        """For all images together."""
        self.matched = True
        """Whether there was anything for the last image."""

    def add(self, stamp_ns: int, item: T) -> None:
        """Take over a message; after time went backwards nothing from before counts."""
        with self._changed:
            self.received += 1
            if self._items and stamp_ns < self._items[-1][0] - _JUMP_NS:
                self._items.clear()
            self._items.append((stamp_ns, item))
            self._changed.notify_all()

    def clear(self) -> None:
        """Forget everything: time jumped."""
        with self._changed:
            self._items.clear()

    @property
    def newest_ns(self) -> int | None:
        """The newest stamp that is kept."""
        with self._changed:
            return self._items[-1][0] if self._items else None

    def wait(self, stamp_ns: int, wait_s: float) -> None:
        """Wait so long for the message of that stamp, unless a later one shows that none comes."""
        begin = time.monotonic()
        with self._changed:
            self._changed.wait_for(lambda: any(s >= stamp_ns for s, _ in self._items), wait_s)
            self.waited_s += time.monotonic() - begin

    def of(self, stamp_ns: int, near_ns: int) -> T | None:
        """What belongs to the image of that time: of the same stamp, else the nearest if near."""
        with self._changed:
            best = min(self._items, key=lambda item: abs(item[0] - stamp_ns), default=None)
            self.matched = best is not None and abs(best[0] - stamp_ns) <= near_ns
            if best is None or not self.matched:
                self.missing += 1
                return None
            self.exact += best[0] == stamp_ns
            self.near += best[0] != stamp_ns
            return best[1]


def stamp_in(raw: bytes) -> int:
    """The stamp of a serialised message that begins with a header; 0 if it is too short."""
    if len(raw) < 12:
        return 0
    sec, nanosec = struct.unpack_from('<iI' if raw[1] & 1 else '>iI', raw, 4)
    return int(sec) * 1_000_000_000 + int(nanosec)
