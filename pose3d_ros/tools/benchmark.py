# SPDX-License-Identifier: Apache-2.0
"""How long each stage takes, per device and precision, and what the precision costs in accuracy."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BackendError, ModelError
from ..pipeline import Pipeline
from ..settings.pipeline import PipelineConfig
from .clips import Clip
from .evaluate import ClipScore

WARM_UP_FRAMES = 10
"""Left out at the start of each round: the first detection, caches, clock speeds."""


@dataclass
class Timing:
    """Milliseconds of one configuration: of all frames counted, in total and per stage."""

    config: PipelineConfig
    precision: str = ''
    device: str = ''
    backend: str = ''
    total: list[float] = field(default_factory=list)
    stages: dict[str, list[float]] = field(default_factory=dict)
    rounds_fps: list[float] = field(default_factory=list)
    mpjpe_mm: float | None = None
    failure: str = ''

    @property
    def fps(self) -> float:
        """Frames per second of the middle round."""
        return float(np.median(self.rounds_fps)) if self.rounds_fps else float('nan')

    def record(self) -> dict[str, Any]:
        """All numbers, for JSON."""
        head = {
            'backend': self.backend,
            'device': self.device or self.config.device,
            'precision': self.precision or self.config.precision,
            'precision_setting': self.config.precision,
            'threads': self.config.threads,
        }
        if self.failure:
            return {**head, 'failure': self.failure}
        return {
            **head,
            'fps': round(self.fps, 2),
            'fps_of_rounds': [round(fps, 2) for fps in self.rounds_fps],
            'mpjpe_mm': self.mpjpe_mm,
            'total_ms': _spread(self.total),
            'stages_ms': {name: _spread(values) for name, values in self.stages.items()},
        }


def benchmark(
    configs: Sequence[PipelineConfig],
    clip: Clip,
    *,
    rounds: int = 5,
    load: Callable[[PipelineConfig], Pipeline] = Pipeline,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Timing]:
    """Time configurations on the frames of a clip, held in memory.

    All run in turn in every round, so that a machine that gets slower slows down all of them. A
    configuration that cannot run here (device, precision) says why in its `failure`.
    """
    frames = list(clip.frames())
    timings = [Timing(config) for config in configs]
    pipelines: list[Pipeline | None] = []
    for timing in timings:
        try:
            pipeline = load(timing.config)
            info = pipeline.info
            timing.backend, timing.device = info.backend, info.device
            timing.precision = info.precision
            pipelines.append(pipeline)
        except (BackendError, ModelError) as error:
            timing.failure = str(error)
            pipelines.append(None)
    for turn in range(rounds):
        for timing, loaded in zip(timings, pipelines):
            if loaded is None:
                continue
            progress(f'round {turn + 1} of {rounds}: {timing.device} {timing.precision}')
            score = ClipScore(clip)
            loaded.reset()
            counted = []
            for index, frame in enumerate(frames):
                start = time.perf_counter()
                result = loaded.process(frame)
                spent = (time.perf_counter() - start) * 1e3
                if turn == 0:
                    score.number(index, frame)
                    score.add(result.finished)
                if index < WARM_UP_FRAMES:
                    continue
                counted.append(spent)
                for name, value in result.timings.items():
                    timing.stages.setdefault(name, []).append(value)
            timing.total += counted
            timing.rounds_fps.append(1e3 / float(np.mean(counted)))
            if turn == 0:
                score.add(loaded.flush())
                error_mm = score.result.scores()['mpjpe_mm']
                timing.mpjpe_mm = None if error_mm is None else round(float(error_mm), 1)
    return timings


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    packages = {}
    for name in ('numpy', 'opencv-python-headless', 'opencv-python', 'openvino', 'onnxruntime'):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        'cpu': _cpu_name(),
        'cores': os.cpu_count(),
        'usable_cores': len(os.sched_getaffinity(0)),
        'load': round(os.getloadavg()[0], 2),
        'system': platform.platform(),
        'python': platform.python_version(),
        'packages': packages,
    }


def _cpu_name() -> str:
    try:
        text = Path('/proc/cpuinfo').read_text(encoding='utf-8')
    except OSError:
        return platform.processor()
    names = [line.partition(':')[2].strip() for line in text.splitlines() if 'model name' in line]
    return names[0] if names else platform.machine()


def _spread(values: Sequence[float]) -> dict[str, float]:
    """Mean over all frames; median and 95th percentile over those in which the stage ran."""
    busy = [value for value in values if value > 0] or [0.0]
    return {
        'mean': round(float(np.mean(values)), 3),
        'median': round(float(np.median(busy)), 3),
        'p95': round(float(np.percentile(busy, 95)), 3),
    }
