# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading

from pose3d_ros.messages.stamped import Stamped

MS = 1_000_000


def test_an_image_finds_what_belongs_to_it() -> None:
    stamped: Stamped[int] = Stamped()
    assert stamped.of(0, 500 * MS) is None
    for k in range(4):
        stamped.add(k * 100 * MS, k)
    assert stamped.of(200 * MS, 500 * MS) == 2
    assert stamped.of(260 * MS, 500 * MS) == 3
    assert stamped.of(700 * MS, 500 * MS) == 3
    assert stamped.matched
    assert stamped.of(900 * MS, 500 * MS) is None
    assert not stamped.matched
    # No tolerance: only the very stamp.
    assert stamped.of(300 * MS, 0) == 3
    assert stamped.of(301 * MS, 0) is None
    assert (stamped.received, stamped.exact, stamped.near, stamped.missing) == (4, 2, 2, 3)


def test_time_that_goes_backwards() -> None:
    stamped: Stamped[str] = Stamped()
    stamped.add(100_000 * MS, 'before')
    stamped.add(99_900 * MS, 'late')  # only out of order
    assert stamped.of(100_000 * MS, 0) == 'before'
    stamped.add(1_000 * MS, 'after')
    assert stamped.of(100_000 * MS, 10_000 * MS) is None
    assert stamped.of(1_000 * MS, 0) == 'after'
    stamped.clear()
    assert stamped.of(1_000 * MS, 0) is None


def test_it_waits_for_the_image_s_own() -> None:
    stamped: Stamped[str] = Stamped()
    stamped.add(0, 'old')

    def others(*items: tuple[int, str]) -> threading.Timer:
        timer = threading.Timer(0.05, lambda: [stamped.add(*item) for item in items])
        timer.start()
        return timer

    timer = others((10 * MS, 'own'))
    stamped.wait(10 * MS, 30.0)
    assert stamped.of(10 * MS, 50 * MS) == 'own'
    timer.join()
    # A later one shows that the own one is lost.
    timer = others((40 * MS, 'later'))
    stamped.wait(20 * MS, 3600.0)
    assert stamped.of(20 * MS, 50 * MS) == 'own'
    timer.join()
    stamped.wait(60 * MS, 0.01)
    assert stamped.of(60 * MS, 50 * MS) == 'later'
    assert stamped.waited_s >= 0.01
