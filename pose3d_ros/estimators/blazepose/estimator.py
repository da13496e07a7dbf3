# SPDX-License-Identifier: Apache-2.0
"""BlazePose GHUM (arXiv 2006.10204) for several people: finder, regions of interest, landmarks.

Each person has a slot: a region of interest (ROI) that follows the landmarks from frame to frame.
A finder of people begins slots; `search` says when and where it looks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ...backends import NetworkSpec, Pixels, Port
from ...detectors.finder import finder_models
from ...detectors.search import create_search, search_options
from ...geometry import yaw
from ...networks import blazepose as network
from ...people.filters import OneEuro, OneEuroSettings
from ...settings.declare import setting
from ...settings.estimators import EstimatorSpec
from ...settings.pipeline import PipelineConfig
from ...skeleton import SKELETONS
from ...timing import StageTimer
from ...types import Array, Frame, JointStatus, Pose3D
from ...zoo import find_model, loading
from .. import info_of
from .slots import BEHIND, BODY, Slot, distinct, doubtful, in_front, misled, newcomers, on_one_body

_LANDMARK_FILTER = OneEuroSettings(0.05, 80.0)
_WORLD_FILTER = OneEuroSettings(0.1, 40.0)
_HIPS = [23, 24]
_MEASURED, _INFERRED = np.uint8(JointStatus.MEASURED), np.uint8(JointStatus.INFERRED)
# Standard deviation of x, y, z in metres, root-relative, of joints that are seen: root mean square
# errors on the rendered one-person clips of the test data. Up to twice that for unseen ones.
_SIGMA = np.zeros((BODY, 3))
for _joints, _sigma in (
    (range(11), (0.035, 0.065, 0.095)),  # head
    ((11, 12), (0.035, 0.070, 0.090)),  # shoulders
    ((13, 14), (0.040, 0.055, 0.120)),  # elbows
    ((15, 16), (0.050, 0.070, 0.160)),  # wrists
    (range(17, 23), (0.055, 0.085, 0.185)),  # hands
    ((23, 24), (0.011, 0.013, 0.015)),  # hips
    ((25, 26), (0.035, 0.040, 0.085)),  # knees
    ((27, 28), (0.040, 0.060, 0.100)),  # ankles
    (range(29, 33), (0.045, 0.070, 0.120)),  # feet
):
    _SIGMA[list(_joints)] = _sigma
_COVARIANCE = _SIGMA[:, :, None] ** 2 * np.eye(3)
_SIZE_SIGMA = 0.08  # of the body size, from the same clips


@dataclass(frozen=True)
class Options:
    """Settings of this estimator."""

    min_presence: float = setting(
        0.5, 'a region whose presence is not over this holds nobody', low=0, high=1, live=True
    )
    max_overlap: float = setting(
        0.9,
        'two results whose keypoint similarity (OKS) is over this are one person; a third of it '
        'for somebody who is new',
        low=0.05,
        high=1,
        live=True,
    )
    yaw_correction: bool = setting(
        True,
        'turn people seen off the optical axis by their bearing (calibrated cameras)',
        live=True,
    )


@dataclass
class _Published:
    """The filters of the published package, with what it forgets to reset."""

    landmarks: OneEuro = field(default_factory=lambda: OneEuro(_LANDMARK_FILTER))
    world: OneEuro = field(default_factory=lambda: OneEuro(_WORLD_FILTER))
    visibility: Array | None = None


@dataclass
class _State:
    """What is remembered of one camera."""

    slots: list[Slot] = field(default_factory=list)
    published: _Published = field(default_factory=_Published)


def _models(config: PipelineConfig) -> tuple[str, ...]:
    return (config.model or 'blazepose', *finder_models(config))


class Estimator:
    """See the module; `config.parity` follows the published package, one person and all."""

    spec = EstimatorSpec(Options, models=_models)

    def __init__(self, config: PipelineConfig) -> None:
        """Load the networks; raises ModelError, BackendError, ConfigError."""
        self.skeleton = SKELETONS['blazepose_33']
        model = find_model(config.model or 'blazepose', 'landmarks', models_dir=config.models_dir)
        self._landmarks = loading.load(
            config,
            NetworkSpec(
                model.files['landmarks'],
                {'image': Port((None, 256, 256, 3), image=Pixels(0.0, 255.0))},
                {
                    'landmarks': Port((None, 195)),
                    'presence': Port((None, 1)),
                    'heatmaps': Port((None, 64, 64, 39)),
                    'world': Port((None, 117)),
                },
                heads=('landmarks', 'presence', 'world'),
            ),
            model.precision['landmarks'],
        )
        self.info = info_of(model, self._landmarks, metric=True, size_sigma=_SIZE_SIGMA)
        self._search = create_search(config)
        self._states: dict[str, _State] = {}
        self._timer = StageTimer()
        self.configure(config)
        self._warm_up()

    def _warm_up(self) -> None:
        """Run the network for one and two people, so that the first person does not wait for it."""
        for count in (1, 2):
            self._landmarks({'image': np.zeros((count, 256, 256, 3), np.uint8)})

    def configure(self, config: PipelineConfig) -> None:
        """Take over live settings."""
        self._config = config
        self._options = config.typed_options(Options)
        self._limit = 1 if config.parity else config.max_people
        self._search.configure(search_options(config))

    def reset(self, source: str | None = None) -> None:
        """Forget everybody."""
        self._search.reset(source)
        if source is None:
            self._states.clear()
        else:
            self._states.pop(source, None)

    def timings(self) -> dict[str, float]:
        """Milliseconds: crop, detector, landmarks, decode."""
        return self._timer.milliseconds

    def estimate(self, frames: Sequence[Frame]) -> list[list[Pose3D]]:
        """People of each frame; see `estimators.Estimator`."""
        self._timer.start('finder', 'crop', 'landmarks', 'decode')
        states = [self._states.setdefault(frame.source, _State()) for frame in frames]
        fresh = [self._newcomers(frame, state) for frame, state in zip(frames, states)]
        asked = [state.slots + new for state, new in zip(states, fresh)]
        kept = self._follow(frames, asked)
        for frame, state, slots, everybody in zip(frames, states, kept, asked):
            before = state.slots
            state.slots = self._distinct(frame, slots, everybody)
            gone = [slot.expected() for slot in before if slot not in state.slots]
            if gone and not self._config.parity:
                # Somebody left or was hidden: search again, in step in the same frame.
                self._search.lost(frame, np.array(gone))
                new = self._newcomers(frame, state, now=True)
                more = self._follow([frame], [new])[0]
                state.slots = self._distinct(frame, state.slots + more, state.slots + new)
        return [self._deliver(frame, state) for frame, state in zip(frames, states)]

    def _newcomers(self, frame: Frame, state: _State, *, now: bool = False) -> list[Slot]:
        """New slots for people who are not followed yet."""
        self._timer.resume()
        if self._config.parity and state.slots:
            return []
        boxes = np.array([slot.box() for slot in state.slots]).reshape(-1, 4)
        sighting = self._search.sighting(frame, boxes, now=now or self._config.parity)
        self._timer.end('finder')
        if sighting is None:
            return []
        room = self._limit - len(state.slots)
        slots = newcomers(sighting, state.slots, room, in_step=self._config.finder_in_step)
        state.slots = [slot for slot in state.slots if not doubtful(slot)]
        self._timer.end('decode')
        return slots

    def _distinct(self, frame: Frame, slots: Sequence[Slot], asked: Sequence[Slot]) -> list[Slot]:
        """One slot per body. slots: those of asked that hold somebody."""
        good = [slot for slot in slots if slot.judge()]
        if not self._config.parity:
            good = self._look_behind(frame, good, [slot for slot in asked if slot not in good])
        return distinct(frame, good, self._options.max_overlap)

    def _look_behind(self, frame: Frame, good: list[Slot], failed: Sequence[Slot]) -> list[Slot]:
        """Look again at regions in which somebody else stands in front, painted over."""
        limit = self._options.max_overlap
        wrong = misled(frame, good, limit)
        others = [slot for slot in good if slot not in wrong]
        again = [slot for slot in (*wrong, *failed) if in_front(slot, others)]
        if not again:
            return good
        before = [(slot.landmarks, slot.world, slot.presence) for slot in again]
        read = self._follow([frame], [again], others)[0]
        for slot, reading in zip(again, before):
            real = slot in read and slot.judge()
            if real and not on_one_body(slot, others, limit / 3, BEHIND):
                good += [slot] if slot in failed else []
            else:
                slot.take(*reading)
        return good

    def _follow(
        self,
        frames: Sequence[Frame],
        slots: Sequence[Sequence[Slot]],
        painted: Sequence[Slot] = (),
    ) -> list[list[Slot]]:
        """Run the landmark network on all regions of all frames; slots that hold somebody.

        painted: whose bodies are painted over where they stand in others' regions.
        """
        self._timer.resume()
        todo = [(k, slot) for k, group in enumerate(slots) for slot in group]
        kept: list[list[Slot]] = [[] for _ in frames]
        if not todo:
            return kept
        tensor = np.empty((len(todo), network.CROP_SIZE, network.CROP_SIZE, 3), np.uint8)
        for item, (k, slot) in zip(tensor, todo):
            network.crop(frames[k].image, slot.roi, out=item)
            for other in in_front(slot, painted):
                network.paint_over(item, slot.roi, other.landmarks, other.radius)
        self._timer.end('crop')
        raw = self._landmarks({'image': tensor})
        self._timer.end('landmarks')
        rois = np.array([slot.roi for _, slot in todo])
        points = network.decode_landmarks(raw['landmarks'], raw['heatmaps'], rois)
        worlds = network.decode_world(raw['world'], rois)
        limit = 0.5 if self._config.parity else self._options.min_presence
        for (k, slot), landmarks, world, presence in zip(todo, points, worlds, raw['presence']):
            if not (
                presence[0] > limit and np.isfinite(landmarks).all() and np.isfinite(world).all()
            ):
                continue
            slot.take(landmarks, world, float(presence[0]))
            kept[k].append(slot)
        self._timer.end('decode')
        return kept

    def _deliver(self, frame: Frame, state: _State) -> list[Pose3D]:
        self._timer.resume()
        if self._config.parity:
            if not state.slots:
                # The published package forgets these two on a loss, and only these.
                state.published.landmarks.reset()
            poses = [self._as_published(frame, state.published, slot) for slot in state.slots]
        else:
            due = self._config.confirm_frames
            slots = [slot for slot in state.slots if slot.confirmed and slot.age >= due]
            poses = [self._pose(frame, slot) for slot in slots]
        self._timer.end('decode')
        return poses

    def _pose(self, frame: Frame, slot: Slot) -> Pose3D:
        landmarks, xyz = slot.landmarks[:BODY], slot.world[:BODY]
        confidence = np.minimum(landmarks[:, 3], landmarks[:, 4])
        if frame.camera is not None and self._options.yaw_correction:
            hips = frame.camera.rays(landmarks[_HIPS, :2].mean(axis=0))
            if np.isfinite(hips).all():
                xyz = yaw(xyz, math.atan(hips[0, 0]))
        covariance = _COVARIANCE * ((2 - confidence) ** 2)[:, None, None]
        return self._make(frame, slot, landmarks[:, :2], xyz, confidence, covariance)

    def _as_published(self, frame: Frame, filters: _Published, slot: Slot) -> Pose3D:
        landmarks = slot.landmarks[:BODY]
        size = 2 * slot.radius
        points = landmarks[:, :3]
        if size > 1e-6:
            points = filters.landmarks(points, frame.stamp_ns, 1 / size)
        world = filters.world(slot.world[:BODY], frame.stamp_ns)
        visibility = landmarks[:, 3]
        if filters.visibility is not None:
            visibility = 0.1 * visibility + 0.9 * filters.visibility
        filters.visibility = visibility
        return self._make(frame, slot, points[:, :2], world, visibility.copy(), None)

    def _make(
        self,
        frame: Frame,
        slot: Slot,
        pixels: Array,
        xyz: Array,
        confidence: Array,
        covariance: Array | None,
    ) -> Pose3D:
        (width, height), (x, y) = frame.size, pixels.T
        visible, present = slot.landmarks[:BODY, 3], slot.landmarks[:BODY, 4]
        measured = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
        measured &= (visible >= 0.5) & (present >= 0.5)
        status = np.where(measured, _MEASURED, _INFERRED)
        return Pose3D(
            skeleton=self.skeleton,
            xyz=xyz,
            confidence=confidence,
            pixels=pixels.copy(),
            status=status,
            covariance=covariance,
            score=slot.presence,
            size_px=2 * slot.radius,
        )
