# SPDX-License-Identifier: Apache-2.0
"""From a frame to people in metres: the whole way on one page."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from . import estimators
from .camera import camera_for
from .errors import ConfigError
from .people.plausibility import bone_quality
from .people.smoothing import smooth_relative, smooth_root
from .people.state import PeopleState
from .people.tracking import Track, hidden, predicted
from .placement.body import lasting_heights
from .placement.body_scale import body_scaled
from .placement.floor import floor_of
from .placement.learnt_floor import FloorMemory
from .placement.placing import place_relative
from .placement.size import with_heights
from .rotation import restored, turned
from .settings.declare import settings_of
from .settings.pipeline import PipelineConfig
from .skeleton import Skeleton, get_skeleton
from .types import EstimatorInfo, Frame, FrameResult, Pose3D, Result, convert


@dataclass(frozen=True, eq=False)
class Job:
    """Frames that the pipeline works on, and why it does not use their own calibrations."""

    frames: Sequence[Frame]
    problems: Sequence[str]
    pending: Any

    def wait(self) -> None:
        """Until all that is left to do is Pipeline.finish()."""
        if self.pending is not None:
            self.pending.wait()


class Pipeline:
    """Estimate, track, smooth, place.

    >>> pipeline = Pipeline(PipelineConfig(estimator='blazepose'))
    >>> people = pipeline.process(frame).people

    The only object that the node, the bag runner and the command line need. Not thread-safe: one
    thread calls it.
    """

    skeleton: Skeleton
    """Convention of the poses that come out."""
    info: EstimatorInfo

    def __init__(self, config: PipelineConfig) -> None:
        """Load models; raises ConfigError, ModelError, BackendError."""
        self.estimator = estimators.create(config)
        self._lifting = estimators.lifting(self.estimator)
        self._overlapping = estimators.overlapping(self.estimator)
        self.skeleton = (
            get_skeleton(config.skeleton) if config.skeleton else self.estimator.skeleton
        )
        self.info = self.estimator.info
        self.config = config
        self._ids = itertools.count(1)
        self._states: dict[str, PeopleState] = {}

    def process(self, frame: Frame) -> Result:
        """People in one frame."""
        return self.process_batch([frame])[0]

    def process_batch(self, frames: Sequence[Frame]) -> list[Result]:
        """People in each of several frames (of different sources), networks run in batches."""
        return self.finish(self.begin(frames))

    @property
    def overlaps(self) -> bool:
        """Whether begin() only starts the work, so that frames can overlap."""
        return self._overlapping is not None

    def begin(self, frames: Sequence[Frame]) -> Job:
        """Start work on frames; finish() has to be called for each job, in their order."""
        ready, problems = [], []
        for frame in frames:
            focal_px = self.config.focal_length_px or self.info.focal_share * frame.size[0]
            camera, problem = camera_for(frame.size, frame.camera, focal_px)
            frame = replace(frame, camera=camera)
            upright, turning_problem = turned(frame, self.config.image_rotation)
            ready.append(upright)
            problems.append(problem or turning_problem)
        return Job(ready, problems, self._overlapping.begin(ready) if self._overlapping else None)

    def finish(self, job: Job) -> list[Result]:
        """Results of the frames that begin() took."""
        states = [self._state(frame) for frame in job.frames]
        if self._overlapping is None:
            estimated = self.estimator.estimate(job.frames)
        else:
            estimated = self._overlapping.finish(job.pending)
        start = time.perf_counter()
        finished = []
        for frame, state, poses in zip(job.frames, states, estimated):
            poses, unseen = state.track(frame, poses, self.config)
            done = self._lifting.lift(frame, poses) if self._lifting else [(frame, poses)]
            finished.append(self._finished(state, done, unseen))
        spent = (time.perf_counter() - start) * 1e3
        timings = {**self.estimator.timings(), 'track+smooth+place': spent}
        return [
            Result(restored(frame, [])[0], done, timings, problem, state.tell_restarted())
            for frame, state, done, problem in zip(job.frames, states, finished, job.problems)
        ]

    def stream(self, frames: Iterable[Frame]) -> Iterator[Result]:
        """Results of one frame after the other.

        Where the estimator can, the network works on the next frame while one is decoded, tracked
        and used; `frames` is therefore one ahead.
        """
        waiting: Job | None = None
        for frame in frames:
            job = self.begin([frame])
            if waiting is not None:
                yield self.finish(waiting)[0]
            waiting = job
            if not self.overlaps:
                yield self.finish(job)[0]
                waiting = None
        if waiting is not None:
            yield self.finish(waiting)[0]

    def flush(self, source: str | None = None) -> list[FrameResult]:
        """Frames of one source, or of all, that the estimator holds back for want of later ones.

        A source should be reset before more of its frames come.
        """
        results: list[FrameResult] = []
        for name, state in self._states.items():
            if self._lifting is not None and source in (None, name):
                results += self._finished(state, self._lifting.flush(name), [])
        return results

    def configure(self, config: PipelineConfig) -> None:
        """Take over changed live settings between two frames; ConfigError for any other change."""
        for item in settings_of(PipelineConfig):
            changed = getattr(config, item.name) != getattr(self.config, item.name)
            if changed and not item.live:
                raise ConfigError(f'{item.name} cannot change while the estimator is loaded')
        self.estimator.configure(config)
        self.config = config
        for state in self._states.values():
            state.configure(config)

    def reset(self, source: str | None = None) -> None:
        """Forget tracks, filters and regions of interest of one source, or of all."""
        self.estimator.reset(source)
        if source is None:
            self._states.clear()
        else:
            self._states.pop(source, None)

    def _state(self, frame: Frame) -> PeopleState:
        """State of the frame's source; a new one if its time jumped."""
        state = self._states.get(frame.source)
        if state is None:
            state = PeopleState(self._ids, frame.stamp_ns)
        elif not 0 <= (frame.stamp_ns - state.stamp_ns) * 1e-9 <= self.config.max_gap_s:
            self.estimator.reset(frame.source)
            state = state.restart(frame.stamp_ns)
        state.stamp_ns = frame.stamp_ns
        self._states[frame.source] = state
        return state

    def _finished(
        self,
        state: PeopleState,
        done: Sequence[tuple[Frame, list[Pose3D]]],
        unseen: Sequence[Track],
    ) -> tuple[FrameResult, ...]:
        """Estimated people of frames, smoothed and placed."""
        results = []
        for frame, poses in done:
            frame = self._on_floor(frame, state)
            if state.tracks(self.config):
                people = self._smooth(frame, state, poses)
                state.delivered(people)
                people += self._extrapolated(frame, people, unseen)
            else:
                people = self._place(frame, poses)
            ended = state.end(frame.stamp_ns)
            original, people = restored(frame, people)
            results.append(FrameResult(original, [self._out(pose) for pose in people], ended))
        return tuple(results)

    def _on_floor(self, frame: Frame, state: PeopleState) -> Frame:
        """The frame with the floor as the settings want it known."""
        if self.config.floor == 'people' and state.floor is None:
            state.floor = FloorMemory()
        floor = floor_of(frame, self.config, state.floor, self.info.size_sigma)
        return frame if floor is frame.floor else replace(frame, floor=floor)

    def _extrapolated(
        self, frame: Frame, people: Sequence[Pose3D], unseen: Sequence[Track]
    ) -> list[Pose3D]:
        """People who are not seen: those behind somebody for a while, or all if that is wanted."""
        config, stamp_ns = self.config, frame.stamp_ns
        return [
            predicted(track, stamp_ns)
            for track in unseen
            # A frame that was held back may be older than what is missing in the newest.
            if track.stamp_ns < stamp_ns
            and (
                config.publish_predicted
                or (
                    (stamp_ns - track.stamp_ns) * 1e-9 <= config.hidden_s
                    and hidden(track, people, stamp_ns)
                )
            )
        ]

    def _smooth(self, frame: Frame, state: PeopleState, poses: list[Pose3D]) -> list[Pose3D]:
        """Tracked people smoothed about their roots, placed, and their roots smoothed."""
        if self.config.parity:
            return self._place(frame, poses)
        smoothers = state.smoothers(poses, self.config)
        poses = smooth_relative(smoothers, poses, frame.stamp_ns)
        if self.info.height_m or self.info.scaled_by_depth:
            poses = body_scaled(poses, frame, state.scales, self.config)
        heights = lasting_heights(poses, state.bones)
        poses = place_relative(
            poses, frame, self.config, self.info, heights, state.sizes, state.floor
        )
        poses = with_heights(poses, heights, state.sizes, self.info, self.config)
        placed = [k for k, pose in enumerate(poses) if pose.absolute]
        moved = [smoothers[k] for k in placed], [poses[k] for k in placed], frame.stamp_ns
        for k, pose in zip(placed, smooth_root(*moved)):
            poses[k] = pose
        return poses

    def _place(self, frame: Frame, poses: list[Pose3D]) -> list[Pose3D]:
        """Root-relative people in metres from the camera, where the camera is calibrated."""
        return place_relative(poses, frame, self.config, self.info)

    def _out(self, pose: Pose3D) -> Pose3D:
        """A pose as it goes out."""
        if self.config.bone_quality:
            pose = pose.replace(bone_quality=bone_quality(pose))
        return convert(pose, self.skeleton)
