# SPDX-License-Identifier: Apache-2.0
"""BlazePose GHUM (arXiv 2006.10204) for several people: detector, regions of interest, landmarks.

Each person has a slot: a region of interest (ROI) that follows the landmarks from frame to frame.
The detector runs when nobody is followed, when somebody was just lost, and now and then while
there is room for more people.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..backends import NetworkSpec, Pixels, Port
from ..geometry import yaw
from ..networks import blazepose as parts
from ..people.appearance import appearance, difference
from ..people.filters import OneEuro, OneEuroSettings
from ..settings.declare import setting
from ..settings.estimators import EstimatorSpec
from ..settings.pipeline import PipelineConfig
from ..skeleton import SKELETONS
from ..timing import StageTimer
from ..types import Array, Frame, JointStatus, Pose3D
from ..zoo import find_model, loading
from . import info_of

_LANDMARK_FILTER = OneEuroSettings(0.05, 80.0)
_AUXILIARY_FILTER = OneEuroSettings(0.01, 10.0)
_WORLD_FILTER = OneEuroSettings(0.1, 40.0)
_HIPS = [23, 24]
_TRUNK = [11, 12, 23, 24]
_BODY = parts.PUBLISHED
_MEASURED, _INFERRED = np.uint8(JointStatus.MEASURED), np.uint8(JointStatus.INFERRED)
_YOUNG = 10  # frames after which a slot has proved itself
_PROBATION = 4
_PATIENCE = 3
_COVERED = 0.75
_SEARCH_FRAMES = 45  # for so long after a loss the detector runs more often
_SEARCH_INTERVAL = 3
_LOOK_WEIGHT = 3.0
_LOOK_INTERVAL = 5

# Standard deviation of x, y, z in metres, root-relative, of joints that are seen: root mean square
# errors on the rendered one-person clips of the test data. Up to twice that for unseen ones.
_SIGMA = np.zeros((_BODY, 3))
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

    detector_interval: int = setting(
        20, 'frames between two runs of the detector while there is room for more people',
        low=1, high=1000, live=True,
    )  # fmt: skip
    min_presence: float = setting(
        0.5, 'a region whose presence is not over this holds nobody', low=0, high=1, live=True
    )
    max_overlap: float = setting(
        0.9,
        'two results whose keypoint similarity (OKS) is over this are one person; a third of it '
        'for somebody just found',
        low=0.05,
        high=1,
        live=True,
    )
    yaw_correction: bool = setting(
        True,
        'turn people seen off the optical axis by their bearing (calibrated cameras)',
        live=True,
    )


@dataclass(eq=False)
class _Slot:
    """One person being followed.

    roi: (4,) of the next frame. age: frames with landmarks. trunk, speed: (4, 2) pixels and px/s
    of shoulders and hips as they were. doubt: mean surprise of the last frames. look: colours of
    the clothes while nobody stood close. covered: frames that it has lain on another body.
    """

    roi: Array
    age: int = 0
    stamp_ns: int = 0
    trunk: Array | None = None
    speed: Array = field(default_factory=lambda: np.zeros((4, 2)))
    doubt: float = 0.0
    look: Array | None = None
    covered: int = 0
    auxiliary: OneEuro = field(default_factory=lambda: OneEuro(_AUXILIARY_FILTER))
    landmarks: Array = field(default_factory=lambda: np.zeros((parts.LANDMARKS, 5)))
    world: Array = field(default_factory=lambda: np.zeros((parts.LANDMARKS, 3)))
    presence: float = 0.0

    radius: float = 0.0

    def take(self, landmarks: Array, world: Array, presence: float) -> None:
        """What the landmark network read. radius: of the body's circle, pixels, unfiltered."""
        self.landmarks, self.world, self.presence = landmarks, world, presence
        (x, y), (u, v) = landmarks[[parts.HIP_CENTRE, parts.CIRCLE_POINT], :2].tolist()
        self.radius = math.hypot(u - x, v - y)

    def surprise(self, stamp_ns: int) -> float:
        """How far, in body radii, the trunk is from where its motion led, now and lately."""
        if self.trunk is None:
            return 0.0
        expected = self.trunk + self.speed * ((stamp_ns - self.stamp_ns) * 1e-9)
        miss = self.landmarks[_TRUNK, :2] - expected
        return self.doubt + float(np.hypot(miss[:, 0], miss[:, 1]).mean()) / max(self.radius, 1.0)

    def follow_trunk(self, stamp_ns: int) -> None:
        """Take over where the trunk is now."""
        trunk = self.landmarks[_TRUNK, :2]
        dt = (stamp_ns - self.stamp_ns) * 1e-9
        if self.trunk is not None and dt > 0:
            self.doubt = 0.8 * self.surprise(stamp_ns)
            self.speed = 0.85 * self.speed + 0.15 * (trunk - self.trunk) / dt
        self.trunk = trunk


@dataclass
class _Published:
    """The filters of the published package, with what it forgets to reset."""

    landmarks: OneEuro = field(default_factory=lambda: OneEuro(_LANDMARK_FILTER))
    world: OneEuro = field(default_factory=lambda: OneEuro(_WORLD_FILTER))
    visibility: Array | None = None


@dataclass
class _State:
    """What is remembered of one camera."""

    slots: list[_Slot] = field(default_factory=list)
    since_detection: int = 0
    since_loss: int = _SEARCH_FRAMES - 9  # so many frames of searching at the start
    published: _Published = field(default_factory=_Published)


class Estimator:
    """See the module; `config.parity` follows the published package, one person and all."""

    spec = EstimatorSpec(Options, models=lambda config: (config.model or 'blazepose',))

    def __init__(self, config: PipelineConfig) -> None:
        """Load both networks; raises ModelError, BackendError, ConfigError."""
        self.skeleton = SKELETONS['blazepose_33']
        model = find_model(
            config.model or 'blazepose', 'detector', 'landmarks', models_dir=config.models_dir
        )
        self._detector = loading.load(
            config,
            NetworkSpec(
                model.files['detector'],
                {'image': Port((None, 224, 224, 3), image=Pixels(127.5, 127.5))},
                {'boxes': Port((None, 2254, 12)), 'scores': Port((None, 2254, 1))},
            ),
            model.precision['detector'],
        )
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
        self._states: dict[str, _State] = {}
        self._timer = StageTimer()
        self.configure(config)
        self._warm_up()

    def _warm_up(self) -> None:
        """Run each network once, so that the first person does not wait for it."""
        self._detector({'image': np.zeros((1, 224, 224, 3), np.uint8)})
        for count in (1, 2):
            self._landmarks({'image': np.zeros((count, 256, 256, 3), np.uint8)})

    def configure(self, config: PipelineConfig) -> None:
        """Take over live settings."""
        self._config = config
        self._options = config.typed_options(Options)
        self._limit = 1 if config.parity else config.max_people

    def reset(self, source: str | None = None) -> None:
        """Forget everybody."""
        if source is None:
            self._states.clear()
        else:
            self._states.pop(source, None)

    def timings(self) -> dict[str, float]:
        """Milliseconds: crop, detector, landmarks, decode."""
        return self._timer.milliseconds

    def estimate(self, frames: Sequence[Frame]) -> list[list[Pose3D]]:
        """People of each frame; see `estimators.Estimator`."""
        self._timer.start('crop', 'detector', 'landmarks', 'decode')
        states = [self._states.setdefault(frame.source, _State()) for frame in frames]
        fresh: list[list[_Slot]] = []
        for frame, state in zip(frames, states):
            state.since_detection += 1
            state.since_loss += 1
            due = not state.slots or (
                not self._config.parity
                and len(state.slots) < self._limit
                and state.since_detection >= self._interval(state)
            )
            fresh.append(self._detect(frame, state) if due else [])
        kept = self._follow(frames, [s.slots + new for s, new in zip(states, fresh)])
        for k, (frame, state) in enumerate(zip(frames, states)):
            lost = any(slot not in kept[k] for slot in state.slots)
            before = len(state.slots)
            state.slots = self._distinct(frame, kept[k])
            if len(state.slots) < before:
                state.since_loss = 0
            if lost and not self._config.parity and state.since_detection > 0:
                # Somebody left or was hidden: look again in the same frame.
                found = self._follow([frame], [self._detect(frame, state)])[0]
                state.slots = self._distinct(frame, state.slots + found)
        return [self._deliver(frame, state) for frame, state in zip(frames, states)]

    def _interval(self, state: _State) -> int:
        interval = self._options.detector_interval
        return min(interval, _SEARCH_INTERVAL) if state.since_loss < _SEARCH_FRAMES else interval

    def _detect(self, frame: Frame, state: _State) -> list[_Slot]:
        """New slots for people who are not followed yet."""
        state.since_detection = 0
        self._timer.resume()
        tensor = parts.detector_input(frame.image)[None]
        self._timer.end('crop')
        raw = self._detector({'image': tensor})
        self._timer.end('detector')
        found = parts.decode_detections(
            raw['boxes'][0], raw['scores'][0, :, 0], self._config.min_score
        )
        found = parts.to_frame(found, frame.size)
        slots: list[_Slot] = []
        # Who was lost behind somebody comes back close to them.
        near = 0.05 if state.since_loss < _SEARCH_FRAMES else 0.15
        for row in found:
            roi = parts.roi_from_points(row[5:7], row[7:9])
            if len(state.slots) + len(slots) >= self._limit:
                break
            if roi[2] > 1 and not any(_same_region(roi, slot.roi, near) for slot in state.slots):
                slots.append(_Slot(roi, stamp_ns=frame.stamp_ns))
            if self._config.parity:
                break
        self._timer.end('decode')
        return slots

    def _follow(
        self, frames: Sequence[Frame], slots: Sequence[Sequence[_Slot]]
    ) -> list[list[_Slot]]:
        """Run the landmark network on all regions of all frames; slots that hold somebody."""
        self._timer.resume()
        todo = [(k, slot) for k, group in enumerate(slots) for slot in group]
        kept: list[list[_Slot]] = [[] for _ in frames]
        if not todo:
            return kept
        tensor = np.empty((len(todo), parts.CROP_SIZE, parts.CROP_SIZE, 3), np.uint8)
        for item, (k, slot) in zip(tensor, todo):
            parts.crop(frames[k].image, slot.roi, out=item)
        self._timer.end('crop')
        raw = self._landmarks({'image': tensor})
        self._timer.end('landmarks')
        rois = np.array([slot.roi for _, slot in todo])
        points = parts.decode_landmarks(raw['landmarks'], raw['heatmaps'], rois)
        worlds = parts.decode_world(raw['world'], rois)
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

    def _distinct(self, frame: Frame, slots: list[_Slot]) -> list[_Slot]:
        """One slot per body: of two on the same one, that whose motion led there stays."""
        close = [slot for slot in slots if any(_close(slot, other) for other in slots)]
        ranked = sorted(close, key=lambda slot: (slot.age < _YOUNG, self._doubt(frame, slot)))
        dropped: list[_Slot] = []
        for k, slot in enumerate(ranked):
            rivals = [other for other in ranked[:k] if other not in dropped]
            if self._on_another_body(slot, rivals):
                dropped.append(slot)
        kept = [slot for slot in slots if slot not in dropped]
        for slot in kept:
            self._advance(frame, slot)
            self._remember(frame, slot, kept)
        return kept

    def _doubt(self, frame: Frame, slot: _Slot) -> float:
        """That a slot still shows its own person: by motion and by the colours of the clothes."""
        doubt = slot.surprise(frame.stamp_ns)
        if slot.look is not None:
            now = appearance(frame.image, slot.landmarks[:_BODY, :2], self.skeleton)
            doubt += _LOOK_WEIGHT * difference(now, slot.look)
        return doubt

    def _remember(self, frame: Frame, slot: _Slot, slots: Sequence[_Slot]) -> None:
        """Learn the colours of somebody who stands alone, now and then."""
        if slot.age % _LOOK_INTERVAL != 1:
            return
        for other in slots:
            apart = math.hypot(*(slot.roi[:2] - other.roi[:2]))
            if other is not slot and apart < 0.35 * max(slot.radius, other.radius) * 2:
                return
        now = appearance(frame.image, slot.landmarks[:_BODY, :2], self.skeleton)
        if now is not None:
            slot.look = now if slot.look is None else 0.7 * slot.look + 0.3 * now

    def _on_another_body(self, slot: _Slot, rivals: Sequence[_Slot]) -> bool:
        """Whether a slot shows the person of another one, each of which is surer of itself."""
        young = slot.age < _YOUNG
        covered = any(
            parts.covered(slot.landmarks, other.landmarks, other.radius) > _COVERED
            for other in rivals
        )
        slot.covered = slot.covered + 1 if covered else 0
        if slot.covered >= (1 if young else _PATIENCE):
            return True
        # People who pass each other look alike for a moment; one body twice, for good.
        limit = self._options.max_overlap / (3 if young else 1)
        return any(
            parts.oks(slot.landmarks, other.landmarks, max(slot.radius, other.radius)) > limit
            for other in rivals
        )

    @staticmethod
    def _advance(frame: Frame, slot: _Slot) -> None:
        """Next region from the filtered auxiliary landmarks."""
        if slot.age and slot.stamp_ns == frame.stamp_ns:
            return
        points = slot.landmarks[[parts.HIP_CENTRE, parts.CIRCLE_POINT], :3]
        size = 2 * slot.radius
        if size > 1e-6:
            points = slot.auxiliary(points, frame.stamp_ns, 1 / size)
        slot.roi = parts.roi_from_points(points[0, :2], points[1, :2])
        slot.follow_trunk(frame.stamp_ns)
        slot.age += 1
        slot.stamp_ns = frame.stamp_ns

    def _deliver(self, frame: Frame, state: _State) -> list[Pose3D]:
        self._timer.resume()
        if self._config.parity:
            if not state.slots:
                # The published package forgets these two on a loss, and only these.
                state.published.landmarks.reset()
            poses = [self._as_published(frame, state.published, slot) for slot in state.slots]
        else:
            sure = [slot for slot in state.slots if not _on_probation(slot, state.slots)]
            poses = [self._pose(frame, slot) for slot in sure]
        self._timer.end('decode')
        return poses

    def _pose(self, frame: Frame, slot: _Slot) -> Pose3D:
        landmarks, xyz = slot.landmarks[:_BODY], slot.world[:_BODY]
        confidence = np.minimum(landmarks[:, 3], landmarks[:, 4])
        if frame.camera is not None and self._options.yaw_correction:
            hips = frame.camera.rays(landmarks[_HIPS, :2].mean(axis=0))
            if np.isfinite(hips).all():
                xyz = yaw(xyz, math.atan(hips[0, 0]))
        covariance = _COVARIANCE * ((2 - confidence) ** 2)[:, None, None]
        return self._make(frame, slot, landmarks[:, :2], xyz, confidence, covariance)

    def _as_published(self, frame: Frame, filters: _Published, slot: _Slot) -> Pose3D:
        landmarks = slot.landmarks[:_BODY]
        size = 2 * slot.radius
        points = landmarks[:, :3]
        if size > 1e-6:
            points = filters.landmarks(points, frame.stamp_ns, 1 / size)
        world = filters.world(slot.world[:_BODY], frame.stamp_ns)
        visibility = landmarks[:, 3]
        if filters.visibility is not None:
            visibility = 0.1 * visibility + 0.9 * filters.visibility
        filters.visibility = visibility
        return self._make(frame, slot, points[:, :2], world, visibility.copy(), None)

    def _make(
        self,
        frame: Frame,
        slot: _Slot,
        pixels: Array,
        xyz: Array,
        confidence: Array,
        covariance: Array | None,
    ) -> Pose3D:
        (width, height), (x, y) = frame.size, pixels.T
        visible, present = slot.landmarks[:_BODY, 3], slot.landmarks[:_BODY, 4]
        seen = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
        seen &= (visible >= 0.5) & (present >= 0.5)
        status = np.where(seen, _MEASURED, _INFERRED)
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


def _on_probation(slot: _Slot, slots: Sequence[_Slot]) -> bool:
    """Somebody just found beside somebody known may be a false reading of that body."""
    return slot.age < _PROBATION and any(
        other.age >= _YOUNG
        and math.hypot(*(slot.roi[:2] - other.roi[:2])) < 0.4 * max(slot.roi[2], other.roi[2])
        for other in slots
    )


def _close(slot: _Slot, other: _Slot) -> bool:
    """Whether two slots may be on one body."""
    if slot is other:
        return False
    a, b = slot.landmarks[parts.HIP_CENTRE], other.landmarks[parts.HIP_CENTRE]
    return bool(math.hypot(a[0] - b[0], a[1] - b[1]) < 0.3 * max(slot.roi[2], other.roi[2]))


def _same_region(a: Array, b: Array, near: float) -> bool:
    """Whether a detection is a person who is followed already; near: in ROI sizes.

    Not by overlap: people side by side share most of their squares.
    """
    apart = math.hypot(a[0] - b[0], a[1] - b[1])
    return bool(apart < near * max(a[2], b[2]) and 0.5 < a[2] / max(b[2], 1e-6) < 2.0)
