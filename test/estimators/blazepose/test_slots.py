# SPDX-License-Identifier: Apache-2.0
"""Who is followed, who is new, and which of two slots on one body stays."""

from __future__ import annotations

import numpy as np
import pytest

from pose3d_ros.detectors.search import Sighting
from pose3d_ros.estimators.blazepose.slots import (
    Slot,
    distinct,
    doubtful,
    in_front,
    misled,
    newcomers,
    on_one_body,
    roi_of,
)
from pose3d_ros.networks import blazepose as network
from pose3d_ros.networks.letterbox import Detections
from pose3d_ros.types import Frame

TICK_NS = 33_333_333
IMAGE = np.full((480, 640, 3), 90, np.uint8)
# coco_17 of a person 300 pixels high whose hips are at 0, 0.
BODY = np.array(
    [(0, -130), (5, -135), (-5, -135), (10, -132), (-10, -132), (30, -95), (-30, -95), (45, -45),
     (-45, -45), (50, 0), (-50, 0), (18, 0), (-18, 0), (20, 75), (-20, 75), (20, 150), (-20, 150)],
    float,
)  # fmt: skip
COCO = [0, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
BLAZEPOSE = [0, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]


def people(*places: tuple[float, float], turn: float = 0.0) -> Detections:
    c, s = np.cos(turn), np.sin(turn)
    keypoints = np.array([BODY @ np.array([[c, s], [-s, c]]) + p for p in places])
    keypoints = keypoints.reshape(-1, 17, 2)
    boxes = np.concatenate([keypoints.min(axis=1), keypoints.max(axis=1)], axis=1)
    return Detections(boxes, np.full(len(boxes), 0.6), keypoints, np.ones((len(boxes), 17)))


def slot(place: tuple[float, float], **fields: object) -> Slot:
    """A slot whose landmarks show a body there."""
    landmarks = np.zeros((network.LANDMARKS, 5))
    landmarks[:, :2] = place
    landmarks[BLAZEPOSE, :2] += BODY[COCO]
    landmarks[network.CIRCLE_POINT, 1] -= 175
    out = Slot(np.array([*place, 437.0, 0.0]), **fields)  # type: ignore[arg-type]
    out.take(landmarks, np.zeros((network.LANDMARKS, 3)), 0.99)
    return out


def sighting(found: Detections, tick: int = 0) -> Sighting:
    return Sighting(tick * TICK_NS, found, ())


@pytest.mark.parametrize('turn', [0.0, 0.5, np.pi, -np.pi / 2])
def test_a_region_fits_the_body_however_it_lies(turn: float) -> None:
    centre_x, centre_y, size, rotation = roi_of(people((300, 200), turn=turn), 0)
    assert (centre_x, centre_y) == pytest.approx((300, 200))
    assert np.cos(rotation - turn) == pytest.approx(1)
    # The circle around the whole body, and a quarter more.
    assert size == pytest.approx(2.5 * 1.15 * np.hypot(20, 150), rel=0.01)


def test_somebody_new_gets_a_slot_and_somebody_followed_none() -> None:
    old = slot((100, 200), age=20)
    new = newcomers(sighting(people((110, 205), (400, 200))), [old], 5, in_step=True)
    assert [round(one.roi[0]) for one in new] == [400]
    assert old.confirmed
    assert not new[0].confirmed
    assert newcomers(sighting(people((110, 205), (400, 200))), [old], 0, in_step=True) == []


def test_drift_is_corrected_in_step_only() -> None:
    for in_step, expected in ((True, 150), (False, 100)):
        drifted = slot((100, 200), age=20)
        assert newcomers(sighting(people((150, 200))), [drifted], 5, in_step=in_step) == []
        assert drifted.roi[0] == pytest.approx(expected)


def test_a_late_search_is_compared_with_where_people_were() -> None:
    walker = slot((100, 200), age=20)
    for tick in range(10):
        walker.landmarks[:, 0] += 20
        walker.advance(tick * TICK_NS)
    assert newcomers(sighting(people((120, 200)), 0), [walker], 5, in_step=False) == []
    assert len(newcomers(sighting(people((120, 200)), 9), [walker], 5, in_step=False)) == 1


def test_finder_and_landmarks_must_agree() -> None:
    one = newcomers(sighting(people((300, 200))), [], 5, in_step=True)[0]
    one.take(slot((310, 200)).landmarks, one.world, 0.9)
    assert one.judge()
    assert one.confirmed
    other = newcomers(sighting(people((300, 200))), [], 5, in_step=True)[0]
    other.take(slot((500, 200)).landmarks, other.world, 0.9)
    assert not other.judge()
    between = newcomers(sighting(people((300, 200))), [], 5, in_step=True)[0]
    between.take(slot((375, 200)).landmarks, between.world, 0.9)
    assert between.judge()
    assert not between.confirmed
    for tick in range(3):
        assert not doubtful(between)
        newcomers(sighting(people(), tick + 1), [between], 5, in_step=True)
    assert doubtful(between)


def test_one_body_keeps_one_slot_and_two_seen_apart_keep_two() -> None:
    frame = Frame(IMAGE, stamp_ns=5 * TICK_NS)
    old, copy = slot((300, 200), age=20, confirmed=True), slot((303, 200), age=20, confirmed=True)
    assert distinct(frame, [old, copy], 0.9) == [old]
    left, right = (slot((x, 200), age=20, confirmed=True) for x in (300, 303))
    for one in (left, right):
        one.sighted_ns = 4 * TICK_NS
    assert distinct(frame, [left, right], 0.9) == [left, right]


def test_the_less_sure_of_two_on_one_body_is_misled() -> None:
    frame = Frame(IMAGE)
    front, other = slot((200, 200), age=20, confirmed=True), slot((420, 200), age=20)
    behind = slot((205, 202), age=20)
    assert on_one_body(behind, [other, front], 0.9)
    assert not on_one_body(other, [behind, front], 0.9)
    assert misled(frame, [front, behind, other], 0.9) == [behind]
    assert in_front(behind, [front, other]) == [front]


def test_the_region_says_where_somebody_was() -> None:
    lost = slot((200, 200))
    lost.landmarks[:, :2] += 100
    box = lost.expected()
    assert ((box[:2] + box[2:]) / 2).tolist() == [200, 200]
    assert box[3] - box[1] == pytest.approx(350, rel=0.01)


@pytest.mark.parametrize('turn', [0.0, 1.2])
def test_a_body_is_painted_over_and_nothing_else(turn: float) -> None:
    image = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    body = slot((260, 240))
    roi = np.array([300.0, 240.0, 400.0, turn])
    plain = network.crop(image, roi)
    painted = plain.copy()
    network.paint_over(painted, roi, body.landmarks, body.radius)
    # The same for the image: a white body on black, seen through the same region.
    drawn = np.zeros_like(image)
    for x, y in body.landmarks[network.OKS_JOINTS, :2].astype(int).tolist():
        drawn[y - 2 : y + 3, x - 2 : x + 3] = 255
    joints = network.crop(drawn, roi).min(axis=2) == 255
    changed = (painted != plain).any(axis=2)
    assert joints.sum() > 20
    assert changed[joints].mean() > 0.95
    assert 0.05 < changed.mean() < 0.4
    assert np.ptp(painted[changed], axis=0).max() == 0


def test_boxes_alone_begin_slots_too() -> None:
    found = people((300, 200))
    boxes = Detections(found.boxes, found.scores, found.keypoints[:, :0], found.confidence[:, :0])
    one = newcomers(sighting(boxes), [], 5, in_step=True)[0]
    assert one.roi[3] == 0
    assert one.roi[2] == pytest.approx(2.5 * 0.55 * 285)
    one.take(slot((302, 205)).landmarks, one.world, 0.9)
    assert one.judge()
    assert one.confirmed
