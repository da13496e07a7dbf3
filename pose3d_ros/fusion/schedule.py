# SPDX-License-Identifier: Apache-2.0
"""Which times are fused and when: no camera is waited for longer than a fixed delay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum

_JUMP_NS = 2_000_000_000
_ALIVE_NS = 500_000_000
_LEAST_ASTRAY = 10


class Verdict(Enum):
    """What becomes of a view by its stamp."""

    TAKEN = 'taken'
    OLD = 'not newer than the one before'
    ASTRAY = 'more than 2 s from those of the other cameras'
    RESTART = 'time jumped for all cameras'


class Schedule:
    """Common times on a grid of a fixed period; nanoseconds, as stamps have them.

    sources: the cameras that are expected.
    """

    def __init__(self, sources: Sequence[str], period_ns: int, delay_ns: int) -> None:
        self._sources, self._period_ns, self._delay_ns = tuple(sources), period_ns, delay_ns
        self._newest: dict[str, int] = {}
        self._front_ns: int | None = None
        self._next_ns = 0
        self._astray = 0

    def note(self, source: str, stamp_ns: int) -> Verdict:
        """Take in that a view of that stamp has come, and say what becomes of it."""
        verdict = Verdict.TAKEN
        if self._front_ns is None:
            self._begin(stamp_ns)
        elif abs(stamp_ns - self._front_ns) > _JUMP_NS:
            # One camera may be wrong; if none is in time any more, time itself has jumped.
            self._astray += 1
            if self._astray < _LEAST_ASTRAY:
                return Verdict.ASTRAY
            self._begin(stamp_ns)
            verdict = Verdict.RESTART
        elif stamp_ns <= self._newest[source]:
            return Verdict.OLD
        self._astray = 0
        self._newest[source] = stamp_ns
        self._front_ns = max(self._front_ns or stamp_ns, stamp_ns)
        return verdict

    def _begin(self, stamp_ns: int) -> None:
        self._front_ns = stamp_ns
        self._newest = dict.fromkeys(self._sources, stamp_ns - 1)
        self._next_ns = math.ceil(stamp_ns / self._period_ns) * self._period_ns

    def due(self, now_ns: int) -> list[int]:
        """The times to fuse now, oldest first. now_ns: by the clock that stamps views."""
        out: list[int] = []
        if self._front_ns is None:
            return out
        front = self._front_ns
        alive = [ns for ns in self._newest.values() if front - ns < _ALIVE_NS]
        ready_ns = max(min(alive), min(now_ns - self._delay_ns, front + self._period_ns))
        # Times to which nobody has anything to say are left out, as after a pause.
        if ready_ns - self._next_ns > _JUMP_NS:
            self._next_ns = math.ceil((ready_ns - _JUMP_NS) / self._period_ns) * self._period_ns
        while self._next_ns <= min(ready_ns, front):
            out.append(self._next_ns)
            self._next_ns += self._period_ns
        return out
