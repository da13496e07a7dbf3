# SPDX-License-Identifier: Apache-2.0
"""MeTRo (arXiv 2003.02953): metric-scale, truncation-robust poses of people in boxes.

The network gives joints in millimetres about the root, inside the image or not. Where the body
stands is solved from 2D joints of another network on the same crops; see `placement.crops`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..backends import Network, NetworkSpec, Port
from ..detectors import crop_keypoints
from ..detectors.boxes import BoxOptions, create_people, detector_models, distinct
from ..detectors.crop_keypoints import Keypoints, create_source
from ..errors import ConfigError, ModelError
from ..networks import metro as parts
from ..networks.crops import look_at_each
from ..networks.person_crops import CropMaker, Person
from ..placement.crops import METHODS, CropBody, place_in_crop
from ..settings.declare import setting
from ..settings.estimators import EstimatorSpec
from ..settings.pipeline import PipelineConfig
from ..skeleton import conversion
from ..timing import StageTimer
from ..types import Array, Frame, Pose3D
from ..zoo import find_model, loading
from ..zoo.graphdef import RANDOM_MARK as MARK
from ..zoo.graphdef import read_graph
from . import info_of

SIDE = 256
_MIN_PRESENCE = 0.5


@dataclass(frozen=True)
class Options(BoxOptions):
    """Settings of this estimator."""

    keypoints: str = setting(
        'blazepose',
        'which network gives 2D joints for the place and the pixels: blazepose, rtmpose, none, or '
        'module:Class of another package',
    )
    keypoints_model: str = setting(
        '', 'registered model or path for sources of 2D joints that leave the choice'
    )
    place_by: str = setting(
        'auto',
        'how the place is found; auto: perspective, else bone_lengths, depth, box; metrabs, '
        'metrabs_2020, metrabs_weak: as published',
        choices=('auto', *METHODS),
        live=True,
    )
    augmentations: int = setting(
        1, 'views of each person that are averaged, rolled, zoomed, mirrored; 1: the plain one',
        low=1, high=25, live=True,
    )  # fmt: skip
    mirror: bool = setting(
        False, 'average with the mirror image (twice the time); needs augmentations 1', live=True
    )
    antialias: bool = setting(True, 'smooth images that shrink into their crop', live=True)
    min_confidence: float = setting(
        0.0,
        'people whose mean joint confidence is under this are dropped (when the graph gives any)',
        low=0,
        high=1,
        live=True,
    )


def _models(config: PipelineConfig) -> Sequence[str]:
    options = _options(config)
    points = crop_keypoints.models_of(options.keypoints, options.keypoints_model)
    return (config.model or 'metro', *detector_models(options, config), *points)


class Estimator:
    """See the module."""

    spec = EstimatorSpec(Options, _models)

    def __init__(self, config: PipelineConfig) -> None:
        """Load the networks; raises ModelError, BackendError, ConfigError."""
        options = _options(config)
        model = find_model(config.model or 'metro', 'pose', models_dir=config.models_dir)
        path = _readable(model.files['pose'], config)
        self._network, self._channels_first = load_graph(path, config, model.precision['pose'])
        blank = np.zeros((1, SIDE, SIDE, 3), np.float32)
        raw = self._run(blank)
        self._joints = parts.joints_of(raw['joints'].shape[1], path.name)
        self._everything = raw['joints'].shape[1] == self._joints.inside != len(self._joints.names)
        if path.suffix == '.pb':
            parts.check_joints(path.name, self._joints, *graph_joints(path))
        self.skeleton = self._joints.skeleton
        self._keypoints = create_source(options.keypoints, config, options.keypoints_model)
        if self._keypoints is not None:
            table = conversion(self._keypoints.skeleton, self.skeleton)
            self._shared = [(j, list(indices)) for j, indices in enumerate(table) if indices]
        self._people = create_people(config, options)
        self.info = info_of(model, self._network, metric=True)
        self._maker = CropMaker(SIDE, look_at_each)
        self._timer = StageTimer()
        self.configure(config)

    def configure(self, config: PipelineConfig) -> None:
        """Take over live settings."""
        self._config, self._options = config, _options(config)
        self._views = parts.variants(self._options.augmentations, self._options.mirror)
        self._people.configure(config, self._options)

    def reset(self, source: str | None = None) -> None:
        """Forget everybody."""
        self._people.reset(source)

    def timings(self) -> dict[str, float]:
        """Milliseconds: boxes, crop, network, keypoints, decode."""
        return self._timer.milliseconds

    def estimate(self, frames: Sequence[Frame]) -> list[list[Pose3D]]:
        """People of each frame; see `estimators.Estimator`."""
        self._timer.start('boxes', 'crop', 'network', 'keypoints', 'decode')
        boxes = self._people.boxes(frames)
        self._timer.end('boxes')
        people = self._crops(frames, boxes)
        out: list[list[Pose3D]] = [[] for _ in frames]
        if people:
            tensor = self._tensor(people)
            self._timer.end('crop')
            raw = self._run(tensor)
            self._timer.end('network')
            points: Sequence[Keypoints | None] = [None] * len(people)
            if self._keypoints is not None:
                points = self._keypoints.find([(p.picture, p.crop) for p in people])
            self._timer.end('keypoints')
            xyz, confidence = self._decode(raw, people)
            for person, joints, scores, keypoints in zip(people, xyz, confidence, points):
                pose = self._pose(person, joints, scores, keypoints)
                if pose is not None:
                    out[person.index].append(pose)
        for k, frame in enumerate(frames):
            out[k] = distinct(out[k])
            self._people.update(frame, len(boxes[k]), out[k])
        self._timer.end('decode')
        return out

    def _crops(self, frames: Sequence[Frame], boxes: Sequence[Array]) -> list[Person]:
        # Averages over several views change the light, as MeTRAbs does.
        return self._maker.people(frames, boxes, self._views, linear=len(self._views) > 2)

    def _tensor(self, people: Sequence[Person]) -> Array:
        """(people * views, 256, 256, 3) float32 RGB in 0..1."""
        return self._maker.tensor(people, self._views, self._options.antialias)

    def _run(self, tensor: Array) -> dict[str, Array]:
        return self._network(
            {'image': np.moveaxis(tensor, 3, 1) if self._channels_first else tensor}
        )

    def _decode(self, raw: dict[str, Array], people: Sequence[Person]) -> tuple[Array, Array]:
        """(people, J, 3) metres about the pelvis in the axes of the plain crop; confidence (.., J).

        The exported pelvis of 19-joint files is not zero: the graph subtracts another one.
        """
        joints = self._joints
        xyz = raw['joints'].astype(float)
        if self._everything:
            xyz = xyz[:, list(joints.internal)]
        xyz = (xyz - xyz[:, joints.pelvis, None]) / 1000
        confidence = np.full(xyz.shape[:2], np.nan)
        if 'volume' in raw:
            volume = parts.channels_last(raw['volume'])
            if volume.shape[3] == parts.DEPTH * joints.inside:
                _, variance = parts.soft_argmax(volume, joints.internal)
                confidence = parts.confidence(variance, volume.shape[1])
        count = len(self._views)
        mirror = list(self.skeleton.mirror)
        xyz = xyz.reshape(-1, count, *xyz.shape[1:])
        confidence = confidence.reshape(-1, count, confidence.shape[1])
        for k, view in enumerate(self._views):
            if view.mirror:
                xyz[:, k], confidence[:, k] = xyz[:, k, mirror], confidence[:, k, mirror]
        for person, block in zip(people, xyz):
            for crop, item in zip(person.views, block):
                item[:] = crop.to_camera(item) @ person.crop.R.T
        return xyz.mean(axis=1), confidence.mean(axis=1)

    def _pose(
        self, person: Person, xyz: Array, confidence: Array, keypoints: Keypoints | None
    ) -> Pose3D | None:
        """xyz: (J, 3) metres about the root in the axes of the crop. confidence: (J,) or NaN."""
        if not np.isfinite(xyz).all():
            return None
        score = float(person.box[4])
        if keypoints is not None:
            score = keypoints.score
            if not score >= _MIN_PRESENCE:
                return None
        stated = np.isfinite(confidence).any()
        if stated and confidence.mean() < self._options.min_confidence:
            return None
        pixels = np.full((len(xyz), 2), np.nan)
        weights = np.zeros(len(xyz))
        if keypoints is not None:
            for joint, sources in self._shared:
                pixels[joint] = keypoints.pixels[sources].mean(axis=0)
                weights[joint] = keypoints.confidence[sources].min()
        body = CropBody(
            self.skeleton, person.crop, person.box, xyz, confidence, pixels, weights, score
        )
        return place_in_crop(body, person.frame, self._config, self._options.place_by)


def _options(config: PipelineConfig) -> Options:
    options = config.typed_options(Options)
    if options.mirror and options.augmentations > 1:
        raise ConfigError('metro.mirror is for metro.augmentations 1; several views mirror anyway')
    return options


def _readable(path: Path, config: PipelineConfig) -> Path:
    """The graph, or its conversion for ONNX Runtime."""
    if config.backend != 'onnxruntime' or path.suffix != '.pb':
        return path
    converted = path.with_suffix('.onnx')
    if not converted.is_file():
        raise ModelError(
            f'ONNX Runtime reads no TensorFlow graph, and there is no {converted.name}; '
            f'make it with: pose3d models convert {config.model or "metro"}'
        )
    return converted


def load_graph(path: Path, config: PipelineConfig, precision: str) -> tuple[Network, bool]:
    """A published graph (.pb) or a conversion of it, and whether its input is channels-first."""
    last, first = (None, SIDE, SIDE, 3), (None, 3, SIDE, SIDE)
    if path.suffix == '.pb':
        nodes = read_graph(path)
        if MARK in nodes and not config.allow_random_weights:
            raise ModelError(
                f'{path} holds random weights, made to measure speed, and finds nobody; '
                'set allow_random_weights to run it all the same'
            )
        inputs = [node for node in nodes.values() if node.op == 'Placeholder']
        # The very first published file takes N,3,256,256 and calls its result `pred`.
        results = [name for name in ('output', 'pred') if name in nodes]
        if len(inputs) != 1 or not results:
            raise ModelError(f'{path} has no result named output or pred: not a MeTRo graph')
        shape = inputs[0].shape
        channels_first = shape is not None and len(shape) == 4 and shape[1] == 3
        spec = NetworkSpec(
            path,
            {'image': Port(first if channels_first else last)},
            {'joints': Port((None, None, 3), f'{results[0]}:0')},
            heads=('joints',),
            inner={'volume': 'joints'},
        )
        return loading.load(config, spec, precision), channels_first
    return _load_converted(path, config, precision, last, first)


def _load_converted(
    path: Path,
    config: PipelineConfig,
    precision: str,
    last: tuple[int | None, ...],
    first: tuple[int | None, ...],
) -> tuple[Network, bool]:
    failure: ModelError | None = None
    for shape in (last, first):
        for with_volume in (True, False):
            outputs = {'joints': Port((None, None, 3))}
            if with_volume:
                outputs['volume'] = Port((None, None, None, None))
            spec = NetworkSpec(path, {'image': Port(shape)}, outputs, heads=('joints',))
            try:
                return loading.load(config, spec, precision), shape == first
            except ModelError as error:
                failure = error
    assert failure is not None
    raise failure


def graph_joints(path: Path) -> tuple[tuple[str, ...], Array | None]:
    """Joint names and edges (E, 2) that a graph holds; empty and None where it has none."""
    nodes = read_graph(path)
    names: tuple[str, ...] = ()
    edges = None
    try:
        if 'joint_names' in nodes:
            names = tuple(bytes(name).decode() for name in nodes['joint_names'].value())
        if 'joint_edges' in nodes:
            edges = np.asarray(nodes['joint_edges'].value()).reshape(-1, 2)
    except (KeyError, ValueError, UnicodeDecodeError) as error:
        raise ModelError(f'{path}: joint constants cannot be read: {error}') from error
    return names, edges
