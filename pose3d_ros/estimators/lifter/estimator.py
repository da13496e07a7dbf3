# SPDX-License-Identifier: Apache-2.0
"""2D keypoints lifted to 3D: the package's own lifter, VideoPose3D, MotionBERT, SimpleBaseline3D.

A source of 2D keypoints finds people, the pipeline gives them ids, and a network lifts each from
the window of time around a frame. That frame may lie in the past: see the setting `latency`.
"""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...errors import ConfigError
from ...placement.body import body_height
from ...settings.declare import setting
from ...settings.estimators import EstimatorSpec
from ...settings.pipeline import PipelineConfig
from ...timing import StageTimer
from ...types import Array, Frame, JointStatus, Pose3D, PositionSource, convert
from .. import info_of
from ..sources import create_source, source_config, source_models
from .blending import blended
from .history import History, held
from .models import KINDS, Lifted, MotionBERT, Own, Published, View, create_lift
from .streams import TOLERANCE, Run, Streams

_KEPT_BYTES = 500e6  # of images that wait for their poses
_TALL = 1.7  # metres, of bodies whose size a model does not tell
_OWN_3D = ('blazepose', 'best')  # sources whose 3D is a second witness
_MISSING = 0.5  # of the joints, more of which no published network can do without


@dataclass(frozen=True)
class Options:
    """Settings of this estimator."""

    keypoints: str = setting(
        'blazepose',
        'source of 2D keypoints: blazepose, movenet (everybody in one pass), movenet_thunder (a '
        'crop for each), best (blazepose and movenet_thunder averaged), rtmpose, openpose3d or '
        'another estimator, topic (pose3d_ros/Skeleton3DArray), or a file (.json, .jsonl, .npz)',
    )
    keypoints_model: str = setting(
        '', 'model of that source, for rtmpose detector+pose; empty: its default'
    )
    latency: str = setting(
        'causal',
        'frame that poses are for: the newest (causal), `delay` frames back (delay), or so far '
        'back that all of the window is known (centred)',
        choices=('causal', 'delay', 'centred'),
    )
    delay: int = setting(3, 'frames of delay with latency: delay', low=0, high=500)
    min_keypoint_score: float = setting(
        0.1,
        'keypoints under this count as missing; the own lifter takes them for hints',
        low=0,
        high=1,
        live=True,
    )
    source_3d: float = setting(
        0.2,
        'own lifter on BlazePose: weight of the 3D that BlazePose has itself, where all of a body '
        'is in the image; 0: the lifter alone',
        low=0, high=1, live=True,
    )  # fmt: skip
    normalise: str = setting(
        '', "what published models see positions relative to; empty: the model's default",
        choices=('', 'person', 'image', 'camera'),
    )  # fmt: skip
    streaming: bool = setting(
        True, 'temporal convolutions keep their activations, where the latency allows it'
    )
    frames_per_step: int = setting(
        0,
        'streaming: new frames that are gathered for one step, which costs about as much as for '
        'one; delays by one less. 0: as many as add at most 8 % to the delay of `centred` (10 for '
        '243 frames), 1 in `causal`',
        low=0, high=50,
    )  # fmt: skip
    flip: bool = setting(
        False, 'MotionBERT: mean of the window and its mirror image, at twice the cost'
    )
    stride: int = setting(
        1,
        'MotionBERT: frames that one run over the window serves; with latency delay at most one '
        'more than the delay, with causal 1',
        low=1, high=243,
    )  # fmt: skip
    window: int = setting(0, 'MotionBERT: frames of the window; 0: as trained', low=0, high=243)
    max_gap_s: float = setting(
        0.5, 'a person unseen for longer starts a new window', low=0.01, high=60, live=True
    )
    kind: str = setting(
        '', 'for models that are not registered: the one that it is alike', choices=('', *KINDS)
    )


@dataclass(eq=False)
class _Person:
    """The past of a track. poses: as seen in 2D, by stamp, for the frames that wait."""

    history: History
    poses: dict[int, Pose3D] = field(default_factory=dict)
    run: Run | None = None
    spare: dict[int, Lifted] = field(default_factory=dict)


@dataclass
class _State:
    """What is remembered of one camera: frames that wait for their future, and people."""

    frames: deque[Frame] = field(default_factory=deque)
    people: dict[int, _Person] = field(default_factory=dict)
    gone: list[_Person] = field(default_factory=list)
    """Whose past ended with a gap, while frames of theirs still wait."""
    origin_ns: int = 0
    newest_ns: int = 0
    slack_ns: int = 0
    """By how much streams have lagged behind the newest frame, at most."""

    def everybody(self) -> Iterator[_Person]:
        """All of whom poses may be due."""
        yield from self.people.values()
        yield from self.gone


def _models(config: PipelineConfig) -> Sequence[str]:
    options = config.typed_options(Options)
    return (config.model, *source_models(options.keypoints, config, options.keypoints_model))


class Estimator:
    """See the module."""

    spec = EstimatorSpec(
        Options,
        _models,
        # Windows of time are smooth already, and more filtering only lags.
        defaults={
            'smoothing_min_cutoff': 4.0,
            'smoothing_pixel_min_cutoff': 3.0,
            'smoothing_root_min_cutoff': 1.5,
        },
        lifts=True,
    )

    def __init__(self, config: PipelineConfig) -> None:
        """Load the source and the lifter; raises ModelError, BackendError, ConfigError."""
        self._options = config.typed_options(Options)
        _check_stride(self._options)
        self._lift, self._step = create_lift(config, self._options)
        inner = config.replace(precision='auto')
        self._source = create_source(self._options.keypoints, inner, self._options.keypoints_model)
        self.skeleton = self._lift.skeleton
        kind = self._lift.kind
        self._frames = kind.frames
        if isinstance(self._lift, MotionBERT) and self._options.window:
            self._frames = self._options.window
        self._period = round(1e9 / kind.rate)
        self._target = self._lift.target
        if isinstance(self._lift, MotionBERT):
            causal = self._options.latency == 'causal'
            self._target = self._lift.target = self._frames - 1 if causal else self._frames // 2
        self._streams: Streams | None = None
        if self._step is not None:
            lag = self._frames - 1 - self._target
            self._streams = Streams(self._step, self._step.steps, self._period, lag)
        self.info = info_of(
            self._lift.model,
            self._lift.network,
            metric=self._lift.metric,
            size_sigma=0.08 if self._lift.metric else 0.1,
            scaled_by_depth=True,
            weighs_pixels=isinstance(self._lift, Own),
        )
        self._states: dict[str, _State] = {}
        self._timer = StageTimer()
        self._delay_ms = 0.0
        self.configure(config)

    def configure(self, config: PipelineConfig) -> None:
        """Take over live settings."""
        self._config = config
        self._options = config.typed_options(Options)
        name, model = self._options.keypoints, self._options.keypoints_model
        self._source.configure(source_config(name, config.replace(precision='auto'), model))

    def reset(self, source: str | None = None) -> None:
        """Forget everybody."""
        self._source.reset(source)
        if source is None:
            self._states.clear()
        else:
            self._states.pop(source, None)

    def timings(self) -> dict[str, float]:
        """Milliseconds: those of the 2D source, lift; delay: age of the frame poses are for."""
        return {**self._source.timings(), **self._timer.milliseconds}

    def estimate(self, frames: Sequence[Frame]) -> list[list[Pose3D]]:
        """People of each frame in 2D, for the tracker; `lift` makes poses of them."""
        self._timer.start('lift')
        return self._source.estimate(frames)

    def lift(self, frame: Frame, poses: Sequence[Pose3D]) -> list[tuple[Frame, list[Pose3D]]]:
        """The frames that are due now, and their people with the ids that they came with."""
        self._timer.resume()
        state = self._states.get(frame.source)
        if state is None:
            state = self._states[frame.source] = _State(origin_ns=frame.stamp_ns)
        state.frames.append(frame)
        state.newest_ns = frame.stamp_ns
        self._remember(state, frame, poses)
        out = self._deliver(state, self._due(state, frame))
        if out:
            self._timer.milliseconds['delay'] = (frame.stamp_ns - out[-1][0].stamp_ns) * 1e-6
        self._timer.end('lift')
        return out

    def flush(self, source: str) -> list[tuple[Frame, list[Pose3D]]]:
        """The frames that still wait, as if everybody stood still from now on."""
        state = self._states.get(source)
        return [] if state is None else self._deliver(state, len(state.frames))

    def _remember(self, state: _State, frame: Frame, poses: Sequence[Pose3D]) -> None:
        view = View(frame.size, frame.camera)
        span = (self._frames + 2) * self._period
        gap = round(self._options.max_gap_s * 1e9)
        for number, pose in enumerate(poses):
            # Without identities nobody has a past.
            key = pose.track_id or -1 - number
            person = state.people.get(key)
            if person is not None and (
                key < 0 or not 0 <= frame.stamp_ns - person.history.last_ns <= gap
            ):
                state.gone.append(state.people.pop(key))
                person = None
            values = self._lift.prepare(pose, view, self._options.min_keypoint_score)
            if isinstance(self._lift, Published):
                past = person.history if person is not None else History(span, gap)
                complete = _completed(values, past)
                if complete is None:
                    continue
                values = complete
            if person is None:
                person = state.people[key] = _Person(History(span, gap))
            person.history.add(frame.stamp_ns, values)
            person.poses[frame.stamp_ns] = pose
        for key, person in list(state.people.items()):
            if frame.stamp_ns - person.history.last_ns > span + gap:
                del state.people[key]
        state.gone = [person for person in state.gone if person.poses]
        if self._streams is not None:
            people = list(state.people.values())
            windows = [(person.history, person.run) for person in people]
            for person, run in zip(people, self._streams.advance(windows, state.origin_ns)):
                person.run = run

    def _due(self, state: _State, frame: Frame) -> int:
        """How many of the frames are due: their future is known as far as wanted."""
        frames = state.frames
        if self._streams is not None:
            newest = self._streams.newest(state.origin_ns, frame.stamp_ns)
            state.slack_ns = max(state.slack_ns, frame.stamp_ns - newest)
        if self._options.latency == 'delay':
            return max(len(frames) - self._options.delay, 0)
        lag = (self._frames - 1 - self._target) * self._period
        if self._options.latency == 'causal':
            if self._streams is None or self._streams.frames == 1:
                return len(frames)
            lag = 0
        latest_ns = frame.stamp_ns - lag - (state.slack_ns if self._streams is not None else 0)
        return sum(f.stamp_ns <= latest_ns + TOLERANCE * self._period for f in frames)

    def _deliver(self, state: _State, due: int) -> list[tuple[Frame, list[Pose3D]]]:
        """The people of the oldest frames, which are then forgotten."""
        out = []
        for _ in range(due):
            subject = state.frames.popleft()
            out.append((subject, self._lifted(state, subject)))
        if state.frames and _nbytes(state.frames[-1]) * len(state.frames) > _KEPT_BYTES:
            late = state.frames[-1]
            state.frames[-1] = dataclasses.replace(late, image=_blank(late), depth=None)
        return out

    def _lifted(self, state: _State, subject: Frame) -> list[Pose3D]:
        stamp = subject.stamp_ns
        people = [person for person in state.everybody() if stamp in person.poses]
        view = View(subject.size, subject.camera)
        if self._streams is not None:
            lifted_ones: list[Lifted | None] = []
            for person in people:
                assert person.run is not None
                lifted_ones.append(
                    self._streams.at(person.history, person.run, stamp, state.origin_ns, view)
                )
        else:
            lifted_ones = self._windowed(people, stamp, state.newest_ns, view)
        return [
            self._pose(person.poses.pop(stamp), lifted, view)
            for person, lifted in zip(people, lifted_ones)
            if lifted is not None
        ]

    def _windowed(
        self, people: Sequence[_Person], stamp_ns: int, newest_ns: int, view: View
    ) -> list[Lifted | None]:
        """One run over the windows of all people, for those that need one."""
        results: list[Lifted | None] = [person.spare.pop(stamp_ns, None) for person in people]
        rows = [k for k, lifted in enumerate(results) if lifted is None]
        if not rows:
            return results
        target = self._target
        clips = isinstance(self._lift, MotionBERT)
        if clips and self._options.latency == 'delay':
            # The window ends with the newest frame, wherever in it the target is then.
            after = math.ceil((newest_ns - stamp_ns) / self._period - TOLERANCE)
            target = max(self._frames - 1 - after, 0)
        times = stamp_ns + (np.arange(self._frames) - target) * self._period
        samples = [people[k].history.sample(times, self._period // 5) for k in rows]
        windows = np.stack([values for values, _ in samples])
        inside = np.stack([is_inside for _, is_inside in samples])
        views = [view] * len(rows)
        if isinstance(self._lift, MotionBERT):
            for k, clip in zip(rows, self._lift.lift_all(windows, views)):
                results[k] = clip[target]
                self._keep_spare(people[k], stamp_ns, clip, target)
        else:
            for k, lifted in zip(rows, self._lift.lift(windows, inside, views)):
                results[k] = lifted
        return results

    def _keep_spare(
        self, person: _Person, stamp_ns: int, clip: Sequence[Lifted], target: int
    ) -> None:
        """The frames that follow, which this window has seen as well."""
        stamps = sorted(s for s in person.poses if s > stamp_ns)[: self._options.stride - 1]
        person.spare.clear()
        for stamp in stamps:
            at = target + (stamp - stamp_ns) / self._period
            if at <= len(clip) - 1 + TOLERANCE:
                low = min(math.floor(at), len(clip) - 1)
                share = at - low
                a, b = clip[low].xyz, clip[min(low + 1, len(clip) - 1)].xyz
                person.spare[stamp] = Lifted((1 - share) * a + share * b)

    def _pose(self, source: Pose3D, lifted: Lifted, view: View) -> Pose3D:
        """A pose of the lifter's convention with the pixels of the source's joints."""
        if not np.isfinite(lifted.xyz).any():
            return self._nobody(source)
        flat = convert(
            source.replace(xyz=np.full_like(source.xyz, np.nan), covariance=None), self.skeleton
        )
        finite = np.isfinite(flat.pixels).all(axis=1)
        confident = finite & ~(flat.confidence < self._options.min_keypoint_score)
        status = np.where(
            confident & (flat.status == JointStatus.MEASURED),
            JointStatus.MEASURED,
            JointStatus.INFERRED,
        )
        xyz = lifted.xyz
        if isinstance(self._lift, Own) and self._options.keypoints in _OWN_3D:
            xyz = blended(xyz, self.skeleton, source, view.size, self._options.source_3d)
        pose = flat.replace(xyz=xyz, covariance=lifted.covariance, status=status.astype(np.uint8))
        if not self._lift.metric and not self._config.parity:
            height = body_height(self.skeleton, pose.xyz)
            if math.isfinite(height):
                wanted = self._config.body_height_m or _TALL
                pose = pose.replace(xyz=pose.xyz * (wanted / height))
        if lifted.root is not None:
            pose = pose.replace(xyz=pose.xyz + lifted.root, position_source=PositionSource.METRIC)
        return pose

    def _nobody(self, source: Pose3D) -> Pose3D:
        joints = len(self.skeleton)
        flat = convert(
            source.replace(xyz=np.full_like(source.xyz, np.nan), covariance=None), self.skeleton
        )
        return flat.replace(
            xyz=np.full((joints, 3), np.nan),
            status=np.full(joints, JointStatus.INVALID, np.uint8),
        )


def _check_stride(options: Options) -> None:
    """A window serves frames that wait, and there must be some."""
    most = {'causal': 1, 'delay': options.delay + 1}.get(options.latency, options.stride)
    if options.stride > most:
        raise ConfigError(
            f'lifter.stride may be at most {most} with lifter.latency {options.latency}'
            + f' and lifter.delay {options.delay}' * (options.latency == 'delay')
            + f', not {options.stride}: one window serves frames that wait'
        )


def _completed(values: Array, history: History) -> Array | None:
    """A frame (17, C) without gaps, as published networks need it; None: too little is seen.

    A missing joint stays where it was seen last, or where its neighbours are.
    """
    missing = np.asarray(~np.isfinite(values[:, :2]).all(axis=1))
    if missing.mean() > _MISSING:
        return None
    if not missing.any():
        return values
    if len(history):
        last, _ = history.sample(np.array([history.last_ns]), 0)
        stacked = held(np.stack([last[0], values]))
        values = np.where(missing[:, None], stacked[1], values)
    rest = ~np.isfinite(values[:, :2]).all(axis=1)
    if rest.any():
        values = values.copy()
        values[rest] = np.nanmean(values[~rest], axis=0)
    if values.shape[1] > 2:
        values = values.copy()
        values[missing, 2] = 0.0
    return values


def _nbytes(frame: Frame) -> int:
    return frame.image.nbytes + (0 if frame.depth is None else frame.depth.nbytes)


def _blank(frame: Frame) -> Array:
    """An image of the same size that takes no memory."""
    return np.broadcast_to(np.zeros((1, 1, 3), np.uint8), frame.image.shape)
