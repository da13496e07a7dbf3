# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from pose3d_ros import timing
from pose3d_ros.timing import StageTimer


def test_stages_add_up_and_pauses_count_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([1.0, 1.5, 3.0, 10.0, 10.25, 20.0, 20.5])
    monkeypatch.setattr(timing.time, 'perf_counter', lambda: next(times))
    timer = StageTimer()
    timer.start('first', 'second', 'third')
    timer.end('first')
    timer.end('second')
    timer.resume()
    timer.end('first')
    last = timer.milliseconds
    assert last == {'first': 750.0, 'second': 1500.0, 'third': 0.0}
    timer.start()
    timer.end('first')
    assert timer.milliseconds == {'first': 500.0}
    assert last['first'] == 750.0
