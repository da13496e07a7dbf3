# SPDX-License-Identifier: Apache-2.0
"""2D keypoints lifted to 3D: the package's own lifter, VideoPose3D, MotionBERT, SimpleBaseline3D.

A source of 2D keypoints finds people, the pipeline gives them ids, and a network lifts each from
the window of time around a frame. That frame may lie in the past: see the setting `latency`.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..config import PipelineConfig, setting
from ..detectors.keypoints import create_source, source_config
from ..lifting.history import History, held
from ..lifting.streaming import Stream, Streaming
from ..placement import body_height
from ..skeleton import convert
from ..types import Array, Frame, JointStatus, Pose3D, PositionSource
from . import EstimatorInfo
from ._lifter_models import (
    KINDS,
    Lifted,
    MotionBERT,
    Published,
    View,
    create_lift,
)

_KEPT_IMAGES = 40  # frames of delay up to which images are kept
_TALL = 1.7  # metres, of bodies whose size a model does not tell
_MISSING = 0.5  # of the joints, more of which no published network can do without


@dataclass(frozen=True)
class Options:
    """Settings of this estimator."""

    keypoints: str = setting(
        'blazepose',
        'source of 2D keypoints: blazepose, rtmpose, openpose3d or another estimator, topic '
        '(pose3d_ros/Skeleton3DArray), or a file (.json, .jsonl, .npz)',
    )
    keypoints_model: str = setting('', 'model of that source; empty: its default')
    latency: str = setting(
        'causal',
        'frame that poses are for: the newest (causal), `delay` frames back (delay), or so far '
        'back that all of the window is known (centred)',
        choices=('causal', 'delay', 'centred'),
    )
    delay: int = setting(3, 'frames of delay with latency: delay', low=0, high=500)
    min_keypoint_score: float = setting(
        0.1, 'keypoints under this count as missing', low=0, high=1, live=True
    )
    normalise: str = setting(
        '', "what published models see positions relative to; empty: the model's default",
        choices=('', 'person', 'image', 'camera'),
    )  # fmt: skip
    streaming: bool = setting(
        True, 'temporal convolutions keep their activations, where the latency allows it'
    )
    flip: bool = setting(
        False, 'MotionBERT: mean of the window and its mirror image, at twice the cost'
    )
    stride: int = setting(
        1, 'MotionBERT: frames that one run over the window serves', low=1, high=243
    )
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
    stream: Stream | None = None
    grid_ns: int = 0
    outputs: deque[tuple[int, Array, Array | None]] = field(
        default_factory=lambda: deque(maxlen=64)
    )
    spare: dict[int, Lifted] = field(default_factory=dict)


@dataclass
class _State:
    """What is remembered of one camera: frames that wait for their future, and people."""

    frames: deque[Frame] = field(default_factory=deque)
    people: dict[int, _Person] = field(default_factory=dict)


def models(config: PipelineConfig) -> list[str]:
    """Registered models that are needed: the lifter, if it is not our own, and the source's.

    RTMPose without a detector of its own takes BlazePose's.
    """
    options = Options(**config.options)  # type: ignore[arg-type]
    source = options.keypoints_model or options.keypoints
    detector = ['blazepose'] if options.keypoints == 'rtmpose' and '+' not in source else []
    return [name for name in (config.model, *source.split('+'), *detector) if name]


class Estimator:
    """See the module."""

    def __init__(self, config: PipelineConfig) -> None:
        """Load the source and the lifter; raises ModelError, BackendError, ConfigError."""
        self._options = Options(**config.options)  # type: ignore[arg-type]
        self._lift, self._step = create_lift(config, self._options)
        self._source = create_source(self._options.keypoints, config, self._options.keypoints_model)
        self.skeleton = self._lift.skeleton
        kind = self._lift.kind
        self._frames = kind.frames
        if isinstance(self._lift, MotionBERT) and self._options.window:
            self._frames = self._options.window
        self._period = round(1e9 / kind.rate)
        self._target = self._lift.target
        if isinstance(self._lift, MotionBERT):
            self._target = self._lift.target = self._target_of_window()
        self._streaming = None
        if self._step is not None:
            self._streaming = Streaming(
                self._step.network, kind.kernels, self._step.width, self._step.bodies
            )
        self.info = EstimatorInfo(
            model=self._lift.model.name,
            version=self._lift.model.version,
            backend=self._lift.network.backend,
            device=self._lift.network.device,
            precision=self._lift.network.precision,
            metric=self._lift.metric,
            size_sigma=0.08 if self._lift.metric else 0.1,
        )
        self._states: dict[str, _State] = {}
        self._timings: dict[str, float] = {}
        self._delay_ms = 0.0
        self.configure(config)

    def configure(self, config: PipelineConfig) -> None:
        """Take over live settings."""
        self._config = config
        self._options = Options(**config.options)  # type: ignore[arg-type]
        inner = source_config(self._options.keypoints, config, self._options.keypoints_model)
        self._source.configure(inner)

    def reset(self, source: str | None = None) -> None:
        """Forget everybody."""
        self._source.reset(source)
        if source is None:
            self._states.clear()
        else:
            self._states.pop(source, None)

    def timings(self) -> dict[str, float]:
        """Milliseconds: those of the 2D source, lift; delay: age of the frame poses are for."""
        return {**self._source.timings(), **self._timings}

    def estimate(self, frames: Sequence[Frame]) -> list[list[Pose3D]]:
        """People of each frame in 2D, for the tracker; `lift` makes poses of them."""
        self._timings = {'lift': 0.0}
        return self._source.estimate(frames)

    def lift(self, frame: Frame, poses: Sequence[Pose3D]) -> tuple[Frame, list[Pose3D]] | None:
        """The frame that is due now, and its people with the ids that they came with.

        None while nothing is due yet, at the beginning.
        """
        start = time.perf_counter()
        state = self._states.setdefault(frame.source, _State())
        state.frames.append(frame)
        self._remember(state, frame, poses)
        subject = self._due(state, frame)
        out: list[Pose3D] = []
        if subject is not None:
            out = self._lifted(state, subject)
            self._timings['delay'] = (frame.stamp_ns - subject.stamp_ns) * 1e-6
        self._timings['lift'] = (time.perf_counter() - start) * 1e3
        return None if subject is None else (subject, out)

    def _remember(self, state: _State, frame: Frame, poses: Sequence[Pose3D]) -> None:
        view = View(frame.size, frame.camera)
        span = (self._frames + 2) * self._period
        gap = round(self._options.max_gap_s * 1e9)
        for number, pose in enumerate(poses):
            # Without identities nobody has a past.
            key = pose.track_id or -1 - number
            person = state.people.get(key) if key > 0 else None
            if person is None:
                person = state.people[key] = _Person(History(span, gap))
            values = self._lift.prepare(pose, view, self._options.min_keypoint_score)
            if isinstance(self._lift, Published):
                whole = _completed(values, person.history)
                if whole is None:
                    continue
                values = whole
            if person.history.add(frame.stamp_ns, values):
                person.stream, person.spare = None, {}
                person.outputs.clear()
            person.poses[frame.stamp_ns] = pose
        for key, person in list(state.people.items()):
            if not len(person.history) or frame.stamp_ns - person.history.last_ns > span + gap:
                del state.people[key]
        if self._streaming is not None:
            self._advance(state)

    def _due(self, state: _State, frame: Frame) -> Frame | None:
        """The newest frame whose future is known as far as wanted; older ones are let go."""
        frames = state.frames
        if self._options.latency == 'delay':
            wait = self._options.delay
            due = len(frames) - 1 - wait
        elif self._options.latency == 'causal':
            due = len(frames) - 1
        else:
            known = frame.stamp_ns - (self._frames - 1 - self._target) * self._period
            due = sum(f.stamp_ns <= known for f in frames) - 1
        if due < 0:
            if len(frames) > _KEPT_IMAGES:
                late = frames[-1]
                frames[-1] = dataclasses.replace(late, image=_blank(late), depth=None)
            return None
        subject = frames[due]
        for _ in range(due):
            frames.popleft()
        if self._options.latency != 'delay' or due:
            frames.popleft()
        for person in state.people.values():
            for stamp in [s for s in person.poses if s < subject.stamp_ns]:
                del person.poses[stamp]
        return subject

    def _lifted(self, state: _State, subject: Frame) -> list[Pose3D]:
        people = [p for p in state.people.values() if subject.stamp_ns in p.poses]
        view = View(subject.size, subject.camera)
        if self._streaming is not None:
            found = [self._streamed(person, subject.stamp_ns, view) for person in people]
        else:
            found = self._windowed(people, subject.stamp_ns, view)
        return [
            self._pose(person.poses.pop(subject.stamp_ns), lifted)
            for person, lifted in zip(people, found)
            if lifted is not None
        ]

    def _windowed(
        self, people: Sequence[_Person], stamp_ns: int, view: View
    ) -> list[Lifted | None]:
        """One run over the windows of all people, for those that need one."""
        found: list[Lifted | None] = [person.spare.pop(stamp_ns, None) for person in people]
        rows = [k for k, lifted in enumerate(found) if lifted is None]
        if not rows:
            return found
        times = stamp_ns + (np.arange(self._frames) - self._target) * self._period
        samples = [people[k].history.sample(times, self._period // 5) for k in rows]
        windows = np.stack([values for values, _ in samples])
        inside = np.stack([there for _, there in samples])
        views = [view] * len(rows)
        if isinstance(self._lift, MotionBERT) and self._options.stride > 1:
            for k, clip in zip(rows, self._lift.lift_all(windows, views)):
                found[k] = clip[self._target]
                self._keep_spare(people[k], stamp_ns, clip)
        else:
            for k, lifted in zip(rows, self._lift.lift(windows, inside, views)):
                found[k] = lifted
        return found

    def _target_of_window(self) -> int:
        """Causal windows end with the newest frame; those with a delay have some future."""
        last = self._frames - 1
        if self._options.latency == 'causal':
            return last
        if self._options.latency == 'delay':
            return max(last - self._options.delay - (self._options.stride - 1), 0)
        return last // 2

    def _keep_spare(self, person: _Person, stamp_ns: int, clip: Sequence[Lifted]) -> None:
        """The frames that follow, which this window has seen as well."""
        stamps = sorted(s for s in person.poses if s > stamp_ns)[: self._options.stride - 1]
        person.spare.clear()
        for stamp in stamps:
            at = self._target + (stamp - stamp_ns) / self._period
            if at <= len(clip) - 1:
                low = math.floor(at)
                share = at - low
                a, b = clip[low].xyz, clip[min(low + 1, len(clip) - 1)].xyz
                person.spare[stamp] = Lifted((1 - share) * a + share * b)

    def _advance(self, state: _State) -> None:
        """Feed the streams up to the newest grid point, all people at once."""
        assert self._streaming is not None
        assert self._step is not None
        people = [p for p in state.people.values() if len(p.history)]
        for person in people:
            if person.stream is None:
                first, _ = person.history.sample(np.array([person.history.first_ns]), 0)
                person.stream = self._streaming.start(first[0].reshape(-1))
                person.grid_ns = person.history.first_ns - self._period
        lag = (self._frames - 1 - self._target) * self._period
        while True:
            ready = [p for p in people if p.grid_ns + self._period <= p.history.last_ns]
            if not ready:
                return
            rows = []
            for person in ready:
                person.grid_ns += self._period
                values, _ = person.history.sample(np.array([person.grid_ns]), self._period // 5)
                rows.append(values[0].reshape(-1))
            streams = [p.stream for p in ready if p.stream is not None]
            output = self._streaming.advance(streams, np.array(rows))
            roots = output.get('root')
            for k, person in enumerate(ready):
                root = None if roots is None else roots[k].astype(float)
                person.outputs.append(
                    (person.grid_ns - lag, output['joints'][k].astype(float), root)
                )

    def _streamed(self, person: _Person, stamp_ns: int, view: View) -> Lifted | None:
        """What the stream said at a time, between two of its outputs."""
        assert self._step is not None
        outputs = person.outputs
        before = [item for item in outputs if item[0] <= stamp_ns]
        after = [item for item in outputs if item[0] >= stamp_ns]
        if not before or not after:
            if not outputs:
                return None
            before = after = [min(outputs, key=lambda item: abs(item[0] - stamp_ns))]
        a, b = before[-1], after[0]
        share = (stamp_ns - a[0]) / (b[0] - a[0]) if b[0] > a[0] else 0.0
        share = min(max(share, 0.0), 1.0)
        mixed = {'joints': ((1 - share) * a[1] + share * b[1])[None]}
        if a[2] is not None and b[2] is not None:
            mixed['root'] = ((1 - share) * a[2] + share * b[2])[None]
        return self._step.lifted(mixed, [view])[0]

    def _pose(self, seen: Pose3D, lifted: Lifted) -> Pose3D:
        """A pose of the lifter's convention with the pixels of the source's joints."""
        if not np.isfinite(lifted.xyz).any():
            return self._nobody(seen)
        flat = convert(
            seen.replace(xyz=np.full_like(seen.xyz, np.nan), covariance=None), self.skeleton
        )
        known = np.isfinite(flat.pixels).all(axis=1)
        sure = known & ~(flat.confidence < self._options.min_keypoint_score)
        status = np.where(
            sure & (flat.status == JointStatus.MEASURED), JointStatus.MEASURED, JointStatus.INFERRED
        )
        pose = flat.replace(
            xyz=lifted.xyz, covariance=lifted.covariance, status=status.astype(np.uint8)
        )
        if not self._lift.metric and not self._config.parity:
            height = body_height(pose)
            if math.isfinite(height):
                wanted = self._config.body_height_m or _TALL
                pose = pose.replace(xyz=pose.xyz * (wanted / height))
        if lifted.root is not None:
            pose = pose.replace(xyz=pose.xyz + lifted.root, position_source=PositionSource.METRIC)
        return pose

    def _nobody(self, seen: Pose3D) -> Pose3D:
        joints = len(self.skeleton)
        flat = convert(
            seen.replace(xyz=np.full_like(seen.xyz, np.nan), covariance=None), self.skeleton
        )
        return flat.replace(
            xyz=np.full((joints, 3), np.nan),
            status=np.full(joints, JointStatus.INVALID, np.uint8),
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


def _blank(frame: Frame) -> Array:
    """An image of the same size that takes no memory."""
    return np.broadcast_to(np.zeros((1, 1, 3), np.uint8), frame.image.shape)
