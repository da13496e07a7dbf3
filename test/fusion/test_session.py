# SPDX-License-Identifier: Apache-2.0
"""Views as they come, with what goes wrong said once."""

from __future__ import annotations

import numpy as np
import pytest

from pose3d_ros.errors import ConfigError
from pose3d_ros.fusion.session import FusionSession
from pose3d_ros.settings.fusion import FusionConfig
from pose3d_ros.tools.rig import SKELETON, Detector, around, walkers
from pose3d_ros.types import convert

S = 1_000_000_000


def play(session: FusionSession, first=0, count=30, jump_ns=0, change=lambda name, people: people):
    rng = np.random.default_rng(1)
    rig = around(len(session.cameras))
    detectors = [Detector(placed, 2, rng) for placed in rig]
    out = []
    for frame in range(first, first + count):
        stamp_s = frame / 30
        world = walkers(2, np.array([stamp_s]))[0]
        for name, placed, detector in zip(session.cameras, rig, detectors):
            people = change(name, detector.people(world, stamp_s))
            stamp_ns = 10 * S + round(stamp_s * S) + jump_ns
            session.add(placed.view(name, stamp_ns, people))
            out += session.due(stamp_ns)
    return out


@pytest.fixture
def said() -> list[str]:
    return []


def make(said: list[str], cameras=('left', 'right', 'back'), **settings) -> FusionSession:
    return FusionSession(cameras, FusionConfig(**settings), said.append)


def test_results_come_at_the_rate_that_is_set(said: list[str]) -> None:
    results = play(make(said, fusion_rate_hz=10.0), count=60)
    assert len(results) in (19, 20)
    assert len(results[-1].people) == 2
    assert said == []


def test_cameras_may_have_different_conventions(said: list[str]) -> None:
    from pose3d_ros.skeleton import SKELETONS

    def change(name, people):
        other = SKELETONS['coco_17']
        return [convert(p, other) for p in people] if name == 'right' else people

    session = make(said)
    results = play(session, change=change)
    assert session.skeleton is SKELETON
    knee = SKELETON.index('left_knee')
    assert int(results[-1].people[0].cameras[knee]) & 0b010
    assert len(results[-1].people) == 2
    assert said == []


def test_people_of_nan_are_left_out_and_the_others_go_on(said: list[str]) -> None:
    def change(name, people):
        if name != 'right':
            return people
        return [p.replace(pixels=np.full_like(p.pixels, np.nan)) for p in people]

    results = play(make(said), change=change)
    people = results[-1].people
    assert len(people) == 2
    assert all(int(np.bitwise_or.reduce(p.cameras)) == 0b101 for p in people)


def test_a_jump_of_time_is_said_once_and_ends_all_ids(said: list[str]) -> None:
    session = make(said)
    play(session, count=15)
    results = play(session, count=30, jump_ns=-9 * S)
    assert {number for result in results for number in result.ended} >= {1, 2}
    assert len(results[-1].people) == 2
    assert [line for line in said if 'jumped' in line] == [
        'time jumped for all cameras: people are forgotten'
    ]
    assert len(said) == len(set(said)) <= 4


def test_cameras_without_a_common_view_are_named_and_their_people_go_on(said: list[str]) -> None:
    rng = np.random.default_rng(0)
    session = make(said, cameras=('left', 'right'))
    (placed,) = around(1)
    detectors = [Detector(placed, 1, rng) for _ in range(2)]
    results = []
    for frame in range(60):
        world = walkers(1, np.array([frame / 30]))[0]
        for k, name in enumerate(session.cameras):
            view = placed.view(name, S + frame * S // 30, detectors[k].people(world, frame / 30))
            # The second room is 20 m away.
            object.__setattr__(view, 't', view.t + np.array([20.0 * k, 0, 0]))
            session.add(view)
        results += session.due(S + frame * S // 30)
    assert len(results[-1].people) == 2
    assert sum('no common view' in line for line in said) == 2


@pytest.mark.parametrize(
    ('cameras', 'words'),
    [(['a'], 'two cameras or more'), (['a', 'b', 'a'], 'names of their own: a'),
     ([str(k) for k in range(33)], '32 cameras at most')],
)  # fmt: skip
def test_what_cannot_be_fused_is_refused(cameras, words) -> None:
    with pytest.raises(ConfigError, match=words):
        FusionSession(cameras, FusionConfig(), print)
