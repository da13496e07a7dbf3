# SPDX-License-Identifier: Apache-2.0
"""Everybody in view in one pass: Open Model Zoo's human-pose-estimation-3d-0001.

The cost of a frame hardly depends on how many people it shows. Decoding of one frame can run while
the network works on the next: `begin` returns at once, `finish` waits and decodes.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ...backends import (
    Network,
    NetworkSpec,
    Pixels,
    Port,
    Tensors,
    input_shapes,
    metadata_of,
)
from ...errors import ModelError
from ...networks import openpose3d as parts
from ...networks.openpose3d_people import NECK as HEAT_NECK
from ...networks.openpose3d_people import SHOULDERS, extract
from ...settings.declare import setting
from ...settings.estimators import EstimatorSpec
from ...settings.pipeline import PipelineConfig
from ...skeleton import SKELETONS
from ...types import Array, Frame, JointStatus, Pose3D
from ...zoo import find_model, loading
from .. import info_of
from .published import FOCAL_SHARE, AsPublished, prepare_published

log = logging.getLogger(__name__)

MODEL = 'human-pose-estimation-3d-0001'
_OVERLAP = 0.25  # of neighbouring tiles
_SAME = 0.15  # mean distance of joints, in body sizes, under which two readings are one person
_QUICK_SIZES = 3  # that get a program of their own
_CHANNELS = {'features': 57, 'heatmaps': 19, 'pafs': 38}


@dataclass(frozen=True)
class Options:
    """Settings of this estimator."""

    input_height: int = setting(
        256, 'rows that an image is scaled to; more finds smaller people', low=64, high=2048
    )
    tiles: int = setting(
        0,
        'also look at n x n overlapping parts of the image, each at input_height; 0: do not',
        low=0,
        high=6,
    )
    program: str = setting(
        'standalone',
        'which of the two published programs parity follows',
        choices=('standalone', 'demo'),
    )
    input_values: str = setting(
        'auto',
        'what the model file takes: raw pixels, or (pixel - 128) / 255; auto: raw for converted '
        'files and IR, normalised for other ONNX files',
        choices=('auto', 'raw', 'normalised'),
    )


@dataclass
class Pending:
    """Frames under way in the network. jobs: results to come, and the view of each of their items.

    views: per item the frame's index, where its cells lie, and the input scale of the originals.
    """

    frames: Sequence[Frame]
    jobs: list[tuple[Future[Tensors], list[tuple[int, parts.View, float]]]]
    prepared_ms: float
    started: float
    done: float = 0.0

    def wait(self) -> None:
        """Until the network is through; failures are raised by finish()."""
        for future, _ in self.jobs:
            future.exception()


class Networks(Protocol):
    """Compiled networks by the size of their input."""

    def of(self, size: tuple[int, int]) -> Network:
        """The network for a width and height."""


@dataclass
class _Networks:
    """Programs for input sizes: quick ones for the first sizes, one for all others."""

    load: Callable[[tuple[int, int] | None], Network]
    compiled: dict[tuple[int, int] | None, Network] = field(default_factory=dict)

    def of(self, size: tuple[int, int]) -> Network:
        """See Networks."""
        key = size if size in self.compiled or len(self.compiled) < _QUICK_SIZES else None
        if key not in self.compiled:
            self.compiled[key] = self.load(key)
        return self.compiled[key]


class Estimator:
    """See the module; `config.parity` follows the published programs, faults and all.

    networks: what runs; whoever measures may put others in their place.
    """

    spec = EstimatorSpec(
        Options,
        models=lambda config: (config.model or MODEL,),
        # People cost nothing, and scores are low.
        defaults={'max_people': 20, 'min_score': 0.2},
        overlaps=True,
    )

    def __init__(self, config: PipelineConfig) -> None:
        """Load the network; raises ModelError, BackendError, ConfigError."""
        self._options = config.typed_options(Options)
        self.skeleton = SKELETONS['panoptic_19' if config.parity else 'coco_cmu_19']
        model = find_model(
            config.model or MODEL, 'network', models_dir=config.models_dir, backend=config.backend
        )
        path = model.files['network']
        precision = model.precision['network']

        about = metadata_of(path, config.backend)
        values = self._options.input_values
        if values == 'auto':
            bare = path.suffix == '.onnx' and 'pose3d.family' not in about
            values = 'normalised' if bare else 'raw'
        mean, scale = (128.0, 255.0) if values == 'normalised' else (0.0, 1.0)
        pixels = Pixels(mean, scale, rgb=False, planar=True)

        def load(size: tuple[int, int] | None) -> Network:
            width, height = size or (None, None)
            spec = NetworkSpec(
                path,
                {'data': Port((None, height, width, 3), image=pixels)},
                {n: Port((None, c, None, None), n) for n, c in _CHANNELS.items()},
                heads=('features',),
                batched=self._fixed is None or self._batched,
            )
            return loading.load(config, spec, precision)

        self._fixed, self._batched = _fixed_size(path, config.backend)
        if self._fixed is not None:
            first = self._fixed
        else:
            first = parts.input_size(16, 9, self._options.input_height)
        height = self._options.input_height
        if self._fixed is not None and height not in (Options.input_height, self._fixed[1]):
            log.warning(
                'openpose3d.input_height %d has no effect: %s takes %dx%d alone', height, path.name,
                *self._fixed,
            )  # fmt: skip
        self.networks: Networks = _Networks(load)
        network = self.networks.of(first)
        self.info = info_of(
            model,
            network,
            metric=False,
            size_sigma=0.1,
            focal_share=FOCAL_SHARE,
            height_m=parts.BODY_HEIGHT_M,
        )
        self._timings: dict[str, float] = {}
        self._published = AsPublished(config, self._options.program)
        self.configure(config)
        network({'data': np.zeros((1, first[1], first[0], 3), np.uint8)})

    def configure(self, config: PipelineConfig) -> None:
        """Take over live settings."""
        self._config = config

    def reset(self, source: str | None = None) -> None:
        """Forget the ids and filters of the published programs; there is no other state."""
        self._published.reset(source)

    def timings(self) -> dict[str, float]:
        """Milliseconds: prepare, network, decode."""
        return self._timings

    def estimate(self, frames: Sequence[Frame]) -> list[list[Pose3D]]:
        """People of each frame; see `estimators.Estimator`."""
        return self.finish(self.begin(frames))

    def begin(self, frames: Sequence[Frame]) -> Pending:
        """Start the network on frames; several calls may be under way."""
        start = time.perf_counter()
        items: dict[tuple[int, int], list[tuple[int, Array, parts.View, float]]] = {}
        for index, frame in enumerate(frames):
            for picture, view, scale in self.views(frame):
                items.setdefault(view.size, []).append((index, picture, view, scale))
        jobs = []
        for size, group in items.items():
            pictures = [picture for _, picture, _, _ in group]
            batch = np.stack(pictures) if len(pictures) > 1 else pictures[0][None]
            network = self.networks.of(size)
            future = network.submit({'data': batch})
            jobs.append((future, [(index, view, scale) for index, _, view, scale in group]))
        now = time.perf_counter()
        pending = Pending(frames, jobs, (now - start) * 1e3, now)

        def note(_: Future[Tensors]) -> None:
            pending.done = time.perf_counter()

        for future, _ in jobs:
            future.add_done_callback(note)
        return pending

    def finish(self, pending: Pending) -> list[list[Pose3D]]:
        """People of the frames that begin() was given."""
        people: list[list[Pose3D]] = [[] for _ in pending.frames]
        complete: set[int] = set()
        results = [(future.result(), items) for future, items in pending.jobs]
        start = time.perf_counter()
        for maps, items in results:
            for k, (index, view, scale) in enumerate(items):
                one = {name: values[k] for name, values in maps.items()}
                frame = pending.frames[index]
                if self._config.parity:
                    people[index] = self._published.poses(frame, one, scale)
                    continue
                poses = self._people(one, view)
                # The first view of a frame is all of it.
                people[index] = _merged(people[index], poses) if index in complete else poses
                complete.add(index)
        if not self._config.parity:
            people = [self._best(poses) for poses in people]
        now = time.perf_counter()
        self._timings = {
            'prepare': pending.prepared_ms,
            'network': (max(pending.done, pending.started) - pending.started) * 1e3,
            'decode': (now - start) * 1e3,
        }
        return people

    def views(self, frame: Frame) -> list[tuple[Array, parts.View, float]]:
        """What the network sees of a frame: all of it, and its tiles.

        Images (H, W, 3), where their cells lie, and with `parity` the scale of the published input.
        """
        base = self._options.input_height
        if self._config.parity:
            picture, scale = prepare_published(frame.image, base, self._options.program)
            size = (picture.shape[1], picture.shape[0])
            if self._fixed not in (None, size):
                raise ModelError(
                    f'parity: this frame needs an input of {size[0]}x{size[1]}, and the model file '
                    f'takes {self._fixed[0]}x{self._fixed[1]} alone; convert it without --size'
                )
            return [(picture, parts.View(np.ones(2), np.zeros(2), size), scale)]
        width, height = frame.size
        size = self._fixed or parts.input_size(width, height, base)
        boxes = [(0, 0, width, height), *_tiles(width, height, self._options.tiles)]
        views = []
        for x, y, w, h in boxes:
            picture = np.empty((size[1], size[0], 3), np.uint8)
            view = parts.prepare(frame.image[y : y + h, x : x + w], picture, self._fixed or base)
            views.append((picture, view.moved(x, y), 0.0))
        return views

    def _people(self, maps: Tensors, view: parts.View) -> list[Pose3D]:
        people = extract(maps['heatmaps'], maps['pafs'], published=False)
        has_neck = ~np.isnan(people.score[:, HEAT_NECK])
        shoulders = people.xy[:, SHOULDERS]
        visible = ~np.isnan(shoulders[..., 0])
        hips = ~np.isnan(people.score[:, (8, 11)])
        torso = visible.all(axis=1) | (visible.any(axis=1) & hips.any(axis=1))
        people = people.only(np.flatnonzero(has_neck | torso))
        if not len(people.xy):
            return []
        readout = parts.read(people, maps['features'], parts.RIGHT_SLOTS, published=False)
        return self._poses(readout, view)

    def _poses(self, readout: parts.Readout, view: parts.View) -> list[Pose3D]:
        xyz = readout.relative * parts.BODY_HEIGHT_M
        hips = list(parts.HIPS)
        xyz[:, parts.PELVIS] = xyz[:, hips].mean(axis=1)
        xyz -= xyz[:, [parts.PELVIS]]
        pixels = view.pixels(readout.cells)
        pixels[:, parts.PELVIS] = pixels[:, hips].mean(axis=1)
        measured = readout.score >= parts.MIN_SCORE
        confidence = np.where(measured, np.minimum(readout.score, 1), 0.0)
        score = confidence.sum(axis=1) / np.maximum(measured.sum(axis=1), 1)
        confidence[:, parts.PELVIS] = confidence[:, hips].min(axis=1)
        measured[:, parts.PELVIS] = measured[:, hips].all(axis=1)
        status = np.where(measured, JointStatus.MEASURED, JointStatus.INFERRED).astype(np.uint8)
        extent = np.nanmax(pixels, axis=1) - np.nanmin(pixels, axis=1)
        return [
            Pose3D(
                skeleton=self.skeleton,
                xyz=xyz[k],
                confidence=confidence[k],
                pixels=pixels[k],
                status=status[k],
                score=float(score[k]),
                size_px=float(math.hypot(*extent[k])),
            )
            for k in range(len(xyz))
        ]

    def _best(self, poses: list[Pose3D]) -> list[Pose3D]:
        good = [pose for pose in poses if pose.score >= self._config.min_score]
        if len(good) <= self._config.max_people:
            return good
        return sorted(good, key=lambda pose: -pose.score)[: self._config.max_people]


def _fixed_size(path: object, backend: str) -> tuple[tuple[int, int] | None, bool]:
    """Width and height that a file fixes, None if it takes any, and whether its batch is open."""
    shapes = [s for s in input_shapes(path, backend).values() if len(s) == 4]  # type: ignore[arg-type]
    if len(shapes) != 1:
        raise ModelError(f'{path} is another network: it needs one input image (N, 3, H, W)')
    batch, _, height, width = shapes[0]
    if height is None or width is None:
        return None, True
    return (width, height), batch is None


def _tiles(width: int, height: int, count: int) -> list[tuple[int, int, int, int]]:
    """x, y, width, height of overlapping parts, of the frame's own proportions."""
    if count < 2:
        return []
    share = 1 / (count - (count - 1) * _OVERLAP)
    w, h = min(math.ceil(width * share), width), min(math.ceil(height * share), height)
    xs = np.linspace(0, width - w, count).round().astype(int).tolist()
    ys = np.linspace(0, height - h, count).round().astype(int).tolist()
    return [(x, y, w, h) for y in ys for x in xs]


def _merged(people: list[Pose3D], fresh: list[Pose3D]) -> list[Pose3D]:
    """People of two views, each once: in doubt as the one that shows more joints of them."""
    out = list(people)
    for pose in fresh:
        twin = next((k for k, other in enumerate(out) if _same(pose, other)), None)
        if twin is None:
            out.append(pose)
        elif _measured_joints(pose) > _measured_joints(out[twin]):
            out[twin] = pose
    return out


def _measured_joints(pose: Pose3D) -> int:
    return int((pose.status == JointStatus.MEASURED).sum())


def _same(a: Pose3D, b: Pose3D) -> bool:
    apart = np.hypot(*(a.pixels - b.pixels).T)
    common = apart[np.isfinite(apart)]
    return len(common) >= 3 and float(common.mean()) < _SAME * max(a.size_px, b.size_px)
