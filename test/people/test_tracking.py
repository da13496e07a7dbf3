# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from pose3d_ros.people.tracking import Tracker, predicted
from pose3d_ros.skeleton import SKELETONS
from pose3d_ros.types import Frame, JointStatus, Pose3D, PositionSource, TrackingState

COCO = SKELETONS['coco_17']
BODY = np.random.default_rng(0).uniform((-30, -100), (30, 100), (17, 2))
# Shoulders, hips and knees where they belong, so that there are clothes to see.
BODY[[5, 6, 11, 12, 13, 14]] = (20, -60), (-20, -60), (14, 0), (-14, 0), (14, 50), (-14, 50)
TICK = 33_333_333


def person(x: float, y: float = 240, **changes: object) -> Pose3D:
    pose = Pose3D(
        skeleton=COCO,
        xyz=np.zeros((17, 3)),
        confidence=np.ones(17),
        pixels=BODY + np.array([x, y]),
        status=np.full(17, JointStatus.MEASURED, np.uint8),
        size_px=200.0,
    )
    return pose.replace(**changes)


def frame(k: int, *people: tuple[float, tuple[int, int, int]]) -> Frame:
    """A grey picture with painted people."""
    image = np.full((480, 640, 3), 120, np.uint8)
    for x, colour in people:
        image[140:340, max(int(x) - 25, 0) : int(x) + 25] = colour
    return Frame(image, stamp_ns=k * TICK)


RED, BLUE = (30, 30, 220), (220, 60, 20)


def test_ids_begin_at_one_and_last() -> None:
    tracker = Tracker()
    for k in range(10):
        update = tracker.update(frame(k), [person(100 + 3 * k), person(500 - 3 * k)], 1.0)
        assert [pose.track_id for pose in update.poses] == [1, 2]
        state = TrackingState.NEW if k == 0 else TrackingState.TRACKED
        assert all(pose.tracking_state == state for pose in update.poses)


def test_order_of_detections_does_not_matter() -> None:
    tracker = Tracker()
    tracker.update(frame(0), [person(100), person(500)], 1.0)
    update = tracker.update(frame(1), [person(500), person(100)], 1.0)
    assert [pose.track_id for pose in update.poses] == [2, 1]


def test_crossing_by_motion() -> None:
    tracker = Tracker()
    for k in range(41):
        a, b = 150 + 8 * k, 474 - 8 * k
        update = tracker.update(frame(k), [person(a), person(b)], 1.0)
        assert [pose.track_id for pose in update.poses] == [1, 2]


def test_clothes_tell_who_came_back() -> None:
    """Both vanish behind something and come out on the other's side."""
    tracker = Tracker()
    for k in range(10):
        tracker.update(frame(k, (250, RED), (390, BLUE)), [person(250), person(390)], 1.0)
    for k in range(10, 25):
        assert tracker.update(frame(k), [], 1.0).ended == []
    back = tracker.update(frame(25, (300, BLUE), (340, RED)), [person(300), person(340)], 1.0)
    assert [pose.track_id for pose in back.poses] == [2, 1]


def test_tracks_survive_and_end() -> None:
    tracker = Tracker()
    tracker.update(frame(0), [person(100)], 0.2)
    assert tracker.update(frame(5), [], 0.2).ended == []
    update = tracker.update(frame(6), [person(105)], 0.2)
    assert update.poses[0].track_id == 1
    assert tracker.update(frame(20), [], 0.2).ended == [1]
    assert tracker.tracks == []
    assert tracker.update(frame(21), [person(105)], 0.2).poses[0].track_id == 2


def test_who_is_far_is_new() -> None:
    tracker = Tracker()
    tracker.update(frame(0), [person(100)], 1.0)
    assert tracker.update(frame(1), [person(500)], 1.0).poses[0].track_id == 2


def test_poses_without_pixels_go_by_position() -> None:
    nowhere = np.full((17, 2), np.nan)

    def at(x: float) -> Pose3D:
        source = PositionSource.METRIC
        return person(0, pixels=nowhere, xyz=np.full((17, 3), x), position_source=source)

    tracker = Tracker()
    tracker.update(frame(0), [at(1.0), at(4.0)], 1.0)
    update = tracker.update(frame(1), [at(4.05), at(1.05)], 1.0)
    assert [pose.track_id for pose in update.poses] == [2, 1]


def test_a_thousand_people_have_a_thousand_ids() -> None:
    tracker = Tracker()
    seen = set()
    for k in range(500):
        poses = [person(100), person(500)] if k % 2 == 0 else []
        seen.update(p.track_id for p in tracker.update(frame(40 * k), poses, 0.5).poses)
    assert len(seen) == 500


def test_prediction_goes_on_and_says_so() -> None:
    tracker = Tracker()
    for k in range(10):
        pose = person(100 + 10 * k, velocity=np.array([1.0, 0, 0]))
        tracker.update(frame(k), [pose.replace(position_source=PositionSource.METRIC)], 1.0)
    update = tracker.update(frame(12), [], 1.0)
    found = predicted(update.unseen[0], 12 * TICK)
    assert found.tracking_state == TrackingState.PREDICTED
    assert (found.status == JointStatus.PREDICTED).all()
    assert found.pixels[0, 0] > BODY[0, 0] + 190
    assert found.xyz[0, 0] == pytest.approx(0.1, abs=0.01)
    assert (found.confidence < 1).all()


def test_reset_ends_all() -> None:
    tracker = Tracker()
    tracker.update(frame(0), [person(100), person(500)], 1.0)
    assert tracker.reset() == [1, 2]
    assert tracker.update(frame(1), [person(100)], 1.0).poses[0].track_id == 3
