# SPDX-License-Identifier: Apache-2.0
"""What is remembered of the people in front of one camera, from frame to frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..settings.pipeline import PipelineConfig
from ..types import Array, Frame, Pose3D, TrackingState
from .smoothing import PoseSmoother
from .tracking import Track, Tracker


@dataclass(eq=False)
class PeopleState:
    """Tracks, and the filters of each.

    stamp_ns: of the newest frame. restarted: this state replaces one of another time, which no
    result has said yet.
    """

    ids: Iterator[int]
    stamp_ns: int
    restarted: bool = False
    scales: dict[int, float] = field(default_factory=dict)
    """Body sizes by depth images, see placement.body_scale."""
    bones: dict[int, deque[Array]] = field(default_factory=dict)
    """Lengths of bones in the last frames, see placement.body."""
    sizes: dict[int, Any] = field(default_factory=dict)
    """What is learnt of sizes, see placement.size."""
    floor: Any = None
    """What is learnt of the floor, see placement.learnt_floor."""

    def __post_init__(self) -> None:
        self._tracker = Tracker(self.ids)
        self._smoothers: dict[int, PoseSmoother] = {}
        self._ending: list[tuple[int, int]] = []
        """Stamps and ids of tracks that ended; an estimator may still hold poses of them back."""
        self._identified = False
        """Whether the estimator's poses come with identities."""

    def restart(self, stamp_ns: int) -> PeopleState:
        """A new state, in which all tracks end with the first frame."""
        new = PeopleState(self.ids, stamp_ns, restarted=True)
        ended = [*(number for _, number in self._ending), *self._tracker.reset()]
        new._ending = [(stamp_ns, number) for number in ended]
        return new

    def track(
        self, frame: Frame, poses: list[Pose3D], config: PipelineConfig
    ) -> tuple[list[Pose3D], list[Track]]:
        """The people of a new frame with ids, and the tracks that are not seen in it."""
        self._identified = any(pose.tracking_state != TrackingState.UNTRACKED for pose in poses)
        if not self.tracks(config):
            return poses, []
        update = self._tracker.update(frame, poses, config.track_max_missed_s)
        self._ending += [(frame.stamp_ns, ended) for ended in update.ended]
        return update.poses, update.unseen

    def tracks(self, config: PipelineConfig) -> bool:
        """Whether ids are this package's own."""
        return config.tracking and not self._identified

    def smoothers(self, poses: Sequence[Pose3D], config: PipelineConfig) -> list[PoseSmoother]:
        """The filters of tracked people."""
        for pose in poses:
            if pose.track_id not in self._smoothers:
                self._smoothers[pose.track_id] = PoseSmoother(config)
        return [self._smoothers[pose.track_id] for pose in poses]

    def delivered(self, poses: Sequence[Pose3D]) -> None:
        """Take in the people of a frame as they go out, smoothed and placed."""
        by_id = {pose.track_id: pose for pose in poses}
        for track in self._tracker.tracks:
            track.delivered = by_id.get(track.id, track.delivered)

    def end(self, stamp_ns: int) -> tuple[int, ...]:
        """Ids of which no more poses come once the frame of that stamp is finished; forget them."""
        ended = tuple(number for stamp, number in self._ending if stamp <= stamp_ns)
        self._ending = [item for item in self._ending if item[0] > stamp_ns]
        for number in ended:
            self._smoothers.pop(number, None)
            self.scales.pop(number, None)
            self.bones.pop(number, None)
            self.sizes.pop(number, None)
            if self.floor is not None:
                self.floor.forget(number)
        return ended

    def tell_restarted(self) -> bool:
        """Whether the state is a new one after a jump of time; True once."""
        restarted, self.restarted = self.restarted, False
        return restarted

    def configure(self, config: PipelineConfig) -> None:
        """Take over changed settings."""
        self.sizes.clear()  # they go by body_height_m
        self.floor = None  # it goes by camera_height_m
        for smoother in self._smoothers.values():
            smoother.configure(config)
