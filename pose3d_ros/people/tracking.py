# SPDX-License-Identifier: Apache-2.0
"""Identities: the same numeric id for the same person from frame to frame."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ..types import Frame, JointStatus, Pose3D, TrackingState
from .appearance import appearance, difference

Array = NDArray[Any]

# Mean joint distance, in body sizes, over which two poses are not the same person. It grows with
# the time that somebody was not seen, up to the limit.
_GATE, _GATE_GROWTH, _GATE_LIMIT = 0.35, 0.5, 0.8
_SIZE_WEIGHT, _LOOK_WEIGHT, _ROOT_WEIGHT = 0.3, 4.0, 0.2
_LOOK_RATE, _LOOK_INTERVAL = 0.3, 5
_FAR = 1e6
_ESTABLISHED = 10  # frames after which a track is somebody for sure
_COVERING = 0.5  # of a person's size: who is smaller hides nobody
_FADING_S = 1.0


@dataclass(eq=False)
class Track:
    """A person over time.

    pose: as the estimator saw it last, with its size and centre in pixels; delivered: as it went
    out, smoothed and placed.
    speed: (2,) px/s of the body in the image. look: colours, or None.
    """

    id: int
    pose: Pose3D
    stamp_ns: int
    delivered: Pose3D | None = None
    size: float = 0.0
    centre: Array = field(default_factory=lambda: np.full(2, np.nan))
    speed: Array = field(default_factory=lambda: np.zeros(2))
    look: Array | None = None
    hits: int = 1
    missed: bool = False

    def learn(self, look: Array | None) -> None:
        """Take in how the person looks now."""
        if look is not None and self.look is not None:
            look = (1 - _LOOK_RATE) * self.look + _LOOK_RATE * look
        self.look = self.look if look is None else look

    def shift(self, stamp_ns: int) -> Array:
        """(2,) pixels that the body moved since it was seen, if it went on as it did."""
        # People who walk keep their speed for about a second.
        dt = max((stamp_ns - self.stamp_ns) * 1e-9, 0.0)
        return np.asarray(self.speed * (_FADING_S * (1.0 - math.exp(-dt / _FADING_S))))


@dataclass
class Update:
    """poses: with ids, in the order they came. unseen: tracks without a pose now. ended: ids."""

    poses: list[Pose3D]
    unseen: list[Track]
    ended: list[int]


class Tracker:
    """Optimal assignment by motion, size and clothes' colours. One per source.

    ids: shared by all trackers of a run, so that no id is used twice.
    """

    def __init__(self, ids: Iterator[int] | None = None) -> None:
        self._ids = ids if ids is not None else itertools.count(1)
        self.tracks: list[Track] = []

    def reset(self) -> list[int]:
        """End all tracks; their ids."""
        ended = [track.id for track in self.tracks]
        self.tracks = []
        return ended

    def update(self, frame: Frame, poses: Sequence[Pose3D], max_missed_s: float) -> Update:
        """Give ids to the people of a frame, which is newer than the last one."""
        sightings = _sightings(frame, poses)
        matched = self._match(frame.stamp_ns, sightings)
        _learn_speeds(matched, sightings, frame.stamp_ns)
        out: list[Pose3D] = []
        for k, sighting in enumerate(sightings):
            track = matched.get(k)
            if track is None:
                track = Track(next(self._ids), sighting.pose, frame.stamp_ns, look=sighting.look)
                self.tracks.append(track)
                state = TrackingState.NEW
            else:
                # Clothes change slowly: one look in so many is enough, of somebody in the clear;
                # not of everybody in the same frame.
                due = (track.hits + track.id) % _LOOK_INTERVAL == 0
                if due and not self._crowded(sighting, sightings, frame.stamp_ns):
                    track.learn(sighting.look)
                track.stamp_ns = frame.stamp_ns
                track.hits += 1
                state = TrackingState.TRACKED
            track.size, track.centre = sighting.size, sighting.centre
            track.pose = sighting.pose.replace(track_id=track.id, tracking_state=state)
            track.missed = False
            out.append(track.pose)
        delivered = {pose.track_id for pose in out}
        unseen, ended = [], []
        for track in self.tracks:
            if track.id in delivered:
                continue
            track.missed = True
            if (frame.stamp_ns - track.stamp_ns) * 1e-9 > max_missed_s:
                ended.append(track.id)
            else:
                unseen.append(track)
        if ended:
            self.tracks = [track for track in self.tracks if track.id not in ended]
        return Update(out, unseen, ended)

    def _match(self, stamp_ns: int, sightings: Sequence[_Sighting]) -> dict[int, Track]:
        if not sightings or not self.tracks:
            return {}
        cost = _costs(self.tracks, sightings, stamp_ns)
        possible = cost < _FAR
        alone = possible.sum(axis=0).max() <= 1 and possible.sum(axis=1).max() <= 1
        if not alone:
            for row, column in np.argwhere(possible):
                look = self.tracks[column].look
                cost[row, column] += _LOOK_WEIGHT * difference(sightings[row].look, look)
        rows, columns = linear_sum_assignment(cost)
        return {int(r): self.tracks[c] for r, c in zip(rows, columns) if cost[r, c] < _FAR}

    def _crowded(self, one: _Sighting, sightings: Sequence[_Sighting], stamp_ns: int) -> bool:
        """Whether somebody stands in front or behind, so that the colours may be theirs."""
        others = [float(other.centre[0]) for other in sightings if other is not one]
        others += [
            float(track.centre[0] + track.shift(stamp_ns)[0])
            for track in self.tracks
            if track.missed
        ]
        return any(abs(other - one.centre[0]) < 0.35 * one.size for other in others)


class _Sighting:
    """A pose of this frame, with what is only worked out when it is asked for.

    size: extent of the body in pixels, 0 if it has none. centre: (2,) mean pixel of the joints.
    """

    def __init__(self, frame: Frame, pose: Pose3D, size: float, centre: Array) -> None:
        self._image, self.pose, self.size, self.centre = frame.image, pose, size, centre

    @cached_property
    def look(self) -> Array | None:
        """Colours of the clothes."""
        return appearance(self._image, self.pose.pixels, self.pose.skeleton)


def hidden(track: Track, poses: Sequence[Pose3D], stamp_ns: int) -> bool:
    """Whether a person who is not seen now must be behind one of the people who are.

    poses: of the frame of that stamp. Only of somebody who was followed for a while: a body that
    was briefly seen twice has nobody behind it.
    """
    if track.hits < _ESTABLISHED or not track.missed:
        return False
    x, y = track.centre + track.shift(stamp_ns)
    for pose in poses:
        body = pose.pixels[np.isfinite(pose.pixels).all(axis=1)]
        if len(body) < 3 or _size(pose) < _COVERING * track.size:
            continue
        low, high = body.min(axis=0), body.max(axis=0)
        if low[0] <= x <= high[0] and low[1] <= y <= high[1]:
            return True
    return False


def predicted(track: Track, stamp_ns: int) -> Pose3D:
    """The person of a track who is not seen now, moved on by the last velocity."""
    dt = (stamp_ns - track.stamp_ns) * 1e-9
    pose = track.delivered or track.pose
    move = np.nan_to_num(pose.velocity) * dt if pose.absolute else 0.0
    present = pose.status != JointStatus.INVALID
    return pose.replace(
        xyz=pose.xyz + move,
        pixels=pose.pixels + track.shift(stamp_ns),
        status=np.where(present, JointStatus.PREDICTED, JointStatus.INVALID).astype(np.uint8),
        confidence=pose.confidence * math.exp(-dt / 0.5),
        covariance=None,
        tracking_state=TrackingState.PREDICTED,
    )


def _sightings(frame: Frame, poses: Sequence[Pose3D]) -> list[_Sighting]:
    """The poses, all of one skeleton, with their extents and centres."""
    if not poses:
        return []
    pixels = np.array([pose.pixels for pose in poses])
    centres = _means(pixels)
    return [
        _Sighting(frame, pose, _size(pose), centre)
        for pose, centre in zip(poses, centres, strict=True)
    ]


def _means(points: Array) -> Array:
    """(N, 2) of (N, J, 2) points, those that are NaN left out; NaN if all are."""
    mean = np.add.reduce(points, axis=1) / points.shape[1]
    if math.isfinite(mean.sum()):
        return np.asarray(mean)
    finite = np.isfinite(points).all(axis=2, keepdims=True)
    count = np.add.reduce(finite, axis=1)
    total = np.add.reduce(np.where(finite, points, 0.0), axis=1)
    with np.errstate(invalid='ignore'):
        return np.asarray(total / count)


def _learn_speeds(matched: dict[int, Track], sightings: Sequence[_Sighting], stamp_ns: int) -> None:
    """Take in how far the joints of tracks, by index of who is seen, moved on average."""
    if not matched:
        return
    tracks = list(matched.values())
    moved = np.array([sightings[k].pose.pixels for k in matched])
    moved -= np.array([track.pose.pixels for track in tracks])
    steps = _means(moved)
    steps[np.isnan(steps)] = 0.0
    dt = np.array([(stamp_ns - track.stamp_ns) * 1e-9 for track in tracks])[:, None]
    speeds = 0.7 * np.array([track.speed for track in tracks])
    speeds += 0.3 * steps / np.where(dt > 0, dt, np.inf)
    for track, speed in zip(tracks, speeds):
        if stamp_ns > track.stamp_ns:
            track.speed = speed


def _costs(tracks: Sequence[Track], sightings: Sequence[_Sighting], stamp_ns: int) -> Array:
    """(N, M) dissimilarity of N people seen and the expectations of M tracks; _FAR if they cannot
    be the same.
    """
    age = np.array([max((stamp_ns - track.stamp_ns) * 1e-9, 0.0) for track in tracks])
    gate = np.minimum(_GATE + _GATE_GROWTH * age, _GATE_LIMIT)
    expected = np.array([track.shift(stamp_ns) for track in tracks])
    before = np.array([track.size for track in tracks])
    size = np.array([one.size for one in sightings])
    centre = np.array([one.centre for one in sightings])
    middle = np.array([track.centre for track in tracks]) + expected
    scale = np.maximum(size[:, None], before)
    sized = (size > 0)[:, None] & (before > 0) & np.isfinite(centre[:, :1])
    # The distance of the means is never over the mean distance.
    apart = centre[:, None] - middle
    far = np.hypot(apart[..., 0], apart[..., 1]) > 1.5 * gate * scale
    cost = np.full(sized.shape, _FAR)
    row, column = np.nonzero(sized & ~far)
    if len(row):
        now = np.array([one.pose.pixels for one in sightings])
        last = np.array([track.pose.pixels for track in tracks]) + expected[:, None]
        moved = now[row] - last[column]
        distances = np.hypot(moved[..., 0], moved[..., 1])
        finite = np.isfinite(distances)
        count = np.add.reduce(finite, axis=1)
        distance = np.add.reduce(np.where(finite, distances, 0.0), axis=1) / np.maximum(count, 1)
        distance /= scale[row, column]
        same = (count > 0) & (distance <= gate[column])
        growth = np.abs(np.log(size[row] / before[column]))
        cost[row, column] = np.where(same, distance + _SIZE_WEIGHT * growth, _FAR)
    rooted = [k for k, track in enumerate(tracks) if track.pose.absolute]
    for j in rooted:
        for i, one in enumerate(sightings):
            if one.pose.absolute and (not sized[i, j] or cost[i, j] < _FAR):
                near = cost[i, j] if sized[i, j] else 0.0
                cost[i, j] = near + _root_cost(tracks[j], one, age[j], gate[j], bool(sized[i, j]))
    return cost


def _root_cost(track: Track, sighting: _Sighting, age: float, gate: float, sized: bool) -> float:
    """What the places of the roots, in metres, add; sized: pixels tell the rest."""
    pose, last = sighting.pose, track.pose
    cost = 0.0
    if not sized:
        cost = float(np.linalg.norm(pose.root - last.root))
        if not cost < 2.0 * gate:
            return _FAR
    expected = last.root + np.nan_to_num(last.velocity) * min(age, 0.5)
    far = float(np.linalg.norm(pose.root - expected))
    return cost + (_ROOT_WEIGHT * min(far, 2.0) if math.isfinite(far) else 0.0)


def _size(pose: Pose3D) -> float:
    """Extent of the body in pixels, 0 if it has none."""
    if math.isfinite(pose.size_px):
        return pose.size_px
    pixels = pose.pixels[np.isfinite(pose.pixels).all(axis=1)]
    return float(np.linalg.norm(np.ptp(pixels, axis=0))) if len(pixels) else 0.0
