# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
from collections import deque

import numpy as np
from support.blobs import Estimator, draw
from support.standing import standing

from pose3d_ros.people.state import PeopleState
from pose3d_ros.placement.learnt_floor import FloorMemory
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.types import Frame, TrackingState

S = 1_000_000_000
CONFIG = PipelineConfig(track_max_missed_s=0.1)
ESTIMATOR = Estimator(CONFIG)


def seen(state: PeopleState, stamp_ns: int, *people: tuple[int, int, int]):
    frame = Frame(draw(people), stamp_ns)
    return state.track(frame, ESTIMATOR.estimate([frame])[0], CONFIG)


def test_people_keep_their_filters_until_their_track_ends() -> None:
    state = PeopleState(itertools.count(1), 0)
    poses, unseen = seen(state, 0, (200, 240, 200), (450, 240, 200))
    assert unseen == []
    first = state.smoothers(poses, CONFIG)
    poses, unseen = seen(state, S // 30, (203, 240, 200))
    assert [track.id for track in unseen] == [2]
    assert state.smoothers(poses, CONFIG) == first[:1]
    assert state.end(S // 30) == ()
    state.scales[2] = 1.1
    state.bones[2] = deque([np.ones(3)])
    state.floor = FloorMemory()
    standing_pose, root = standing()
    assert state.floor.add(standing_pose.replace(track_id=2), standing_pose.xyz + root, 0)
    assert not state.floor.add(standing_pose.replace(track_id=2), standing_pose.xyz + root, 0)
    seen(state, S // 5, (203, 240, 200))
    # The frame in which the track ended may be finished later than an earlier one.
    assert state.end(S // 10) == ()
    assert state.end(S // 5) == (2,)
    assert state.scales == {}
    assert state.bones == {}
    assert state.floor.add(
        standing_pose.replace(track_id=2), standing_pose.xyz + root, 0
    )  # forgotten: at once again
    state.configure(CONFIG)
    assert state.floor is None
    assert state.end(S) == ()


def test_a_restart_ends_everybody_once() -> None:
    state = PeopleState(itertools.count(1), 0)
    seen(state, 10 * S, (200, 240, 200))
    new = state.restart(5 * S)
    assert [new.tell_restarted(), new.tell_restarted()] == [True, False]
    poses, _ = seen(new, 5 * S, (200, 240, 200))
    assert [pose.track_id for pose in poses] == [2]
    assert new.end(5 * S) == (1,)
    assert new.end(5 * S) == ()


def test_identities_that_come_with_the_poses_are_kept() -> None:
    state = PeopleState(itertools.count(1), 0)
    frame = Frame(draw([(200, 240, 200)]))
    (pose,) = ESTIMATOR.estimate([frame])[0]
    named = pose.replace(track_id=7, tracking_state=TrackingState.TRACKED)
    assert state.track(frame, [named], CONFIG) == ([named], [])
    assert not state.tracks(CONFIG)
    seen(state, 1, (200, 240, 200))
    assert state.tracks(CONFIG)
    assert not state.tracks(CONFIG.replace(tracking=False))
