# SPDX-License-Identifier: Apache-2.0
"""Lifting from the Deep (Tome, Russell, Agapito, CVPR 2017, arXiv 1701.00295).

2D joints of any source, lifted with a mixture of PPCA shape models. The prior that comes with the
package was learnt from CMU's motion capture; the published one is read too. By default the most
probable pose is delivered, on its camera's rays and with the camera's pitch; `method: published`
is the fit of the published program, `parity` also repeats its faults.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...detectors.cpm import CpmKeypoints
from ...detectors.keypoints import KeypointSource
from ...resources import resource
from ...settings.declare import setting
from ...settings.estimators import EstimatorSpec
from ...settings.pipeline import PipelineConfig
from ...skeleton import SKELETONS
from ...timing import StageTimer
from ...types import Array, EstimatorInfo, Frame, JointStatus, Pose3D
from ...zoo.store import sha256
from ..sources import create_source, source_config, source_models
from .level_view import LevelView, PitchEstimate, down
from .observations import Observation, observed
from .posterior import Posterior, PosteriorLifter
from .prior import MIN_JOINTS, Lifter, Prior, lift_as_published

_JOINTS = 17
_H36M = SKELETONS['h36m_17']
# How far joints are off about the root, in millimetres to the right, down and away, for those that
# are visible and those that are not. 68 % of the errors are smaller on motion that a prior was not
# learnt from, through a simulated detector (benchmarks/lifting_accuracy.py).
_SPREADS_MM: dict[str, tuple[tuple[int, int, int], tuple[int, int, int]]] = {
    'pelvis': ((10, 10, 10), (10, 10, 10)),
    'hip': ((13, 8, 15), (15, 9, 19)),
    'knee': ((36, 42, 72), (84, 54, 92)),
    'ankle': ((44, 72, 117), (106, 96, 138)),
    'spine': ((21, 22, 26), (21, 22, 26)),
    'thorax': ((25, 58, 51), (25, 58, 51)),
    'neck': ((42, 73, 79), (42, 73, 79)),
    'head': ((51, 76, 90), (51, 76, 90)),
    'shoulder': ((33, 75, 60), (40, 80, 68)),
    'elbow': ((38, 48, 70), (58, 65, 70)),
    'wrist': ((48, 41, 107), (106, 119, 107)),
}
# (2, 17, 3) metres, visible and not.
_SPREADS: Array = (
    np.swapaxes([_SPREADS_MM[name.rpartition('_')[2]] for name in _H36M.names], 0, 1) / 1000
)
_PERSPECTIVE_STEPS = 1  # a second one makes it worse on motion that the prior was not learnt from
_PITCH_JOINTS = 10


@dataclass(frozen=True)
class Options:
    """Settings of this estimator."""

    keypoints: str = setting(
        'blazepose',
        'where 2D joints come from: cpm (the published networks), blazepose or another estimator, '
        'rtmpose, topic (pose3d_ros/Skeleton3DArray), or a file (.json, .jsonl, .npz)',
    )
    keypoints_model: str = setting('', 'model of that source; empty: its default')
    prior: str = setting('', "file of shape models, .mat or .npz; empty: the package's own")
    method: str = setting(
        'posterior',
        'posterior: most probable pose; published: fit of the published program',
        choices=('posterior', 'published'),
    )
    noise_mm: float = setting(
        45.0, 'how far 2D joints are off, at the body; 0: as the prior says', low=0, high=300
    )
    min_confidence: float = setting(
        0.3, 'joints of less confidence are left out', low=0, high=1, live=True
    )
    pitch: str = setting(
        'auto',
        "auto: the frame's gravity if it is known, else estimated from people; level; fixed",
        choices=('auto', 'level', 'fixed'),
        live=True,
    )
    pitch_rad: float = setting(
        0.0, 'how far the camera looks down, for pitch fixed', low=-1.5, high=1.5, live=True
    )
    symmetric_limbs: bool = setting(
        False, 'left and right limbs get the same length, their mean', live=True
    )


@dataclass
class _State:
    """What is remembered of one camera."""

    pitch: PitchEstimate = field(default_factory=PitchEstimate)


def _models(config: PipelineConfig) -> Sequence[str]:
    options = config.typed_options(Options)
    if options.keypoints == 'cpm':
        return CpmKeypoints.models(config.model)
    return source_models(options.keypoints, config, options.keypoints_model)


class Estimator:
    """See the module."""

    spec = EstimatorSpec(Options, _models)

    def __init__(self, config: PipelineConfig) -> None:
        """Load the prior and the source of 2D joints; ModelError, BackendError, ConfigError."""
        self.skeleton = _H36M
        options = config.typed_options(Options)
        path = Path(options.prior) if options.prior else resource('config', 'pose_prior.npz')
        self._prior = Prior.load(path)
        self._published = config.parity or options.method == 'published'
        self._lifter = Lifter(self._prior)
        self._posterior = PosteriorLifter(self._prior, options.noise_mm)
        self._source: KeypointSource
        if options.keypoints == 'cpm':
            # The published networks are the estimator's own: `model` and `parity` are theirs.
            self._source = CpmKeypoints(config)
        else:
            self._source = create_source(options.keypoints, config, options.keypoints_model)
        source = self._source.info
        self.info = EstimatorInfo(
            model=f'{source.model}+{path.stem}',
            version=f'{source.version}+{sha256(path)[:12]}',
            backend=source.backend,
            device=source.device,
            precision=source.precision,
            metric=False,
            size_sigma=0.08,
        )
        self._states: dict[str, _State] = {}
        self._timer = StageTimer()
        self.configure(config)

    def configure(self, config: PipelineConfig) -> None:
        """Take over live settings."""
        self._config = config
        self._options = config.typed_options(Options)
        if self._options.keypoints != 'cpm':
            name, model = self._options.keypoints, self._options.keypoints_model
            config = source_config(name, config, model)
        self._source.configure(config)

    def reset(self, source: str | None = None) -> None:
        """Forget people and the pitch of one camera, or of all."""
        self._source.reset(source)
        if source is None:
            self._states.clear()
        else:
            self._states.pop(source, None)

    def timings(self) -> dict[str, float]:
        """Milliseconds: those of the 2D source, lift."""
        return {**self._source.timings(), **self._timer.milliseconds}

    def estimate(self, frames: Sequence[Frame]) -> list[list[Pose3D]]:
        """People of each frame; see `estimators.Estimator`."""
        joints = self._prior.joints
        people = [[observed(pose, joints) for pose in row] for row in self._source.estimate(frames)]
        self._timer.start('lift')
        out = [self.poses(*item) for item in zip(frames, people)]
        self._timer.end('lift')
        return out

    def poses(self, frame: Frame, people: Sequence[Observation]) -> list[Pose3D]:
        """Of the people in one frame, without those of whom too few joints are visible."""
        if self._published:
            return self._as_published(people)
        return self._most_probable(frame, people)

    def _usable(self, person: Observation) -> Array:
        limit = 0.0 if self._config.parity else self._options.min_confidence
        confident = person.visible if self._config.parity else person.confidence >= limit
        return np.asarray(confident & np.isfinite(person.pixels).all(axis=1))

    def _as_published(self, people: Sequence[Observation]) -> list[Pose3D]:
        """Scale, place and size of everybody are those of the published program."""
        if not people:
            return []
        parity = self._config.parity
        masks = np.array([self._usable(person)[:_JOINTS] for person in people])
        pixels = np.array([person.pixels[:_JOINTS] for person in people])
        bodies = lift_as_published(self._lifter, pixels, masks, faults=parity, exact=parity)
        out = []
        for person, mask, body in zip(people, masks, bodies):
            if body is not None and np.isfinite(body).all():
                xyz = np.stack([body[0], -body[2], body[1]], axis=1) / 1000
                out.append(self._pose(person, mask, xyz))
        return out

    def _most_probable(self, frame: Frame, people: Sequence[Observation]) -> list[Pose3D]:
        state = self._states.setdefault(frame.source, _State())
        masks = [self._usable(person) for person in people]
        rays = [None if frame.camera is None else frame.camera.rays(p.pixels) for p in people]
        gravity = self._gravity(frame, state, rays, masks)
        out = []
        for person, ray, mask in zip(people, rays, masks):
            view = None if ray is None else LevelView.of(ray, mask, gravity)
            if view is not None and view.observed.sum() >= MIN_JOINTS:
                fit = self._fit(view)
                xyz = None if fit is None else view.to_camera(fit.shape)
            elif mask.sum() >= MIN_JOINTS and np.ptp(person.pixels[mask], axis=0).max() > 1e-6:
                shape = self._posterior.fit(np.nan_to_num(person.pixels), mask).shape
                xyz = np.stack([shape[0], -shape[2], shape[1]], axis=1)
            else:
                xyz = None
            if xyz is not None and np.isfinite(xyz).all():
                out.append(self._pose(person, mask, xyz[:_JOINTS] / 1000))
        return out

    def _fit(self, view: LevelView) -> Posterior | None:
        if not view.extended:
            return None
        fit = self._posterior.fit(view.points, view.observed)
        for _ in range(_PERSPECTIVE_STEPS):
            # Image points are x/z, so that a unit of them is as many millimetres as the distance.
            points = view.parallel(fit.shape, fit.mm_per_unit)
            fit = self._posterior.fit(points, view.observed)
        return fit

    def _gravity(
        self, frame: Frame, state: _State, rays: Sequence[Array | None], masks: Sequence[Array]
    ) -> Array:
        """(3,) unit vector down, in the optical frame."""
        options = self._options
        if options.pitch == 'level':
            return down(0.0)
        if options.pitch == 'fixed':
            return down(options.pitch_rad)
        if frame.gravity is not None:
            return frame.gravity
        state.pitch.frames += 1
        best = max(range(len(masks)), key=lambda k: int(masks[k].sum()), default=None)
        if best is not None and state.pitch.due and masks[best].sum() >= _PITCH_JOINTS:
            ray, mask = rays[best], masks[best]
            if ray is not None:
                state.pitch.add(lambda pitches: self._costs(ray, mask, pitches))
        return down(state.pitch.pitch)

    def _costs(self, rays: Array, mask: Array, pitches: Array) -> Array:
        """Of cameras with those pitches; NaN if not all of them see the same joints."""
        views = []
        for pitch in pitches.tolist():
            view = LevelView.of(rays, mask, down(pitch))
            if view is None or (view.observed != mask).any() or not view.extended:
                return np.full(len(pitches), math.nan)
            views.append(view)
        fits = self._posterior.fit_all(np.array([view.points for view in views]), mask)
        points = [view.parallel(fit.shape, fit.mm_per_unit) for view, fit in zip(views, fits)]
        return self._posterior.costs(np.array(points), mask)

    def _pose(self, person: Observation, mask: Array, xyz: Array) -> Pose3D:
        """xyz: (17, 3) metres along the camera's axes, origin anywhere."""
        if self._options.symmetric_limbs:
            xyz = symmetric(xyz)
        xyz = xyz - xyz[0]
        mask = mask[:_JOINTS]
        pixels = np.where(mask[:, None], person.pixels[:_JOINTS], np.nan)
        confidence = np.where(mask, person.confidence[:_JOINTS], np.nan)
        mean_confidence = float(np.nanmean(confidence)) if mask.any() else 0.0
        pixels[~mask] = _drawn(xyz, pixels, mask)[~mask]
        confidence = np.where(mask, confidence, 0.5 * mean_confidence)
        measured = mask & person.visible[:_JOINTS]
        status = np.where(measured, JointStatus.MEASURED, JointStatus.INFERRED).astype(np.uint8)
        covariance = None
        if not self._config.parity:
            spread = np.where(mask[:, None], _SPREADS[0], _SPREADS[1])
            covariance = np.zeros((_JOINTS, 3, 3))
            covariance[:, range(3), range(3)] = spread**2
        return Pose3D(
            skeleton=self.skeleton,
            xyz=xyz,
            confidence=confidence,
            pixels=pixels,
            status=status,
            covariance=covariance,
            score=person.score,
            size_px=person.size_px,
        )


def _drawn(xyz: Array, pixels: Array, mask: Array) -> Array:
    """(17, 2) where joints (17, 3) lie in the image, by a scale and shift to those of the mask."""
    body, image = xyz[mask, :2], pixels[mask]
    a, b = body - body.mean(axis=0), image - image.mean(axis=0)
    scale = float((a * b).sum() / max(float((a * a).sum()), 1e-12))
    return np.asarray((xyz[:, :2] - body.mean(axis=0)) * scale + image.mean(axis=0))


def symmetric(xyz: Array) -> Array:
    """Joints (17, 3) with the same directions of all bones, and left limbs as long as right."""
    parents, mirror = _H36M.parents, _H36M.mirror
    bones = np.array([xyz[k] - xyz[p] if p >= 0 else xyz[k] for k, p in enumerate(parents)])
    lengths = np.linalg.norm(bones, axis=1)
    means = 0.5 * (lengths + lengths[list(mirror)])
    out = xyz.copy()
    for k, p in enumerate(parents):
        if p >= 0 and lengths[k] > 1e-9:
            out[k] = out[p] + bones[k] * (means[k] / lengths[k])
    return out
