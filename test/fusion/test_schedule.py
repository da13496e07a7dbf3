# SPDX-License-Identifier: Apache-2.0
"""Common times: when they are fused, and whom they wait for."""

from __future__ import annotations

from pose3d_ros.fusion.schedule import Schedule, Verdict

MS = 1_000_000
BEGIN = 5_000 * MS


def steady(schedule: Schedule, sources: str, first: int, count: int) -> list[int]:
    """Views every 40 ms of all sources; the common times that became due."""
    out = []
    for k in range(first, first + count):
        for name in sources:
            assert schedule.note(name, BEGIN + 40 * k * MS) == Verdict.TAKEN
            out += schedule.due(BEGIN + 40 * k * MS)
    return out


def test_times_are_on_a_grid_and_each_comes_once() -> None:
    times = steady(Schedule('abc', 40 * MS, 100 * MS), 'abc', 0, 20)
    assert times == [BEGIN + 40 * k * MS for k in range(20)]


def test_a_time_waits_for_the_slowest_but_no_longer_than_the_delay() -> None:
    schedule = Schedule('ab', 40 * MS, 100 * MS)
    steady(schedule, 'ab', 0, 5)
    for k in (5, 6, 7):
        schedule.note('a', BEGIN + 40 * k * MS)
    now = BEGIN + 280 * MS
    assert schedule.due(now - 1 * MS) == []
    assert schedule.due(now + 20 * MS) == [BEGIN + 200 * MS]
    schedule.note('b', BEGIN + 240 * MS)
    assert schedule.due(now + 20 * MS) == [BEGIN + 240 * MS]


def test_a_camera_that_stopped_is_not_waited_for() -> None:
    schedule = Schedule('ab', 40 * MS, 10_000 * MS)
    steady(schedule, 'ab', 0, 5)
    times = steady(schedule, 'a', 5, 40)
    assert times[-1] == BEGIN + 40 * 44 * MS


def test_old_stamps_and_those_of_another_time_are_left_out() -> None:
    schedule = Schedule('ab', 40 * MS, 100 * MS)
    steady(schedule, 'ab', 0, 5)
    assert schedule.note('a', BEGIN) == Verdict.OLD
    assert schedule.note('a', BEGIN + 10**13) == Verdict.ASTRAY
    assert steady(schedule, 'b', 5, 5)
    assert schedule.note('a', BEGIN + 10**13) == Verdict.ASTRAY


def test_when_time_jumps_for_all_it_begins_anew() -> None:
    schedule = Schedule('ab', 40 * MS, 100 * MS)
    steady(schedule, 'ab', 100, 5)
    verdicts = [schedule.note(name, BEGIN + 40 * k * MS) for k in range(8) for name in 'ab']
    assert verdicts.count(Verdict.RESTART) == 1
    assert verdicts[-1] == Verdict.TAKEN
    assert schedule.due(BEGIN + 320 * MS)
