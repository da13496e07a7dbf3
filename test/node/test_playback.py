# SPDX-License-Identifier: Apache-2.0
"""Frames sent in time."""

from __future__ import annotations

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


class Time:
    """Passes only while somebody waits."""

    def __init__(self) -> None:
        self.now = 100.0

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def __call__(self) -> float:
        return self.now


def test_keeps_the_pace_of_the_source() -> None:
    timer, times = Time(), []
    sent = play(
        source(6, 0.25), lambda frame, stamp: times.append(timer()), wait=timer.wait, timer=timer
    )
    assert sent == 6
    np.testing.assert_allclose(np.diff(times), 0.25)


def test_a_late_frame_goes_at_once_and_is_not_made_up_for() -> None:
    timer, times = Time(), []

    def send(frame: Frame, stamp_ns: int) -> None:
        times.append(timer())
        if len(times) == 2:
            timer.wait(1.0)

    play(source(6, 0.25), send, wait=timer.wait, timer=timer)
    np.testing.assert_allclose(np.diff(times), [0.25, 1.0, 0.0, 0.25, 0.25])


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
    timer = Time()
    sent = play(
        source(3, 100.0),
        lambda frame, stamp: None,
        stopped=lambda: timer() > 101,
        wait=timer.wait,
        timer=timer,
    )
    assert sent == 1
    assert timer() < 102
