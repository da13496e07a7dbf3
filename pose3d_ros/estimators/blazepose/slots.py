# SPDX-License-Identifier: Apache-2.0
"""The people that are followed in an image: regions of interest, and whom each of them shows.

A slot is a region of interest (ROI) that follows one person's landmarks from frame to frame. It
begins with somebody whom the finder saw, and counts once finder and landmarks agree on the body.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from ...detectors.search import Sighting
from ...networks import blazepose as network
from ...networks.letterbox import Detections
from ...people.appearance import appearance, difference
from ...people.filters import OneEuro, OneEuroSettings
from ...skeleton import SKELETONS
from ...types import Array, Frame

BODY = network.PUBLISHED
_SKELETON = SKELETONS['blazepose_33']
AUXILIARY_FILTER = OneEuroSettings(0.01, 10.0)
_TRUNK = [11, 12, 23, 24]
# The joints that coco_17 and blazepose_33 share, but for the face beside the nose.
_HIPS = [7, 8]  # of the joints that coco_17 and blazepose_33 share
_COCO = [0, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
_BLAZEPOSE = [0, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]
_YOUNG = 10  # frames after which a slot has proved itself
_PATIENCE = 3
_COVERED = 0.75
_LOOK_WEIGHT = 3.0
_LOOK_INTERVAL = 5
_AGREE = 0.2  # median joint distance of finder and landmarks in body sizes: the same body
_SAME = 0.3  # the same for a person who is followed already
_APART = 0.35  # over this the landmarks are somebody else's
_DRIFT = 0.12  # over this the finder's joints say better where the person is
_MIN_CONFIDENCE = 0.15
_TOGETHER_S = 0.4  # for so long two people whom one search saw apart are two
_REACH = 0.3  # of a region's side
BEHIND = 0.5  # share of the joints on the body in front, over which nobody is read behind it
_REGION = 2.5  # side of a region, in radii of the body's circle
_ABSENCES = 3  # searches in a row that do not see somebody who never was confirmed
_HISTORY = 30  # frames that a search may be late


@dataclass(eq=False)
class Slot:
    """One person being followed.

    roi: (4,) of the next frame. age: frames with landmarks. person: what the finder saw, until
    the landmarks were compared with it. confirmed: finder and landmarks have agreed. sighted_ns:
    stamp of the last search that saw the person. absences: searches in a row that did not.
    trunk, speed: (4, 2) pixels and px/s of shoulders and hips as they were. doubt: mean surprise
    of the last frames. colours: of the clothes while nobody stood close. covered: frames that it
    has lain on another body. radius: of the body's circle, pixels, unfiltered.
    """

    roi: Array
    age: int = 0
    stamp_ns: int = 0
    person: Detections | None = None
    confirmed: bool = False
    sighted_ns: int | None = None
    absences: int = 0
    trunk: Array | None = None
    speed: Array = field(default_factory=lambda: np.zeros((4, 2)))
    doubt: float = 0.0
    colours: Array | None = None
    covered: int = 0
    auxiliary: OneEuro = field(default_factory=lambda: OneEuro(AUXILIARY_FILTER))
    landmarks: Array = field(default_factory=lambda: np.zeros((network.LANDMARKS, 5)))
    world: Array = field(default_factory=lambda: np.zeros((network.LANDMARKS, 3)))
    presence: float = 0.0
    radius: float = 0.0
    history: deque[tuple[int, Array]] = field(default_factory=lambda: deque(maxlen=_HISTORY))

    def take(self, landmarks: Array, world: Array, presence: float) -> None:
        """What the landmark network read."""
        self.landmarks, self.world, self.presence = landmarks, world, presence
        (x, y), (u, v) = landmarks[[network.HIP_CENTRE, network.CIRCLE_POINT], :2].tolist()
        self.radius = math.hypot(u - x, v - y)

    def joints_at(self, stamp_ns: int) -> Array:
        """(13, 2) pixels of the joints that finders know, as they were nearest to that time."""
        if not self.history:
            return np.asarray(self.landmarks[_BLAZEPOSE, :2])
        return min(self.history, key=lambda item: abs(item[0] - stamp_ns))[1]

    @property
    def reach(self) -> float:
        """Pixels from the middle of the region within which others hide the person."""
        return _REACH * float(self.roi[2])

    def box(self) -> Array:
        """(4,) x1, y1, x2, y2 around the landmarks."""
        points = self.landmarks[:BODY, :2]
        return np.concatenate([points.min(axis=0), points.max(axis=0)])

    def expected(self) -> Array:
        """(4,) x1, y1, x2, y2 of the circle around the body where its region is."""
        centre, radius = self.roi[:2], self.roi[2] / _REGION
        return np.concatenate([centre - radius, centre + radius])

    def surprise(self, stamp_ns: int) -> float:
        """How far, in body radii, the trunk is from where its motion led, now and lately."""
        if self.trunk is None:
            return 0.0
        expected = self.trunk + self.speed * ((stamp_ns - self.stamp_ns) * 1e-9)
        miss = self.landmarks[_TRUNK, :2] - expected
        return self.doubt + float(np.hypot(miss[:, 0], miss[:, 1]).mean()) / max(self.radius, 1.0)

    def advance(self, stamp_ns: int) -> None:
        """The frame is done: next region from the filtered auxiliary landmarks."""
        if self.age and self.stamp_ns == stamp_ns:
            return
        points = self.landmarks[[network.HIP_CENTRE, network.CIRCLE_POINT], :3]
        size = 2 * self.radius
        if size > 1e-6:
            points = self.auxiliary(points, stamp_ns, 1 / size)
        self.roi = network.roi_from_points(points[0, :2], points[1, :2])
        self.history.append((stamp_ns, np.array(self.landmarks[_BLAZEPOSE, :2])))
        trunk = self.landmarks[_TRUNK, :2]
        dt = (stamp_ns - self.stamp_ns) * 1e-9
        if self.trunk is not None and dt > 0:
            self.doubt = 0.8 * self.surprise(stamp_ns)
            self.speed = 0.85 * self.speed + 0.15 * (trunk - self.trunk) / dt
        self.trunk = trunk
        self.age += 1
        self.stamp_ns = stamp_ns

    def judge(self) -> bool:
        """Compare the landmarks with whom the finder saw; whether they can be that person's."""
        person = self.person
        if person is None:
            return True
        if person.keypoints.shape[1] == 2:
            # The landmarks' own detector gives a circle only, which they would draw otherwise.
            self.confirmed, self.person = True, None
            return True
        apart = float(_distances(person, [np.asarray(self.landmarks[_BLAZEPOSE, :2])])[0, 0])
        self.confirmed = self.confirmed or apart < _AGREE
        if apart >= _APART:
            return False
        self.person = None
        return True


def newcomers(sighting: Sighting, slots: Sequence[Slot], room: int, *, in_step: bool) -> list[Slot]:
    """Slots for people of a search who are not followed yet, at most as many as there is room.

    People who are followed are confirmed, or brought back to where the finder sees them (in_step:
    the search was of the frame at hand).
    """
    people = sighting.people
    distances = _distances(people, [slot.joints_at(sighting.stamp_ns) for slot in slots])
    rows, columns = linear_sum_assignment(distances)
    followed = set()
    for row, column in zip(rows.tolist(), columns.tolist()):
        if distances[row, column] < _SAME:
            followed.add(row)
            slot = slots[column]
            slot.confirmed = slot.confirmed or bool(distances[row, column] < _AGREE)
            slot.sighted_ns, slot.absences = sighting.stamp_ns, 0
            if in_step and distances[row, column] > _DRIFT and people.keypoints.shape[1] > 2:
                slot.roi = roi_of(people, row)
                slot.auxiliary.reset()
    for slot in slots:
        if slot.sighted_ns != sighting.stamp_ns:
            slot.absences += 1
    out: list[Slot] = []
    for row in range(len(people)):
        # Two views of one body: of somebody who is followed, nobody else is found on the same spot.
        again = len(slots) > 0 and distances[row].min() < 0.5 * _AGREE
        if row in followed or again or len(out) >= room:
            continue
        roi = roi_of(people, row)
        if roi[2] > 1 and np.isfinite(roi).all():
            person = people[np.array([row])]
            out.append(
                Slot(roi, stamp_ns=sighting.stamp_ns, person=person, sighted_ns=sighting.stamp_ns)
            )
    return out


def roi_of(people: Detections, row: int) -> Array:
    """(4,) ROI of a person, by 17 joints, by hips and a point of the circle, or by the box."""
    points = people.keypoints[row]
    if len(points) == 2:
        return network.roi_from_points(points[0], points[1])
    if len(points):
        return network.roi_of_joints(points, people.confidence[row])
    return network.roi_of_box(people.boxes[row])


def _distances(people: Detections, bodies: Sequence[Array]) -> Array:
    """(N, M) of people and of bodies (13, 2): median joint distance in body sizes; by boxes where
    the finder gives no joints.
    """
    out = np.full((len(people), len(bodies)), np.inf)
    circles = people.keypoints.shape[1] == 2
    for row in range(len(people)):
        box = people.boxes[row]
        size = float((box[2:] - box[:2]).max())
        joints, counted = _joints(people, row)
        for column, body in enumerate(bodies):
            extent = max(float(np.ptp(body, axis=0).max()), size, 1.0)
            if circles:
                apart = float(np.linalg.norm(body[_HIPS].mean(axis=0) - people.keypoints[row, 0]))
            elif joints is None:
                low, high = body.min(axis=0), body.max(axis=0)
                # Of the box's sides; faces and hands are no part of the joints compared.
                apart = np.abs(np.array([*low, *high]) - box).mean()
            else:
                apart = np.median(np.linalg.norm(joints[counted] - body[counted], axis=1))
            out[row, column] = apart / extent
    return np.asarray(np.nan_to_num(out, nan=1e3, posinf=1e3))


def _joints(people: Detections, row: int) -> tuple[Array | None, Array]:
    """(13, 2) joints of a person and which count, or None if the finder gives none."""
    if people.keypoints.shape[1] != 17:
        return None, np.ones(0, bool)
    counted = people.confidence[row][_COCO] > _MIN_CONFIDENCE
    if counted.sum() < 3:
        counted[:] = True
    return people.keypoints[row][_COCO], counted


def distinct(frame: Frame, slots: Sequence[Slot], max_overlap: float) -> list[Slot]:
    """One slot per body: of two on the same one, that whose motion led there stays.

    Slots that stay are brought to the next frame.
    """
    ranked = _ranked(frame, slots)
    dropped: list[Slot] = []
    for k, slot in enumerate(ranked):
        rivals = [
            other
            for other in ranked[:k]
            if other not in dropped and not _seen_apart(slot, other, frame.stamp_ns)
        ]
        if _on_another_body(slot, rivals, max_overlap):
            dropped.append(slot)
    kept = [slot for slot in slots if slot not in dropped]
    for slot in kept:
        slot.advance(frame.stamp_ns)
        _learn_colours(frame, slot, kept)
    return kept


def _ranked(frame: Frame, slots: Sequence[Slot]) -> list[Slot]:
    """Those who are close to another one, the surest of themselves first."""
    close = [slot for slot in slots if any(_close(slot, other) for other in slots)]
    return sorted(
        close,
        key=lambda slot: (not slot.confirmed, slot.age < _YOUNG, _doubt(frame, slot)),
    )


def misled(frame: Frame, slots: Sequence[Slot], max_overlap: float) -> list[Slot]:
    """Slots that show the person of another one, who may stand in front of theirs."""
    out: list[Slot] = []
    ranked = _ranked(frame, slots)
    for k, slot in enumerate(ranked):
        rivals = [other for other in ranked[:k] if other not in out]
        if rivals and on_one_body(slot, rivals, max_overlap):
            out.append(slot)
    return out


def on_one_body(
    slot: Slot, others: Sequence[Slot], max_overlap: float, max_covered: float = _COVERED
) -> bool:
    """Whether the landmarks of a slot lie on the body of another one."""
    return any(
        network.covered(slot.landmarks, other.landmarks, other.radius) > max_covered
        or network.oks(slot.landmarks, other.landmarks, max(slot.radius, other.radius))
        > max_overlap
        for other in others
    )


def in_front(slot: Slot, others: Sequence[Slot]) -> list[Slot]:
    """Those who may hide the person whom a region is for."""
    return [
        other
        for other in others
        if math.hypot(*(other.landmarks[network.HIP_CENTRE, :2] - slot.roi[:2])) < slot.reach
    ]


def _seen_apart(slot: Slot, other: Slot, stamp_ns: int) -> bool:
    """Whether one search has just seen both as two people."""
    return (
        slot.confirmed
        and other.confirmed
        and slot.sighted_ns is not None
        and slot.sighted_ns == other.sighted_ns
        and (stamp_ns - slot.sighted_ns) * 1e-9 < _TOGETHER_S
    )


def _on_another_body(slot: Slot, rivals: Sequence[Slot], max_overlap: float) -> bool:
    """Whether a slot shows the person of another one, each of which is surer of itself."""
    young = slot.age < _YOUNG
    covered = any(
        network.covered(slot.landmarks, other.landmarks, other.radius) > _COVERED
        for other in rivals
    )
    slot.covered = slot.covered + 1 if covered else 0
    if slot.covered >= (1 if young else _PATIENCE):
        return True
    # People who pass each other look alike for a moment; one body twice, for good.
    limit = max_overlap / (3 if young else 1)
    return any(
        network.oks(slot.landmarks, other.landmarks, max(slot.radius, other.radius)) > limit
        for other in rivals
    )


def _doubt(frame: Frame, slot: Slot) -> float:
    """That a slot still shows its own person: by motion and by the colours of the clothes."""
    doubt = slot.surprise(frame.stamp_ns)
    if slot.colours is not None:
        now = appearance(frame.image, slot.landmarks[:BODY, :2], _SKELETON)
        doubt += _LOOK_WEIGHT * difference(now, slot.colours)
    return doubt


def _learn_colours(frame: Frame, slot: Slot, slots: Sequence[Slot]) -> None:
    """Learn the colours of somebody who stands alone, now and then."""
    if slot.age % _LOOK_INTERVAL != 1:
        return
    for other in slots:
        apart = math.hypot(*(slot.roi[:2] - other.roi[:2]))
        if other is not slot and apart < 0.35 * max(slot.radius, other.radius) * 2:
            return
    now = appearance(frame.image, slot.landmarks[:BODY, :2], _SKELETON)
    if now is not None:
        slot.colours = now if slot.colours is None else 0.7 * slot.colours + 0.3 * now


def doubtful(slot: Slot) -> bool:
    """Whether the finder says that nobody is in a slot: it may end."""
    return not slot.confirmed and slot.absences >= _ABSENCES


def _close(slot: Slot, other: Slot) -> bool:
    """Whether two slots may be on one body."""
    if slot is other:
        return False
    a, b = slot.landmarks[network.HIP_CENTRE], other.landmarks[network.HIP_CENTRE]
    return bool(math.hypot(a[0] - b[0], a[1] - b[1]) < 0.3 * max(slot.roi[2], other.roi[2]))
