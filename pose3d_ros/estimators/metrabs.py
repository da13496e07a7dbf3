# SPDX-License-Identifier: Apache-2.0
"""MeTRAbs (arXiv 2007.07227): absolute poses by two heat maps of each point of the body.

The network gives points in millimetres about nobody knows where, and the same points in pixels of
the crop; both together determine the place. Joints are means of points by a published table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..backends import NetworkSpec, Port, input_shapes
from ..camera import Camera, CropCamera
from ..detectors.boxes import BoxOptions, create_people, detector_models, distinct
from ..errors import ModelError
from ..networks import metro as parts
from ..networks.crops import look_at_wide
from ..networks.person_crops import CropMaker, Person
from ..placement import published
from ..placement.crops import AUTO, CropBody, place_in_crop
from ..placement.solvers import robust_place
from ..settings.declare import setting
from ..settings.estimators import EstimatorSpec
from ..settings.pipeline import PipelineConfig
from ..skeleton import get_skeleton
from ..timing import StageTimer
from ..types import Array, Frame, Pose3D
from ..zoo import find_model, loading
from . import info_of

STRIDE = 32
JOINTS = ('coco_cmu_19', 'h36m_17')
_METHODS = ('auto', 'perspective', 'depth', 'box', *published.METHODS)
_FEWEST = 3
_GAMMA = 0.8  # of a single view, as published


@dataclass(frozen=True)
class Options(BoxOptions):
    """Settings of this estimator."""

    joints: str = setting('coco_cmu_19', 'which joints are made of the points', choices=JOINTS)
    place_by: str = setting(
        'auto',
        'how the place is found; auto: perspective, else depth, box; metrabs, metrabs_2020, '
        'metrabs_weak: as published',
        choices=_METHODS,
        live=True,
    )
    augmentations: int = setting(
        1, 'views of each person that are averaged, rolled, zoomed, mirrored; published: 5',
        low=1, high=25, live=True,
    )  # fmt: skip
    antialias: bool = setting(True, 'smooth images that shrink into their crop', live=True)
    min_confidence: float = setting(
        0.0, 'people whose mean joint confidence is under this are dropped',
        low=0, high=1, live=True,
    )  # fmt: skip


def _models(config: PipelineConfig) -> Sequence[str]:
    return (config.model or 'metrabs', *detector_models(_options(config), config))


class Estimator:
    """See the module."""

    spec = EstimatorSpec(Options, _models)

    def __init__(self, config: PipelineConfig) -> None:
        """Load the networks; raises ModelError, BackendError, ConfigError."""
        options = _options(config)
        self.skeleton = get_skeleton(options.joints)
        model = find_model(
            config.model or 'metrabs', 'pose', 'joints',
            models_dir=config.models_dir, backend=config.backend,
        )  # fmt: skip
        path = model.files['pose']
        shapes = list(input_shapes(path, config.backend).values())
        side = shapes[0][-1] if len(shapes) == 1 and len(shapes[0]) == 4 else None
        if not side or side % STRIDE:
            raise ModelError(f'{path} is no MeTRAbs network: its input is {shapes}')
        self._network = loading.load(
            config,
            NetworkSpec(
                path,
                {'image': Port((None, 3, side, side))},
                {
                    'points2d': Port((None, None, 2), 'points2d'),
                    'points3d': Port((None, None, 3), 'points3d'),
                    'margin': Port((None, None), 'margin'),
                    'variance': Port((None, None, 3), 'variance'),
                },
                heads=('points2d', 'points3d', 'margin', 'variance'),
            ),
            model.precision['pose'],
        )
        self._side = side
        points = self._run(np.zeros((1, side, side, 3), np.float32))['margin'].shape[1]
        table = loading.load(
            config.replace(precision='f32'),
            NetworkSpec(
                model.files['joints'],
                {'points': Port((None, points, 3))},
                {name: Port((None, len(get_skeleton(name)), 3), name) for name in JOINTS},
            ),
            'f32',
        )
        basis = np.repeat(np.eye(points, dtype=np.float32)[..., None], 3, axis=2)
        self._table = table({'points': basis})[options.joints][..., 0].T.astype(float)  # (J, P)
        share = np.abs(self._table)
        self._shares = share / np.maximum(share.sum(axis=1, keepdims=True), 1e-9)
        self._people = create_people(config, options)
        self.info = info_of(model, self._network, metric=True)
        self._maker = CropMaker(side, _look_at_each)
        self._timer = StageTimer()
        self.configure(config)

    def configure(self, config: PipelineConfig) -> None:
        """Take over live settings."""
        self._config, self._options = config, _options(config)
        self._views = parts.variants(self._options.augmentations, mirror=False)
        if len(self._views) == 1:
            self._views = (replace(self._views[0], gamma=_GAMMA),)
        self._people.configure(config, self._options)

    def reset(self, source: str | None = None) -> None:
        """Forget everybody."""
        self._people.reset(source)

    def timings(self) -> dict[str, float]:
        """Milliseconds: boxes, crop, network, decode."""
        return self._timer.milliseconds

    def estimate(self, frames: Sequence[Frame]) -> list[list[Pose3D]]:
        """People of each frame; see `estimators.Estimator`."""
        self._timer.start('boxes', 'crop', 'network', 'decode')
        boxes = self._people.boxes(frames)
        self._timer.end('boxes')
        people = self._maker.people(frames, boxes, self._views, linear=True)
        tensor = self._maker.tensor(people, self._views, self._options.antialias)
        self._timer.end('crop')
        raw = self._run(tensor) if people else {}
        self._timer.end('network')
        out: list[list[Pose3D]] = [[] for _ in frames]
        count = len(self._views)
        for k, person in enumerate(people):
            rows = slice(k * count, (k + 1) * count)
            pose = self._pose(person, {role: value[rows] for role, value in raw.items()})
            if pose is not None:
                out[person.index].append(pose)
        for k, frame in enumerate(frames):
            out[k] = distinct(out[k])
            self._people.update(frame, len(boxes[k]), out[k])
        self._timer.end('decode')
        return out

    def _run(self, tensor: Array) -> dict[str, Array]:
        return self._network({'image': np.moveaxis(tensor, 3, 1)})

    def _pose(self, person: Person, raw: dict[str, Array]) -> Pose3D | None:
        """The mean of a person's views, each placed by itself as published."""
        mirror = list(self.skeleton.mirror)
        method = self._options.place_by
        placed: list[Array] = []
        relative: list[Array] = []
        confidences: list[Array] = []
        for k, (view, variant) in enumerate(zip(person.views, self._views)):
            points = raw['points3d'][k].astype(float) / 1000
            trusted = raw['margin'][k] >= 0
            rays = view.rays(raw['points2d'][k].astype(float))
            moved = None if method in ('depth', 'box') else _place(method, points, rays, trusted)
            confidence = self._shares @ parts.confidence(
                raw['variance'][k].astype(float), self._side // STRIDE
            )
            joints = self._table @ (points if moved is None else moved)
            if variant.mirror:
                joints, confidence = joints[mirror], confidence[mirror]
            joints = view.to_camera(joints)
            (relative if moved is None else placed).append(joints)
            confidences.append(confidence)
        joints = np.mean(placed or relative, axis=0)
        if not np.isfinite(joints).all():
            return None
        confidence = np.mean(confidences, axis=0)
        if confidence.mean() < self._options.min_confidence:
            return None
        pixels = np.full((len(joints), 2), np.nan)
        if placed:
            pixels = person.crop.camera.project(joints)
        root = joints[list(self.skeleton.root)].mean(axis=0)
        body = CropBody(
            skeleton=self.skeleton,
            crop=person.crop,
            box=person.box,
            xyz=(joints - root) @ person.crop.R.T,
            confidence=confidence,
            pixels=pixels,
            pixel_confidence=np.where(np.isfinite(pixels).all(axis=1), 1.0, 0.0),
            score=float(person.box[4]),
        )
        # The pixels are those of joints that have their place, which is solved again.
        again = 'perspective' if placed else 'auto' if method not in AUTO else method
        pose = place_in_crop(body, person.frame, self._config, again)
        if placed and method in published.METHODS and pose.placed_by:
            pose = replace(pose, placed_by=method)
        return pose


def _look_at_each(camera: Camera, boxes: Array, size: int) -> list[CropCamera | None]:
    return [look_at_wide(camera, box, size) for box in boxes]


def _place(method: str, points: Array, rays: Array, trusted: Array) -> Array | None:
    """(P, 3) points in front of the view's camera; None if they do not determine their place."""
    if trusted.sum() < _FEWEST:
        return None
    if method in published.METHODS:
        return published.place_as_published(method, points, rays, trusted)
    place = robust_place(points, rays, trusted.astype(float))
    if place is None:
        return None
    # Points that the body does not agree with are wrong, and draw no joint to them.
    return published.metrabs_joints(points, rays, place.t, trusted & place.inliers)


def _options(config: PipelineConfig) -> Options:
    return config.typed_options(Options)
