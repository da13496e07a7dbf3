# SPDX-License-Identifier: Apache-2.0
"""The lifters behind the estimator `lifter`: what each wants to see and what it tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from ...backends import Network, NetworkSpec, Port, input_shapes
from ...camera import Camera
from ...errors import ConfigError
from ...resources import resource
from ...settings.pipeline import PipelineConfig
from ...skeleton import SKELETONS, TOES, Skeleton, joint_map
from ...types import Array, Pose3D
from ...zoo import Model, find_model, loading
from . import codecs, features
from .joints import to_joints
from .streaming import past_columns

OWN = 'lifter_cmu'
_SHARE = 13  # of the delay that there is anyway, one part may be added to gather frames
_MOST = 10  # frames, beyond which a step of several saves little more
_GUESSED_FOCAL = 1.1  # in image widths: between a webcam and a phone


@dataclass(frozen=True)
class View:
    """What is known of the image that keypoints lie in. camera: calibrated or assumed, or None."""

    size: tuple[int, int]
    camera: Camera | None

    def rays(self, pixels: Array) -> Array:
        """(J, 2) x/z, y/z; with a guessed focal length if there is no calibration."""
        if self.camera is not None:
            return self.camera.rays(pixels)
        return Camera.assume(_GUESSED_FOCAL * self.size[0], self.size).rays(pixels)


@dataclass
class Lifted:
    """xyz: (J, 3) metres about the root, camera axes. root: (3,) metres, where the model knows."""

    xyz: Array
    covariance: Array | None = None
    root: Array | None = None


@dataclass(frozen=True)
class Kind:
    """A published model. frames: of its window. rate: frames per second that it was trained at.

    normalise: what the network's input is relative to: `image`, `camera` (as Human3.6M's cameras
    see), `person` (moved to the middle of their images). inputs: convention of the 2D joints.
    """

    network: str
    frames: int = 1
    rate: float = 50.0
    kernels: tuple[int, ...] = ()
    causal: bool = False
    trajectory: bool = False
    normalise: str = 'person'
    inputs: str = 'h36m_17'


KINDS: Mapping[str, Kind] = {
    OWN: Kind('own', features.WINDOW, features.RATE),
    'videopose3d_27f_supervised': Kind('tcn', 27, kernels=(3,) * 3),
    'videopose3d_81f_supervised': Kind('tcn', 81, kernels=(3,) * 4),
    'videopose3d_243f_supervised': Kind('tcn', 243, kernels=(3,) * 5),
    'videopose3d_1f_supervised_cpn': Kind('tcn', 1, kernels=(1,) * 5),
    'videopose3d_243f_supervised_cpn': Kind('tcn', 243, kernels=(3,) * 5),
    'videopose3d_27f_semi': Kind('tcn', 27, kernels=(3,) * 3, trajectory=True, normalise='camera'),
    'videopose3d_27f_semi_cpn': Kind(
        'tcn', 27, kernels=(3,) * 3, trajectory=True, normalise='camera'
    ),
    'videopose3d_243f_cpn_original': Kind('tcn', 243, kernels=(3,) * 5),
    # Trained on Detectron's joints in whole images, for videos of any kind.
    'videopose3d_243f_detectron_coco': Kind(
        'tcn', 243, kernels=(3,) * 5, normalise='image', inputs='coco_17'
    ),
    'videopose3d_243f_causal_original': Kind('tcn', 243, kernels=(3,) * 5, causal=True),
    'motionbert_243f': Kind('motionbert', 243),
    'motionbert_243f_finetuned': Kind('motionbert', 243),
    'motionbert_original': Kind('motionbert', 243),
    'motionbert_lite_original': Kind('motionbert', 243),
    'simplebaseline3d_tcn': Kind('simplebaseline', 1, kernels=(1,) * 3),
}


def kind_of(model: str, kind: str) -> Kind:
    """The kind of a model; kind: the setting, for models that are not registered."""
    name = kind or model.removesuffix('.random') or OWN
    if name not in KINDS:
        raise ConfigError(
            f'it is not known what kind of lifter {name!r} is: set lifter.kind to one of '
            f'{", ".join(KINDS)}'
        )
    return KINDS[name]


class Lift(Protocol):
    """A lifter with its network."""

    kind: Kind
    skeleton: Skeleton
    network: Network
    model: Model
    metric: bool
    target: int
    """Which frame of the window the output belongs to."""

    def prepare(self, pose: Pose3D, view: View, threshold: float) -> Array:
        """(K, C) what the history keeps of a person in a frame; NaN: not seen."""

    def lift(self, windows: Array, inside: Array, views: Sequence[View]) -> list[Lifted]:
        """Windows (P, T, K, C), which frames of them exist (P, T), views of the targets."""


class Own:
    """The package's own lifter; see lifting.features."""

    skeleton = features.BODY
    metric = True

    def __init__(self, config: PipelineConfig, kind: Kind) -> None:
        if config.model in ('', OWN):
            path = resource('config', f'{OWN}.onnx')
            model = find_model(str(path), 'window')
        else:
            model = find_model(config.model, 'window', models_dir=config.models_dir)
        self.kind, self.model = kind, model
        self.target = kind.frames // 2
        shape = (None, features.WINDOW, features.CHANNELS)
        self.network = loading.load(
            config,
            NetworkSpec(
                model.files['window'],
                {'window': Port(shape, 'window')},
                {'joints': Port((None, features.OUTPUTS), 'joints')},
            ),
            model.precision['window'],
        )

    def prepare(self, pose: Pose3D, view: View, threshold: float) -> Array:
        """(22, 3) rays and confidence; what the source only guesses is a hint."""
        joints, source = _sources(pose.skeleton)
        points, confidence = pose.pixels[source], pose.confidence[source]
        # Detectors also invent what lies outside the image.
        inside = ((points > -1) & (points < np.array(view.size))).all(axis=1)
        good = inside & ~(confidence < threshold)
        # Sources without confidence are believed.
        value = np.clip(np.nan_to_num(confidence, nan=1.0), features.HINT, 1.0)
        pixels = np.full((features.COUNT, 2), np.nan)
        values = np.full(features.COUNT, np.nan)
        pixels[joints], values[joints] = points, np.where(good, value, features.HINT)
        return np.concatenate([view.rays(pixels), values[:, None]], axis=1)

    def lift(self, windows: Array, inside: Array, views: Sequence[View]) -> list[Lifted]:
        """See Lift."""
        complete = np.isfinite(windows).all(axis=-1) & inside[..., None]
        confidence = np.where(complete, windows[..., 2], 0.0)
        calibrated = np.array([float(view.camera is not None) for view in views])
        # The mean of several views errs less, and the network is small.
        rays, confidence = features.with_rolls(np.nan_to_num(windows[..., :2]), confidence)
        rays, confidence = features.with_mirror(rays, confidence)
        window, turn, usable = features.encode(rays, confidence, np.tile(calibrated, 4))
        output = self.network({'window': window.astype(np.float32)})['joints']
        both = features.without_mirror(*features.decode(output, turn))
        joints, covariance = features.without_rolls(*both)
        nothing = Lifted(np.full((features.COUNT, 3), np.nan))
        return [
            Lifted(xyz, spread) if good else nothing
            for xyz, spread, good in zip(joints, covariance, usable)
        ]


@lru_cache(maxsize=16)
def _sources(skeleton: Skeleton) -> tuple[Array, Array]:
    """Which of the own lifter's joints a skeleton has, and their indices in it."""
    table = joint_map(skeleton, features.MEANINGS, TOES)
    present = [k for k, parts in enumerate(table) if parts]
    return np.array(present, int), np.array([table[k][0] for k in present], int)


class Published:
    """What VideoPose3D, SimpleBaseline3D and MotionBERT share."""

    skeleton = SKELETONS['h36m_17']
    metric = True

    def __init__(self, config: PipelineConfig, kind: Kind, normalise: str, role: str) -> None:
        self.kind = kind
        self.target = kind.frames - 1 if kind.causal else kind.frames // 2
        self._normalise = normalise or kind.normalise
        self._parity = config.parity
        self.model = find_model(
            config.model, role, models_dir=config.models_dir, backend=config.backend
        )
        self.network = loading.load(config, self._spec(role), self.model.precision[role])

    def _spec(self, role: str) -> NetworkSpec:
        raise NotImplementedError

    def _points(self, pose: Pose3D, view: View, threshold: float) -> tuple[Array, Array]:
        """(17, 2) in the place that the network expects people, (17,) scores; NaN: not seen."""
        visible = pose.confidence >= threshold
        visible |= ~np.isfinite(pose.confidence)
        pixels = np.where(visible[:, None], pose.pixels, np.nan)
        inputs = SKELETONS[self.kind.inputs]
        points = to_joints(pixels, pose.skeleton, inputs)
        confidence = np.where(np.isfinite(pose.confidence), pose.confidence, 1.0)
        scores = to_joints(confidence[:, None], pose.skeleton, inputs)[:, 0]
        if self._normalise == 'person':
            finite = points[np.isfinite(points).all(axis=1)]
            if len(finite) < 2:
                return np.full_like(points, np.nan), scores
            low, high = finite.min(axis=0), finite.max(axis=0)
            # A detector's box stands out beyond the joints.
            margin = 0.1 * (high - low).max()
            box = np.concatenate([low - margin, high + margin])
            points = codecs.norm_pose(points, box)
        elif self._normalise == 'camera' and view.camera is not None:
            points = codecs.by_camera(view.camera.rays(points))
        return points, scores

    def _size(self, view: View) -> tuple[int, int]:
        """Of the image that points lie in, after normalisation."""
        return (1000, 1000) if self._normalise == 'person' and not self._parity else view.size

    def _in_image(self, points: Array, view: View) -> Array:
        if self._normalise == 'camera' and view.camera is not None:
            return points
        return codecs.by_image(points, self._size(view))


class TemporalConvolution(Published):
    """VideoPose3D. steps: new frames in each run of its step, 0: it takes windows."""

    def __init__(
        self, config: PipelineConfig, kind: Kind, normalise: str, role: str, steps: int = 0
    ) -> None:
        self.steps = steps
        super().__init__(config, kind, normalise, role)

    def _spec(self, role: str) -> NetworkSpec:
        if role == 'step':
            inputs, outputs = step_ports(self.kind.kernels, self.steps, self.bodies)
            return NetworkSpec(self.model.files[role], inputs, outputs)
        outputs = {'joints': Port((None, 51), 'joints')}
        if self.kind.trajectory:
            outputs['root'] = Port((None, 3), 'root')
        inputs = {'window': Port((None, 34, self.kind.frames), 'window')}
        return NetworkSpec(self.model.files[role], inputs, outputs)

    @property
    def width(self) -> int:
        """Of the columns that the step remembers."""
        return int(input_shapes(self.model.files['step'])['past_0'][2] or 0)

    @property
    def bodies(self) -> int:
        """Networks side by side."""
        return 2 if self.kind.trajectory else 1

    def prepare(self, pose: Pose3D, view: View, threshold: float) -> Array:
        """(17, 2) normalised."""
        return self._in_image(self._points(pose, view, threshold)[0], view)

    def lift(self, windows: Array, inside: Array, views: Sequence[View]) -> list[Lifted]:
        """See Lift."""
        flat = codecs.flatten(windows).astype(np.float32)
        return self.lifted(self.network({'window': flat}), views)

    def lifted(self, output: Mapping[str, Array], views: Sequence[View]) -> list[Lifted]:
        """Of the network's outputs."""
        joints = output['joints'].reshape(-1, 17, 3).astype(float)
        joints = joints - joints[:, :1] * (not self._parity)
        if not self.kind.trajectory or self._normalise != 'camera':
            return [Lifted(xyz) for xyz in joints]
        roots = output['root'].astype(float)
        return [
            Lifted(xyz, root=root if view.camera is not None else None)
            for xyz, root, view in zip(joints, roots, views)
        ]


class SimpleBaseline(Published):
    """SimpleBaseline3D as MMPose publishes it: one frame."""

    def _spec(self, role: str) -> NetworkSpec:
        return NetworkSpec(
            self.model.files[role],
            {'window': Port((None, 34, 1), 'window')},
            {'joints': Port((None, 48), 'joints')},
        )

    def prepare(self, pose: Pose3D, view: View, threshold: float) -> Array:
        """(17, 2) pixels where people of Human3.6M stand."""
        return self._points(pose, view, threshold)[0]

    def lift(self, windows: Array, inside: Array, views: Sequence[View]) -> list[Lifted]:
        """See Lift."""
        statistics = codecs.simplebaseline_statistics()
        flat = statistics.encode(windows[:, 0]).astype(np.float32)
        output = self.network({'window': flat})['joints'].reshape(-1, 16, 3)
        return [Lifted(xyz) for xyz in statistics.decode(output, np.zeros((len(output), 3)))]


class MotionBERT(Published):
    """DSTformer; its size in metres is only nominal."""

    metric = False

    def __init__(
        self, config: PipelineConfig, kind: Kind, normalise: str, role: str, flip: bool
    ) -> None:
        self._flip = flip
        super().__init__(config, kind, normalise, role)

    def _spec(self, role: str) -> NetworkSpec:
        return NetworkSpec(
            self.model.files[role],
            {'window': Port((None, None, 17, 3), 'window')},
            {'joints': Port((None, None, 17, 3), 'joints')},
        )

    def prepare(self, pose: Pose3D, view: View, threshold: float) -> Array:
        """(17, 3) place and score."""
        points, scores = self._points(pose, view, threshold)
        if self._normalise == 'camera' and view.camera is not None:
            return np.concatenate([points, scores[:, None]], axis=1)
        return codecs.motionbert_input(points, np.nan_to_num(scores), self._size(view))

    def lift(self, windows: Array, inside: Array, views: Sequence[View]) -> list[Lifted]:
        """See Lift; the output of the target frame."""
        return [frames[self.target] for frames in self.lift_all(windows, views)]

    def lift_all(self, windows: Array, views: Sequence[View]) -> list[list[Lifted]]:
        """Every frame of each window."""
        x = np.ascontiguousarray(windows, np.float32)
        output = self.network({'window': x})['joints']
        if self._flip:
            mirror = codecs.mirrored(x).astype(np.float32)
            output = codecs.from_mirror(output, self.network({'window': mirror})['joints'])
        out = []
        for clip, view in zip(output, views):
            factor = np.full(len(clip), codecs.DEFAULT_FACTOR)
            poses = codecs.motionbert_decode(clip, self._size(view), factor)
            out.append([Lifted(xyz) for xyz in poses])
        return out


def create_lift(config: PipelineConfig, options: Any) -> tuple[Lift, TemporalConvolution | None]:
    """The configured lifter, and its step network if it streams."""
    kind = kind_of(config.model, options.kind)
    if kind.network == 'own':
        return Own(config, kind), None
    if kind.network == 'simplebaseline':
        return SimpleBaseline(config, kind, options.normalise, 'window'), None
    if kind.network == 'motionbert':
        return MotionBERT(config, kind, options.normalise, 'window', options.flip), None
    # Without identities nobody has a past to stream.
    wanted = options.streaming and config.tracking and kind.frames > 1
    if not (wanted and streamable(kind, options.latency)):
        return TemporalConvolution(config, kind, options.normalise, 'window'), None
    lag = 0 if kind.causal else kind.frames // 2
    frames = options.frames_per_step or min(1 + lag // _SHARE, _MOST)
    step = TemporalConvolution(config, kind, options.normalise, 'step', frames)
    return step, step


def step_ports(
    kernels: Sequence[int], frames: int, bodies: int
) -> tuple[dict[str, Port], dict[str, Port]]:
    """Inputs and outputs of a network that takes so many new frames; see `lifting.streaming`."""
    inputs = {'frames': Port((None, kernels[0] - 1 + frames, 34), 'frames')}
    outputs = {'joints': Port((None, frames, 51), 'joints')}
    if bodies == 2:
        outputs['root'] = Port((None, frames, 3), 'root')
    for k, columns in enumerate(past_columns(kernels, frames) * bodies):
        inputs[f'past_{k}'] = Port((None, columns, None), f'past_{k}')
        outputs[f'new_{k}'] = Port((None, frames, None), f'new_{k}')
    return inputs, outputs


def streamable(kind: Kind, latency: str) -> bool:
    """Whether the newest column of a stream is what the latency setting asks for."""
    return latency == ('causal' if kind.causal else 'centred')
