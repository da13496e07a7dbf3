# SPDX-License-Identifier: Apache-2.0
"""Frames of a source sent in time, as a camera would."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from ..sources import Source
from ..types import Frame


def play(
    source: Source,
    send: Callable[[Frame, int], None],
    *,
    rate_hz: float | None = None,
    loop: bool = False,
    stopped: Callable[[], bool] = lambda: False,
    wait: Callable[[float], object] = time.sleep,
    clock: Callable[[], int] = time.time_ns,
    timer: Callable[[], float] = time.monotonic,
) -> int:
    """Send the frames of a source in time; returns how many.

    rate_hz: replaces the source's own pace; 0: as fast as possible. A frame that is late is sent at
    once and the pace goes on from there. clock: gives the stamps, nanoseconds; timer: seconds that
    never go back, as `wait` lets them pass.
    """
    sent = 0
    due: float | None = None
    last_ns: int | None = None
    for frame in _frames(source, loop):
        if stopped():
            break
        if source.kind != 'camera' or rate_hz is not None:
            step = _step(rate_hz, frame, last_ns, source)
            last_ns = frame.stamp_ns
            now = timer()
            due = now if due is None else max(due + step, now - step)
            while due > timer() and not stopped():
                wait(min(0.1, max(0.0, due - timer())))
        if stopped():
            break
        send(frame, clock())
        sent += 1
    return sent


def _step(rate_hz: float | None, frame: Frame, last_ns: int | None, source: Source) -> float:
    """Seconds since the frame before."""
    if rate_hz is not None:
        return 1 / rate_hz if rate_hz > 0 else 0.0
    if last_ns is None or frame.stamp_ns <= last_ns:
        # The first one, or the beginning of another round.
        return 1 / source.fps if source.fps > 0 else 1 / 30
    return (frame.stamp_ns - last_ns) * 1e-9


def _frames(source: Source, loop: bool) -> Iterator[Frame]:
    while True:
        yield from source
        if not loop or source.kind == 'camera':
            return
