# SPDX-License-Identifier: Apache-2.0
"""How much of the network's own speed is left at the end, for estimators whose frames overlap."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .errors import ConfigError
from .pipeline import Pipeline
from .types import Frame

_AHEAD = 2  # requests in flight, as many as overlapping frames have


@dataclass
class Throughput:
    """Milliseconds of frames that are processed one by one, and frames/s of each round.

    people: that were drawn in place of the output of random weights; None: the network's own.
    network_ms: alone, with nothing else running. latency_ms: from the image to the poses.
    """

    people: int | None
    found: int = 0
    network_ms: list[float] = field(default_factory=list)
    latency_ms: list[float] = field(default_factory=list)
    stages: dict[str, list[float]] = field(default_factory=dict)
    network_fps: list[float] = field(default_factory=list)
    path_fps: list[float] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Of the network's frames/s that the whole path reaches, in the middle round."""
        return float(np.median(np.divide(self.path_fps, self.network_fps)))

    @property
    def added_ms(self) -> float:
        """Latency beyond network and decoding."""
        decode = float(np.median(self.stages['decode']))
        return float(np.median(self.latency_ms)) - float(np.median(self.network_ms)) - decode

    def record(self) -> dict[str, Any]:
        """All numbers, for JSON."""
        return {
            'people': self.people,
            'found': self.found,
            'network_ms': _spread(self.network_ms),
            'latency_ms': _spread(self.latency_ms),
            'stages_ms': {name: _spread(values) for name, values in self.stages.items()},
            'network_fps': [round(fps, 2) for fps in self.network_fps],
            'path_fps': [round(fps, 2) for fps in self.path_fps],
            'share': round(self.share, 3),
            'added_latency_ms': round(self.added_ms, 2),
        }


def throughput(
    pipeline: Pipeline,
    frames: Sequence[Frame],
    people: Sequence[int] | None = None,
    *,
    rounds: int = 5,
) -> list[Throughput]:
    """Measure the network alone, frames one by one, and overlapping frames, in turn.

    people: how many to draw, for a model of random weights; None: what the network sees.

    Raises ConfigError if the estimator's frames cannot overlap.
    """
    estimator: Any = pipeline.estimator
    if not pipeline.overlaps:
        raise ConfigError(f'{pipeline.config.estimator} works on one frame at a time')
    results = [Throughput(count) for count in people] if people else [Throughput(None)]
    for turn in range(rounds + 1):
        for result in results:
            if result.people is not None:
                estimator.rehearse(result.people)
            pipeline.reset()
            _round(pipeline, frames, result, counted=turn > 0)
    return results


def _round(
    pipeline: Pipeline, frames: Sequence[Frame], result: Throughput, *, counted: bool
) -> None:
    """One turn; the first one warms up and does not count."""
    estimator: Any = pipeline.estimator
    bare = estimator.bare(frames[0])
    count = len(frames)
    alone, latency, stages = [], [], []
    for _ in frames:
        start = time.perf_counter()
        bare().result()
        alone.append((time.perf_counter() - start) * 1e3)
    for frame in frames:
        start = time.perf_counter()
        result.found = len(pipeline.process(frame))
        latency.append((time.perf_counter() - start) * 1e3)
        stages.append(dict(pipeline.timings))
    start = time.perf_counter()
    flying = [bare() for _ in range(min(_AHEAD, count))]
    for k in range(count):
        flying[k].result()
        if len(flying) < count:
            flying.append(bare())
    network = count / (time.perf_counter() - start)
    pipeline.reset()
    start = time.perf_counter()
    for _ in pipeline.stream(frames):
        pass
    path = count / (time.perf_counter() - start)
    pipeline.reset()
    if not counted:
        return
    result.network_ms += alone
    result.latency_ms += latency
    for entry in stages:
        for name, value in entry.items():
            result.stages.setdefault(name, []).append(value)
    result.network_fps.append(network)
    result.path_fps.append(path)


def _spread(values: Sequence[float]) -> dict[str, float]:
    low, middle, high = np.percentile(values, [10, 50, 95])
    return {'p10': round(low, 3), 'median': round(middle, 3), 'p95': round(high, 3)}
