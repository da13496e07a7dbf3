# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from pose3d_ros.node.monitor import GapCounter, Throttle, Window


def test_rate_of_a_steady_stream():
    window = Window(5.0)
    for k in range(100):
        window.add(k * 0.1)
        if k > 1:
            assert window.rate(k * 0.1) == pytest.approx(10, rel=0.05)


def test_rate_falls_when_nothing_comes():
    window = Window(5.0)
    for k in range(100):
        window.add(k * 0.1)
    assert window.rate(12.4) == pytest.approx(5, rel=0.1)
    assert window.rate(20.0) == 0


def test_nothing_yet():
    window = Window()
    assert window.rate(0.0) == 0
    assert window.mean_and_p95(0.0) is None
    window.add(1.0, 5.0)
    assert window.rate(1.0) == 0
    assert window.mean_and_p95(1.0) == (5.0, 5.0)


def test_mean_and_percentile_of_the_last_seconds():
    window = Window(10.0)
    window.add(0.0, 1e9)
    for k in range(101):
        window.add(20.0, float(k))
    assert window.mean_and_p95(20.0) == (50.0, 95.0)


def test_throttle():
    now = [0.0]
    throttle = Throttle(5.0, clock=lambda: now[0])
    assert throttle('a')
    assert not throttle('a')
    assert throttle('b')
    now[0] = 5.1
    assert throttle('a')


def test_throttle_forgets():
    throttle = Throttle()
    for k in range(1000):
        assert throttle(str(k))
    assert len(throttle._last) <= 101


def missing(stamps):
    counter = GapCounter()
    for stamp in stamps:
        counter.add(round(stamp * 1e9))
    return counter.missing


def test_gaps_of_a_steady_stream():
    stamps = [100 + k / 30 for k in range(300)]
    assert missing(stamps) == 0
    assert missing([s for k, s in enumerate(stamps) if k not in (50, 100, 101, 200)]) == 4


def test_gaps_with_jitter():
    jitter = [0.0015 * (k * 7 % 5 - 2) for k in range(300)]
    stamps = [100 + k / 30 + jitter[k] for k in range(300)]
    assert missing(stamps) == 0
    assert missing([s for k, s in enumerate(stamps) if k != 100]) == 1


def test_pauses_and_backward_stamps_are_no_gaps():
    stamps = [100 + k / 30 for k in range(60)]
    assert missing(stamps + [s + 60 for s in stamps]) == 0
    assert missing(stamps + stamps) == 0


def test_no_steady_rate():
    assert missing([100 + k * k * 0.01 for k in range(100)]) == 0
