# SPDX-License-Identifier: Apache-2.0
"""Identities: the same numeric id for the same person from frame to frame."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from .appearance import appearance, difference
from .types import Frame, JointStatus, Pose3D, TrackingState

Array = NDArray[Any]

# Mean joint distance, in body sizes, over which two poses are not the same person. It grows with
# the time that somebody was not seen, up to the limit.
_GATE, _GATE_GROWTH, _GATE_LIMIT = 0.35, 0.5, 0.8
_SIZE_WEIGHT, _LOOK_WEIGHT, _ROOT_WEIGHT = 0.3, 4.0, 0.2
_LOOK_RATE = 0.1
_FAR = 1e6


@dataclass(eq=False)
class Track:
    """A person over time.

    pose: as the estimator saw it last; delivered: as it went out, smoothed and placed.
    speed: (2,) px/s of the body in the image. look: colours, or None.
    """

    id: int
    pose: Pose3D
    stamp_ns: int
    delivered: Pose3D | None = None
    speed: Array = field(default_factory=lambda: np.zeros(2))
    look: Array | None = None
    hits: int = 1
    missed: bool = False

    def shift(self, stamp_ns: int) -> Array:
        """(2,) pixels that the body moved since it was seen, if it went on as it did."""
        # Nobody keeps a speed for long; the pull of the last one fades within half a second.
        dt = max((stamp_ns - self.stamp_ns) * 1e-9, 0.0)
        return np.asarray(self.speed * (0.5 * (1.0 - math.exp(-dt / 0.5))))


@dataclass
class Update:
    """poses: with ids, in the order they came. missing: tracks unseen now. lost: ended ids."""

    poses: list[Pose3D]
    missing: list[Track]
    lost: list[int]


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
        several = len(poses) > 1 or len(self.tracks) > 1 or any(t.missed for t in self.tracks)
        looks = [
            appearance(frame.image, pose.pixels, pose.skeleton)
            if several or not self.tracks
            else None
            for pose in poses
        ]
        matched = self._match(frame, poses, looks)
        out: list[Pose3D] = []
        for k, (pose, look) in enumerate(zip(poses, looks)):
            track = matched.get(k)
            if track is None:
                track = Track(next(self._ids), pose, frame.stamp_ns, look=look)
                self.tracks.append(track)
                state = TrackingState.NEW
            else:
                clear = not self._crowded(pose, poses, frame.stamp_ns)
                _follow(track, pose, frame.stamp_ns, look if clear else None)
                state = TrackingState.TRACKED
            track.pose = pose.replace(track_id=track.id, tracking_state=state)
            track.missed = False
            out.append(track.pose)
        seen = {pose.track_id for pose in out}
        missing, lost = [], []
        for track in self.tracks:
            if track.id in seen:
                continue
            track.missed = True
            if (frame.stamp_ns - track.stamp_ns) * 1e-9 > max_missed_s:
                lost.append(track.id)
            else:
                missing.append(track)
        if lost:
            self.tracks = [track for track in self.tracks if track.id not in lost]
        return Update(out, missing, lost)

    def _match(
        self, frame: Frame, poses: Sequence[Pose3D], looks: Sequence[Array | None]
    ) -> dict[int, Track]:
        if not poses or not self.tracks:
            return {}
        cost = np.full((len(poses), len(self.tracks)), _FAR)
        for row, (pose, look) in enumerate(zip(poses, looks)):
            for column, track in enumerate(self.tracks):
                cost[row, column] = _cost(track, pose, look, frame.stamp_ns)
        rows, columns = linear_sum_assignment(cost)
        return {int(r): self.tracks[c] for r, c in zip(rows, columns) if cost[r, c] < _FAR}

    def _crowded(self, pose: Pose3D, poses: Sequence[Pose3D], stamp_ns: int) -> bool:
        """Whether somebody stands in front or behind, so that the colours may be theirs."""
        others = [_middle(other) for other in poses if other is not pose]
        others += [
            _middle(track.pose) + float(track.shift(stamp_ns)[0])
            for track in self.tracks
            if track.missed
        ]
        near, middle = 0.35 * _size(pose), _middle(pose)
        return any(abs(other - middle) < near for other in others)


def predicted(track: Track, stamp_ns: int) -> Pose3D:
    """The person of a track who is not seen now, moved on by the last velocity."""
    dt = (stamp_ns - track.stamp_ns) * 1e-9
    pose = track.delivered or track.pose
    move = np.nan_to_num(pose.velocity) * dt if pose.absolute else 0.0
    known = pose.status != JointStatus.INVALID
    return pose.replace(
        xyz=pose.xyz + move,
        pixels=pose.pixels + track.shift(stamp_ns),
        status=np.where(known, JointStatus.PREDICTED, JointStatus.INVALID).astype(np.uint8),
        confidence=pose.confidence * math.exp(-dt / 0.5),
        covariance=None,
        tracking_state=TrackingState.PREDICTED,
    )


def _follow(track: Track, pose: Pose3D, stamp_ns: int, look: Array | None) -> None:
    dt = (stamp_ns - track.stamp_ns) * 1e-9
    if dt > 0:
        moved = np.nanmean(pose.pixels - track.pose.pixels, axis=0) if _paired(track, pose) else 0.0
        track.speed = 0.7 * track.speed + 0.3 * (moved / dt)
    if look is not None:
        track.look = (
            look if track.look is None else (1 - _LOOK_RATE) * track.look + _LOOK_RATE * look
        )
    track.stamp_ns = stamp_ns
    track.hits += 1


def _paired(track: Track, pose: Pose3D) -> bool:
    return bool(np.isfinite(pose.pixels - track.pose.pixels).any())


def _cost(track: Track, pose: Pose3D, look: Array | None, stamp_ns: int) -> float:
    """Dissimilarity of a pose and a track's expectation; _FAR if they cannot be the same."""
    age = (stamp_ns - track.stamp_ns) * 1e-9
    gate = min(_GATE + _GATE_GROWTH * max(age, 0.0), _GATE_LIMIT)
    size = _size(pose)
    before = _size(track.pose)
    cost = 0.0
    if _paired(track, pose) and size > 0 and before > 0:
        apart = pose.pixels - track.pose.pixels - track.shift(stamp_ns)
        distance = float(np.nanmean(np.hypot(apart[:, 0], apart[:, 1]))) / max(size, before)
        if distance > gate:
            return _FAR
        cost += distance + _SIZE_WEIGHT * abs(math.log(size / before))
    elif pose.absolute and track.pose.absolute:
        distance = float(np.linalg.norm(pose.root - track.pose.root))
        if not distance < 2.0 * gate:
            return _FAR
        cost += distance
    else:
        return _FAR
    if pose.absolute and track.pose.absolute:
        expected = track.pose.root + np.nan_to_num(track.pose.velocity) * min(max(age, 0.0), 0.5)
        far = float(np.linalg.norm(pose.root - expected))
        cost += _ROOT_WEIGHT * min(far, 2.0) if math.isfinite(far) else 0.0
    return cost + _LOOK_WEIGHT * difference(look, track.look)


def _size(pose: Pose3D) -> float:
    """Extent of the body in pixels."""
    if math.isfinite(pose.size_px):
        return pose.size_px
    seen = pose.pixels[np.isfinite(pose.pixels).all(axis=1)]
    return float(np.linalg.norm(np.ptp(seen, axis=0))) if len(seen) else 0.0


def _middle(pose: Pose3D) -> float:
    """Mean column of the joints, NaN if they have no pixels."""
    columns = pose.pixels[:, 0]
    columns = columns[np.isfinite(columns)]
    return float(columns.mean()) if len(columns) else math.nan
