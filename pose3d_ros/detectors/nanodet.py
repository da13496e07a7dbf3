# SPDX-License-Identifier: Apache-2.0
"""NanoDet finds boxes of people, many at once: better in crowds, with more false ones."""

from __future__ import annotations

import numpy as np

from ..backends import NetworkSpec, Port
from ..networks import nanodet as network
from ..networks.letterbox import Detections
from ..settings.pipeline import PipelineConfig
from ..types import Array
from ..zoo import find_model, loading

_SCORE_SHARE = network.MIN_SCORE / 0.5


class NanoDetFinder:
    """See finder.Finder."""

    whole_sides = (network.SIDE,)
    tile_side = network.SIDE

    def __init__(self, config: PipelineConfig) -> None:
        """Load the network; raises ModelError, BackendError."""
        model = find_model('nanodet', models_dir=config.models_dir)
        self._min_score = _SCORE_SHARE * config.min_score
        cells = [(network.SIDE // stride) ** 2 for stride in network.STRIDES]
        outputs = {f'classes_{n}': Port((1, n, 80)) for n in cells}
        outputs |= {f'sides_{n}': Port((1, n, 4 * network.BINS)) for n in cells}
        self._network = loading.load(
            config,
            NetworkSpec(
                model.files['detector'],
                {'image': Port((1, 3, network.SIDE, network.SIDE))},
                outputs,
                batched=False,
            ),
            model.precision['detector'],
        )
        self._cells = cells
        self._network({'image': np.zeros((1, 3, network.SIDE, network.SIDE), np.float32)})

    def find(self, image: Array, side: int) -> Detections:
        """Boxes of people in an image; side: always 416."""
        tensor, where = network.prepare(image)
        raw = self._network({'image': tensor})
        classes = [raw[f'classes_{n}'] for n in self._cells]
        sides = [raw[f'sides_{n}'] for n in self._cells]
        return network.decode(classes, sides, where, self._min_score)
