# SPDX-License-Identifier: Apache-2.0
"""Frames sent in time."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from pose3d_ros.node.playback import play
from pose3d_ros.sources import Source
from pose3d_ros.types import Frame


def source(count: int, step_s: float) -> Source:
    def frames(_: Source) -> Iterator[Frame]:
        for k in range(count):
            yield Frame(np.full((2, 2, 3), k, np.uint8), round(k * step_s * 1e9))

    return Source('clip', 'video', 1 / step_s, count, False, frames)


def test_keeps_the_pace_of_the_source() -> None:
    times: list[float] = []
    sent = play(source(6, 0.02), lambda frame, stamp: times.append(time.monotonic()))
    assert sent == 6
    assert times[-1] - times[0] >= 5 * 0.02 - 0.002


def test_another_rate_the_clock_and_the_order() -> None:
    got: list[tuple[int, int]] = []
    ticks = iter(range(100, 200))
    play(
        source(4, 10.0),
        lambda frame, stamp: got.append((int(frame.image[0, 0, 0]), stamp)),
        rate_hz=0,
        clock=lambda: next(ticks),
    )
    assert got == [(0, 100), (1, 101), (2, 102), (3, 103)]


def test_loops_until_it_is_stopped() -> None:
    got: list[int] = []
    play(
        source(3, 1.0),
        lambda frame, stamp: got.append(int(frame.image[0, 0, 0])),
        rate_hz=0,
        loop=True,
        stopped=lambda: len(got) == 7,
    )
    assert got == [0, 1, 2, 0, 1, 2, 0]


def test_a_wait_ends_when_it_is_stopped() -> None:
    waits: list[float] = []
    begin = time.monotonic()
    sent = play(
        source(3, 100.0),
        lambda frame, stamp: None,
        stopped=lambda: len(waits) > 1,
        wait=waits.append,
    )
    assert sent == 1
    assert time.monotonic() - begin < 5
