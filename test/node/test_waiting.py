# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
import time

import pytest

from pose3d_ros.node.waiting import WaitingLine, at_once


@pytest.fixture
def errors():
    return []


@pytest.fixture
def line(errors):
    made = WaitingLine('line', time.monotonic, errors.append, limit=3)
    yield made
    assert made.stop()


def test_at_once_without_a_thread(line, errors):
    did = []
    at_once(did.append)
    line.put(did.append)
    assert did == [0.0, 0.0]
    with pytest.raises(ZeroDivisionError):
        line.put(lambda waited_s: 1 / 0)
    assert errors == []


def test_in_order_and_in_its_own_thread(line):
    did = []
    line.start()
    for k in range(20):
        line.put(lambda waited_s, k=k: did.append((k, threading.current_thread().name)))
    assert line.wait_idle(10)
    assert did == [(k, 'line') for k in range(20)]


def test_time_spent_behind_others_counts(line):
    free, waits = threading.Event(), []
    line.start()
    line.put(lambda waited_s: free.wait(10))
    line.put(waits.append)
    time.sleep(0.02)
    free.set()
    assert line.wait_idle(10)
    assert waits[0] >= 0.02


def test_memory_is_bounded(line):
    free, did = threading.Event(), []
    line.start()
    for _ in range(4):  # one at hand, three behind it
        line.put(lambda waited_s: did.append(free.wait(10)))
    late = threading.Thread(target=line.put, args=(did.append,))
    late.start()
    late.join(0.05)
    assert late.is_alive()
    free.set()
    late.join(10)
    assert line.wait_idle(10)
    assert len(did) == 5


def test_errors_end_nothing(line, errors):
    did = []
    line.start()
    line.put(lambda waited_s: 1 / 0)
    line.put(did.append)
    assert line.wait_idle(10)
    assert len(did) == 1
    assert isinstance(errors[0], ZeroDivisionError)


def test_stop_drops_what_waits(line):
    free, begun, did = threading.Event(), threading.Event(), []
    line.start()
    line.put(lambda waited_s: (begun.set(), free.wait(10)))
    line.put(did.append)
    assert begun.wait(10)
    assert not line.stop(0.01)
    free.set()
    assert line.wait_idle(10)
    assert did == []
    # It can begin anew.
    line.start()
    line.put(did.append)
    assert line.wait_idle(10)
    assert len(did) == 1
