# SPDX-License-Identifier: Apache-2.0
"""From a frame to people in metres: the whole way on one page."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from . import estimators
from .camera import Camera
from .errors import ConfigError, InputError
from .people.plausibility import bone_quality
from .people.smoothing import PoseSmoother, smooth_relative, smooth_root
from .people.tracking import Track, Tracker, predicted
from .placement.placing import depth_scale, place
from .settings.pipeline import PipelineConfig, settings_of
from .skeleton import Skeleton, convert, get_skeleton
from .types import Frame, Pose3D, TrackingState

_SCALE_RATE = 0.1  # share of a frame's measurement in a person's size


@lru_cache(maxsize=16)
def _assumed_camera(focal_px: float, size: tuple[int, int]) -> Camera:
    return Camera.assume(focal_px, size)


@dataclass
class _Source:
    """What is remembered of one camera."""

    tracker: Tracker
    smoothers: dict[int, PoseSmoother] = field(default_factory=dict)
    scales: dict[int, float] = field(default_factory=dict)
    stamp_ns: int | None = None
    leaving: list[tuple[int, int]] = field(default_factory=list)
    """Stamps and ids of tracks that ended, but have poses that an estimator still holds back."""
    given: bool = False
    """Whether identities come with the frames."""


@dataclass
class Job:
    """Frames that the pipeline works on; known: with the camera that serves."""

    frames: Sequence[Frame]
    known: Sequence[Frame]
    pending: Any

    def wait(self) -> None:
        """Until all that is left to do is Pipeline.finish()."""
        if self.pending is not None:
            self.pending.wait()


class Pipeline:
    """Estimate, track, smooth, place.

    >>> pipeline = Pipeline(PipelineConfig(estimator='blazepose'))
    >>> poses = pipeline.process(frame)

    The only object that the node, the bag runner and the command line need. Not thread-safe: one
    thread calls it.
    """

    skeleton: Skeleton
    """Convention of the poses that come out."""
    info: estimators.EstimatorInfo
    timings: dict[str, float]
    """Milliseconds of each stage of the last call."""
    lost: dict[str, list[int]]
    """Track ids that ended with the last call, by source."""
    resets: int
    """How often state was dropped because time went backwards or had a gap."""
    subjects: dict[str, Frame | None]
    """By source, the frame that the last poses belong to: the one that went in, or an earlier one
    if the estimator waits for what comes after it; None while nothing is due yet."""
    earlier: dict[str, list[tuple[Frame, list[Pose3D]]]]
    """By source, frames before the subject that became due together with it, and their people."""
    calibration_error: dict[str, str]
    """Why the calibration of the last frame could not be used, by source."""

    def __init__(self, config: PipelineConfig) -> None:
        """Load models; raises ConfigError, ModelError, BackendError."""
        self.estimator = estimators.create(config)
        self._lifting = self.estimator if isinstance(self.estimator, estimators.Lifting) else None
        self.skeleton = (
            get_skeleton(config.skeleton) if config.skeleton else self.estimator.skeleton
        )
        self.info = self.estimator.info
        self.config = config
        self.timings, self.lost, self.resets, self.calibration_error = {}, {}, 0, {}
        self.subjects, self.earlier = {}, {}
        self._ids = itertools.count(1)
        self._sources: dict[str, _Source] = {}

    def process(self, frame: Frame) -> list[Pose3D]:
        """People in one frame."""
        return self.process_batch([frame])[0]

    def process_batch(self, frames: Sequence[Frame]) -> list[list[Pose3D]]:
        """People in each of several frames (of different sources), networks run in batches."""
        return self.finish(self.begin(frames))

    @property
    def overlaps(self) -> bool:
        """Whether begin() only starts the work, so that frames can overlap."""
        return hasattr(self.estimator, 'begin')

    def begin(self, frames: Sequence[Frame]) -> Job:
        """Start work on frames; finish() has to be called for each job, in their order."""
        known = [replace(frame, camera=self._camera(frame)) for frame in frames]
        begin = getattr(self.estimator, 'begin', None)
        return Job(frames, known, begin(known) if begin else None)

    def finish(self, job: Job) -> list[list[Pose3D]]:
        """People of the frames that begin() was given."""
        frames = job.known
        self.lost = {frame.source: [] for frame in frames}
        sources = [self._source(frame) for frame in frames]
        self.subjects = {frame.source: frame for frame in frames}
        self.earlier = {}
        if job.pending is None:
            found = self.estimator.estimate(frames)
        else:
            found = self.estimator.finish(job.pending)  # type: ignore[attr-defined]
        start = time.perf_counter()
        out = [
            [self._out(pose) for pose in self._finish(frame, source, poses)]
            for frame, source, poses in zip(frames, sources, found)
        ]
        finish = (time.perf_counter() - start) * 1e3
        self.timings = {**self.estimator.timings(), 'track+smooth+place': finish}
        return out

    def stream(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, list[Pose3D]]]:
        """People of one frame after the other.

        Where the estimator can, the network works on the next frame while one is decoded, tracked
        and used; `frames` is therefore one ahead.
        """
        waiting: Job | None = None
        for frame in frames:
            job = self.begin([frame])
            if waiting is not None:
                yield waiting.frames[0], self.finish(waiting)[0]
            waiting = job
            if not self.overlaps:
                yield frame, self.finish(job)[0]
                waiting = None
        if waiting is not None:
            yield waiting.frames[0], self.finish(waiting)[0]

    def flush(self, name: str = '') -> list[tuple[Frame, list[Pose3D]]]:
        """What a source's estimator still holds back for want of later frames; there are none.

        The source should be reset before more of its frames come.
        """
        source = self._sources.get(name)
        if source is None or self._lifting is None:
            return []
        self.lost[name] = []
        out = self._delivered(name, source, self._lifting.flush(name), (), source.given)
        return [(frame, [self._out(pose) for pose in poses]) for frame, poses in out]

    def _source(self, frame: Frame) -> _Source:
        """State of the frame's camera; a new one if its time jumped."""
        source = self._sources.get(frame.source)
        if source is not None and source.stamp_ns is not None:
            step = (frame.stamp_ns - source.stamp_ns) * 1e-9
            if step < 0 or step > self.config.max_gap_s:
                self.resets += 1
                self.lost[frame.source] = source.tracker.reset()
                self.reset(frame.source)
                source = None
        if source is None:
            source = self._sources[frame.source] = _Source(Tracker(self._ids))
        source.stamp_ns = frame.stamp_ns
        return source

    def _finish(self, frame: Frame, source: _Source, poses: list[Pose3D]) -> list[Pose3D]:
        config = self.config
        given = any(pose.tracking_state != TrackingState.UNTRACKED for pose in poses)
        source.given = given
        missing: list[Track] = []
        if config.tracking and not given:
            update = source.tracker.update(frame, poses, config.track_max_missed_s)
            self.lost[frame.source].extend(update.lost)
            poses, missing = update.poses, update.missing
        if self._lifting is None:
            self._forget(source, self.lost[frame.source])
            return self._deliver(frame, source, poses, missing, given)
        source.leaving += [(frame.stamp_ns, ended) for ended in self.lost[frame.source]]
        self.lost[frame.source] = []
        due = self._lifting.lift(frame, poses)
        out = self._delivered(frame.source, source, due, missing, given)
        self.earlier[frame.source] = [
            (subject, [self._out(pose) for pose in people]) for subject, people in out[:-1]
        ]
        self.subjects[frame.source] = out[-1][0] if out else None
        return out[-1][1] if out else []

    def _delivered(
        self,
        name: str,
        source: _Source,
        due: Sequence[tuple[Frame, list[Pose3D]]],
        missing: Sequence[Track],
        given: bool,
    ) -> list[tuple[Frame, list[Pose3D]]]:
        """Frames that an estimator held back, with their people; ids end with their last frame."""
        out = []
        for subject, poses in due:
            out.append((subject, self._deliver(subject, source, poses, missing, given)))
            ended = [number for stamp, number in source.leaving if stamp <= subject.stamp_ns]
            source.leaving = [item for item in source.leaving if item[0] > subject.stamp_ns]
            self.lost[name].extend(ended)
            self._forget(source, ended)
        return out

    @staticmethod
    def _forget(source: _Source, ended: Iterable[int]) -> None:
        for number in ended:
            source.smoothers.pop(number, None)
            source.scales.pop(number, None)

    def _deliver(
        self,
        frame: Frame,
        source: _Source,
        poses: list[Pose3D],
        missing: Sequence[Track],
        given: bool,
    ) -> list[Pose3D]:
        """Smoothed and placed."""
        config = self.config
        if not config.tracking or given:
            return self._placed(frame, poses)
        out = self._placed(frame, poses) if config.parity else self._smoothed(frame, source, poses)
        delivered = {pose.track_id: pose for pose in out}
        for track in source.tracker.tracks:
            track.delivered = delivered.get(track.id, track.delivered)
        if config.publish_predicted:
            out += [predicted(track, frame.stamp_ns) for track in missing]
        return out

    def _out(self, pose: Pose3D) -> Pose3D:
        if self.config.bone_quality:
            pose = pose.replace(bone_quality=bone_quality(pose))
        return convert(pose, self.skeleton)

    def _smoothed(self, frame: Frame, source: _Source, poses: list[Pose3D]) -> list[Pose3D]:
        """Tracked people smoothed about their roots, placed, and their roots smoothed."""
        smoothers = []
        for pose in poses:
            if pose.track_id not in source.smoothers:
                source.smoothers[pose.track_id] = PoseSmoother(self.config)
            smoothers.append(source.smoothers[pose.track_id])
        poses = smooth_relative(smoothers, poses, frame.stamp_ns)
        if frame.depth is not None or source.scales:
            poses = [self._scaled(frame, source, pose) for pose in poses]
        poses = self._placed(frame, poses)
        there = [k for k, pose in enumerate(poses) if pose.absolute]
        moved = [smoothers[k] for k in there], [poses[k] for k in there], frame.stamp_ns
        for k, pose in zip(there, smooth_root(*moved)):
            poses[k] = pose
        return poses

    def _placed(self, frame: Frame, poses: list[Pose3D]) -> list[Pose3D]:
        out = list(poses)
        loose = [k for k, pose in enumerate(poses) if not pose.absolute]
        if frame.camera is None or not loose or not self.config.placement:
            return out
        info = self.info
        sizes = info.size_sigma, info.metric, info.height_m, not info.weighs_pixels
        found = place([poses[k] for k in loose], frame.camera, frame, self.config, *sizes)
        for k, pose in zip(loose, found):
            out[k] = pose
        return out

    def _scaled(self, frame: Frame, source: _Source, pose: Pose3D) -> Pose3D:
        """A person of assumed height in the size that depth images showed of them so far."""
        by_depth = bool(self.info.height_m) or self.info.scaled_by_depth
        if not by_depth or self.config.body_height_m or pose.absolute:
            return pose
        known = source.scales.get(pose.track_id)
        if frame.depth is not None and frame.camera is not None:
            seen = depth_scale(pose, frame.camera, frame.depth)
            if seen is not None:
                known = seen if known is None else known + _SCALE_RATE * (seen - known)
                source.scales[pose.track_id] = known
        if known is None:
            return pose
        spread = None if pose.covariance is None else pose.covariance * known**2
        return pose.replace(xyz=pose.xyz * known, covariance=spread)

    def _camera(self, frame: Frame) -> Camera | None:
        """The calibration for this very image, or the one that the user assumes."""
        self.calibration_error.pop(frame.source, None)
        if frame.camera is not None:
            try:
                return frame.camera.resized(frame.size)
            except InputError as error:
                self.calibration_error[frame.source] = str(error)
        focal = self.config.focal_length_px or self.info.focal_share * frame.size[0]
        return _assumed_camera(focal, frame.size) if focal else None

    def configure(self, config: PipelineConfig) -> None:
        """Take over changed live settings between two frames; ConfigError for any other change."""
        for item in settings_of(PipelineConfig):
            changed = getattr(config, item.name) != getattr(self.config, item.name)
            if changed and not item.live:
                raise ConfigError(f'{item.name} cannot change while the estimator is loaded')
        self.estimator.configure(config)
        self.config = config
        for source in self._sources.values():
            for smoother in source.smoothers.values():
                smoother.configure(config)

    def reset(self, source: str | None = None) -> None:
        """Forget tracks, filters and regions of interest of one source, or of all."""
        self.estimator.reset(source)
        if source is None:
            self._sources.clear()
        else:
            self._sources.pop(source, None)
