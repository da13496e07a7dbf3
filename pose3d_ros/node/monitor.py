# SPDX-License-Identifier: Apache-2.0
"""Counts, rates and latencies of a running node, for its diagnostics."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ..types import Floor, Frame, Result

WINDOW_S = 5.0
# The order in which the way of an image is reported; stages of the pipeline come in between.
_FIRST, _LAST = ('transport', 'wait', 'decode image'), ('publish', 'total')


class Window:
    """The values of the last seconds."""

    def __init__(self, seconds: float = WINDOW_S) -> None:
        self._seconds = seconds
        self._values: deque[tuple[float, float]] = deque(maxlen=4096)
        self._began: float | None = None

    def add(self, now: float, value: float = 0.0) -> None:
        """Take a value in at a time in seconds of any clock that never goes back."""
        if self._began is None:
            self._began = now
        self._values.append((now, value))
        self._expire(now)

    def rate(self, now: float) -> float:
        """Values per second; 0 without any."""
        self._expire(now)
        if self._began is None or not self._values:
            return 0.0
        span = min(self._seconds, now - self._began)
        # In the beginning n values span n - 1 intervals.
        if now - self._began < self._seconds:
            return (len(self._values) - 1) / span if len(self._values) > 1 and span > 0 else 0.0
        return len(self._values) / span

    def mean_and_p95(self, now: float) -> tuple[float, float] | None:
        """Mean and 95th percentile; None without values."""
        self._expire(now)
        values = sorted(value for _, value in self._values)
        if not values:
            return None
        return sum(values) / len(values), values[int(0.95 * (len(values) - 1) + 0.5)]

    def _expire(self, now: float) -> None:
        while self._values and now - self._values[0][0] > self._seconds:
            self._values.popleft()


class GapCounter:
    """Images missing in a stream of a steady rate, by the gaps between their stamps.

    What DDS loses of a best-effort topic (a fragment of a large image is enough) it does not
    report. Streams without a steady rate count nothing.
    """

    def __init__(self, window: int = 30) -> None:
        self._steps: deque[int] = deque(maxlen=window)
        self._last_ns = 0
        self.missing = 0

    def add(self, stamp_ns: int) -> None:
        """Take in the stamp of an image as it arrives."""
        step = stamp_ns - self._last_ns
        first, self._last_ns = self._last_ns <= 0, stamp_ns
        if first or step <= 0:
            return
        self._steps.append(step)
        if len(self._steps) < 10:
            return
        period = sorted(self._steps)[len(self._steps) // 2]
        steady = sum(abs(s / period - 1) < 0.25 for s in self._steps)
        if steady < 0.7 * len(self._steps):
            return
        steps = step / period
        # A pause is none of the network's doing, half a period is jitter.
        if 1.5 < steps < 50 and abs(steps - round(steps)) < 0.25:
            self.missing += round(steps) - 1


@dataclass
class SourceStats:
    """What happened to the images of one camera."""

    received: int = 0
    processed: int = 0
    dropped: int = 0
    """Replaced by a newer one before their turn, or found the queue full."""
    skipped: int = 0
    """Not processed because paused or because nobody listens."""
    bad: int = 0
    """Could not be decoded."""
    problem: str = ''
    """Why the last image could not be decoded; empty if it could."""
    backwards: int = 0
    """Stamps before that of the image before."""
    equal: int = 0
    """Stamps equal to that of the image before."""
    last_stamp_ns: int | None = None
    last_frame_id: str = ''
    size: tuple[int, int] | None = None
    rate_in: float = 0.0
    rate_out: float = 0.0
    age_s: float | None = None
    """Since the last image came; None before the first."""
    people: int = 0
    floor: Floor | None = None
    """On which the people of the last frame stand, None: unknown."""
    ended: int = 0
    """Tracks that ended."""


@dataclass(frozen=True)
class Report:
    """A snapshot of a runner's statistics."""

    sources: dict[str, SourceStats]
    latency_ms: dict[str, tuple[float, float]]
    """Mean and 95th percentile by part, in the order of the way of an image."""
    failures: int
    failures_in_a_row: int
    last_failure: str
    resets: int
    enabled: bool
    halted: bool
    """After too many failures in a row."""


class Monitor:
    """Counts what happens to the images of a node; any thread may call any method.

    timer: seconds of a clock that never goes back.
    """

    def __init__(self, sources: Iterable[str], timer: Callable[[], float]) -> None:
        self._timer = timer
        self._lock = threading.Lock()
        self._stats: dict[str, SourceStats] = {}
        self._rates_in: dict[str, Window] = {}
        self._rates_out: dict[str, Window] = {}
        self._last_in: dict[str, float] = {}
        self._latency: dict[str, Window] = {}
        self._failures = self._in_a_row = self._resets = 0
        self._last_failure = ''
        for source in sources:
            self._of(source)

    def received(self, source: str, now: float) -> None:
        """An image came."""
        with self._lock:
            self._of(source).received += 1
            self._rates_in[source].add(now)
            self._last_in[source] = now

    def skipped(self, source: str) -> None:
        """An image is not processed."""
        with self._lock:
            self._of(source).skipped += 1

    def dropped(self, source: str) -> None:
        """An image did not get its turn."""
        with self._lock:
            self._of(source).dropped += 1

    def bad(self, source: str, problem: str) -> None:
        """An image could not be decoded."""
        with self._lock:
            stats = self._of(source)
            stats.bad += 1
            stats.problem = problem

    def decoded(self, frame: Frame) -> None:
        """An image was decoded."""
        with self._lock:
            stats = self._of(frame.source)
            last = stats.last_stamp_ns
            stats.problem = ''
            stats.backwards += last is not None and frame.stamp_ns < last
            stats.equal += last is not None and frame.stamp_ns == last
            stats.last_stamp_ns, stats.last_frame_id = frame.stamp_ns, frame.frame_id
            stats.size = frame.size

    def delivered(self, result: Result) -> None:
        """What an image finished was published."""
        now = self._timer()
        with self._lock:
            self._in_a_row = 0
            self._resets += result.restarted
            stats = self._of(result.frame.source)
            stats.processed += 1
            stats.people = len(result.people)
            for finished in result.finished:
                stats.floor = finished.frame.floor
                stats.ended += len(finished.ended)
                self._rates_out[result.frame.source].add(now)

    def took(self, part: str, seconds: float) -> None:
        """A part of the way of an image took so long."""
        with self._lock:
            self._latency.setdefault(part, Window()).add(self._timer(), 1e3 * seconds)

    def failed(self, problem: str) -> int:
        """An image failed; how many did in a row."""
        with self._lock:
            self._failures += 1
            self._in_a_row += 1
            self._last_failure = problem
            return self._in_a_row

    def start(self) -> None:
        """Failures in a row count anew."""
        with self._lock:
            self._in_a_row = 0

    @property
    def last_failure(self) -> str:
        """Why the last image failed that did."""
        return self._last_failure

    def report(self, *, enabled: bool, halted: bool) -> Report:
        """Statistics as of now."""
        now = self._timer()
        with self._lock:
            sources = {}
            for name, stats in self._stats.items():
                last = self._last_in.get(name)
                sources[name] = dataclasses.replace(
                    stats,
                    rate_in=self._rates_in[name].rate(now),
                    rate_out=self._rates_out[name].rate(now),
                    age_s=None if last is None else now - last,
                )
            stages = [name for name in self._latency if name not in (*_FIRST, *_LAST)]
            latency = {}
            for name in (*_FIRST, *stages, *_LAST):
                window = self._latency.get(name)
                summary = window.mean_and_p95(now) if window else None
                if summary is not None:
                    latency[name] = summary
            return Report(
                sources=sources,
                latency_ms=latency,
                failures=self._failures,
                failures_in_a_row=self._in_a_row,
                last_failure=self._last_failure,
                resets=self._resets,
                enabled=enabled,
                halted=halted,
            )

    def _of(self, source: str) -> SourceStats:
        if source not in self._stats:
            self._stats[source] = SourceStats()
            self._rates_in[source], self._rates_out[source] = Window(), Window()
        return self._stats[source]


@dataclass
class Throttle:
    """Lets a message through when it is new, and again only after a while."""

    period_s: float = 5.0
    clock: Callable[[], float] = time.monotonic
    _last: dict[str, float] = field(default_factory=dict)

    def __call__(self, key: str) -> bool:
        """Whether to let it through now."""
        now = self.clock()
        if now - self._last.get(key, -1e9) < self.period_s:
            return False
        if len(self._last) > 100:  # messages with changing numbers must not pile up
            self._last.clear()
        self._last[key] = now
        return True
