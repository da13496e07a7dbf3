# SPDX-License-Identifier: Apache-2.0
"""People as 2D joints by the networks that were published with Lifting from the Deep."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from ..backends import NetworkSpec, Port
from ..networks import cpm as parts
from ..settings.pipeline import PipelineConfig
from ..skeleton import SKELETONS
from ..types import Array, Frame
from ..zoo import find_model, loading
from . import EstimatorInfo
from .keypoint_people import Person, sources

MODEL = 'cpm'
_MAP = parts.SIZE // parts.STRIDE


class CpmPeople:
    """Centres of people in the whole picture, then a crop of each."""

    def __init__(self, config: PipelineConfig, joints: Sequence[str]) -> None:
        """joints: wanted, in this order. Raises ModelError, BackendError."""
        model = find_model(config.model or MODEL, 'person', 'pose', models_dir=config.models_dir)
        self._person = loading.load(
            config,
            NetworkSpec(
                model.files['person'],
                {'image': Port((None, 3, None, None))},
                {'people': Port((None, 1, None, None))},
            ),
            model.precision['person'],
        )
        side = parts.SIZE
        self._pose = loading.load(
            config,
            NetworkSpec(
                model.files['pose'],
                {
                    'image': Port((None, 3, side, side)),
                    'centre_map': Port((None, 1, side, side)),
                },
                {'maps': Port((None, parts.JOINTS + 1, _MAP, _MAP), 'maps')},
            ),
            model.precision['pose'],
        )
        self.info = EstimatorInfo(
            model=model.name,
            version=model.version,
            backend=self._pose.backend,
            device=self._pose.device,
            precision=self._pose.precision,
            metric=False,
        )
        self._table = sources(SKELETONS['cpm_14'], tuple(joints))
        self._timings: dict[str, float] = {}
        self.configure(config)

    def configure(self, config: PipelineConfig) -> None:
        """Take over live settings."""
        self._parity = config.parity
        self._limit = parts.MOST_PEOPLE if config.parity else config.max_people

    def reset(self, source: str | None = None) -> None:
        """Nothing is remembered."""

    def timings(self) -> dict[str, float]:
        """Milliseconds: people, joints."""
        return self._timings

    def find(self, frames: Sequence[Frame]) -> list[list[Person]]:
        """People of each frame."""
        self._timings = {'people': 0.0, 'joints': 0.0}
        return [self._in_frame(frame) for frame in frames]

    def _in_frame(self, frame: Frame) -> list[Person]:
        start = time.perf_counter()
        image, scale = parts.scaled(frame.image)
        low = self._person({'image': image.transpose(2, 0, 1)[None]})['people'][0, 0]
        people = parts.centres(parts.enlarged(low, *image.shape[:2]), self._limit)
        middle = time.perf_counter()
        self._timings['people'] += (middle - start) * 1e3
        if not len(people):
            return []
        crops = parts.crops(image, people).transpose(0, 3, 1, 2)
        centre = np.tile(parts.centre_map()[None, None], (len(crops), 1, 1, 1))
        maps = self._pose({'image': crops, 'centre_map': centre})['maps']
        found, likelihood = parts.joints(maps)
        here = found + people[:, None] - parts.SIZE // 2
        pixels = here[..., ::-1] / scale
        if self._parity:
            pixels = np.rint(pixels)
        peaks = maps[:, : parts.JOINTS].max(axis=(2, 3))
        seen = parts.visible(likelihood)
        out = [self._made(*values) for values in zip(pixels, peaks, seen)]
        self._timings['joints'] += (time.perf_counter() - middle) * 1e3
        return out

    def _made(self, pixels: Array, peaks: Array, seen: Array) -> Person:
        index = np.array([parts_[0] if parts_ else -1 for parts_ in self._table])
        known = np.array([len(parts_) == 1 for parts_ in self._table])
        joints = np.where(known[:, None], pixels[index], np.nan)
        sure = np.where(known & seen[index], np.clip(peaks[index], 0.0, 1.0), 0.0)
        size = float(np.ptp(pixels[seen], axis=0).max()) if seen.any() else float('nan')
        return Person(joints, sure, known & seen[index], float(sure[known].mean()), size)
