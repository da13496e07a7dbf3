# SPDX-License-Identifier: Apache-2.0
"""How much of the network's own speed is left at the end, for estimators whose frames overlap."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..backends import Tensors
from ..errors import ConfigError
from ..estimators.openpose3d.estimator import Estimator
from ..pipeline import Pipeline
from ..types import Frame
from .openpose3d_scenes import Rehearsal

Bare = Callable[[], 'Future[Tensors]']
_AHEAD = 2  # requests in flight, as many as overlapping frames have


@dataclass
class Throughput:
    """Milliseconds of frames that are processed one by one, and frames/s of each round.

    people: that were drawn in place of the output of random weights; None: the network's own.
    network_ms: alone, with nothing else running, before each frame. latency_ms: from the image to
    the poses. added_ms: what of it is neither the network, in that very frame, nor decoding.
    """

    people: int | None
    detected: int = 0
    network_ms: list[float] = field(default_factory=list)
    latency_ms: list[float] = field(default_factory=list)
    added_ms: list[float] = field(default_factory=list)
    stages: dict[str, list[float]] = field(default_factory=dict)
    network_fps: list[float] = field(default_factory=list)
    path_fps: list[float] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Of the network's frames/s that the whole path reaches, in the middle round."""
        return float(np.median(np.divide(self.path_fps, self.network_fps)))

    def record(self) -> dict[str, Any]:
        """All numbers, for JSON."""
        return {
            'people': self.people,
            'found': self.detected,
            'network_ms': _spread(self.network_ms),
            'latency_ms': _spread(self.latency_ms),
            'added_latency_ms': _spread(self.added_ms),
            'stages_ms': {name: _spread(values) for name, values in self.stages.items()},
            'network_fps': [round(fps, 2) for fps in self.network_fps],
            'path_fps': [round(fps, 2) for fps in self.path_fps],
            'share': round(self.share, 3),
        }


def throughput(
    pipeline: Pipeline,
    frames: Sequence[Frame],
    people: Sequence[int] | None = None,
    *,
    rounds: int = 5,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Throughput]:
    """Measure the network alone, frames one by one, and overlapping frames, in turn.

    people: how many to draw, for a model of random weights; None: what the network sees. frames: 3
    or more. Speed of the machine changes within seconds, so what is
    compared is measured close together, and a first round that warms up does not count.

    Raises ConfigError if the estimator's frames cannot overlap.
    """
    if not pipeline.overlaps:
        raise ConfigError(f'{pipeline.config.estimator} works on one frame at a time')
    estimator = pipeline.estimator
    if not isinstance(estimator, Estimator):
        raise ConfigError(f'{pipeline.config.estimator} cannot be measured so, openpose3d can')
    rehearsal = Rehearsal(estimator)
    results = [Throughput(count) for count in people] if people else [Throughput(None)]
    for turn in range(rounds + 1):
        for result in results:
            progress(f'round {turn} of {rounds}, {result.people} people' if turn else 'warming up')
            if result.people is not None:
                rehearsal.show(result.people)
            pipeline.reset()
            measured = Throughput(result.people)
            bare = _bare(estimator, frames[0])
            _one_by_one(pipeline, frames, bare, measured)
            _overlapping(pipeline, frames, bare, measured)
            if turn:
                _add(result, measured)
    return results


def _bare(estimator: Estimator, frame: Frame) -> Bare:
    """The network alone on a frame that is prepared already."""
    picture, view, _ = estimator.views(frame)[0]
    network = estimator.networks.of(view.size)
    return lambda: network.submit({'data': picture[None]})


def _one_by_one(
    pipeline: Pipeline, frames: Sequence[Frame], bare: Bare, result: Throughput
) -> None:
    """Each frame after the network alone."""
    for frame in frames:
        start = time.perf_counter()
        bare().result()
        middle = time.perf_counter()
        out = pipeline.process(frame)
        latency = (time.perf_counter() - middle) * 1e3
        stages, result.detected = out.timings, len(out.people)
        result.network_ms.append((middle - start) * 1e3)
        result.latency_ms.append(latency)
        result.added_ms.append(latency - stages['network'] - stages['decode'])
        for name, value in stages.items():
            result.stages.setdefault(name, []).append(value)


def _overlapping(
    pipeline: Pipeline, frames: Sequence[Frame], bare: Bare, result: Throughput
) -> None:
    """Frames/s of the network alone and of the whole path, in between, so that drift cancels."""
    network = [_network_s(bare, len(frames))]
    path = [_path_s(pipeline, frames), _path_s(pipeline, frames)]
    network.append(_network_s(bare, len(frames)))
    count = 2 * (len(frames) - 1)
    result.network_fps.append(count / sum(network))
    result.path_fps.append(count / sum(path))


def _network_s(bare: Bare, frames: int) -> float:
    """Seconds from the first frame's end to the last one's, the network alone."""
    flying = [bare() for _ in range(_AHEAD)]
    done = []
    while flying:
        flying.pop(0).result()
        done.append(time.perf_counter())
        if len(done) + len(flying) < frames:
            flying.append(bare())
    return done[-1] - done[0]


def _path_s(pipeline: Pipeline, frames: Sequence[Frame]) -> float:
    """Seconds from the first frame's end to the last one's, the whole path."""
    pipeline.reset()
    done = [time.perf_counter() for _ in pipeline.stream(frames)]
    pipeline.reset()
    return done[-1] - done[0]


def _add(total: Throughput, part: Throughput) -> None:
    total.detected = part.detected
    for name in ('network_ms', 'latency_ms', 'added_ms', 'network_fps', 'path_fps'):
        getattr(total, name).extend(getattr(part, name))
    for name, values in part.stages.items():
        total.stages.setdefault(name, []).extend(values)


def _spread(values: Sequence[float]) -> dict[str, float]:
    low, middle, high = np.percentile(values, [10, 50, 95])
    return {'p10': round(low, 3), 'median': round(middle, 3), 'p95': round(high, 3)}
