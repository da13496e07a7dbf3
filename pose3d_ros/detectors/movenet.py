# SPDX-License-Identifier: Apache-2.0
"""MoveNet MultiPose finds people of any view, six at a time, with their joints."""

from __future__ import annotations

import numpy as np

from ..backends import NetworkSpec, Port
from ..networks import movenet as network
from ..networks.letterbox import Detections
from ..settings.pipeline import PipelineConfig
from ..types import Array
from ..zoo import find_model, loading

# The network's scores are lower than those of detectors: 0.2 separates people from furniture.
_SCORE_SHARE = network.MIN_SCORE / 0.5


class MoveNetFinder:
    """See finder.Finder."""

    whole_sides: tuple[int, ...] = (256, 448)
    tile_side = 384

    def __init__(self, config: PipelineConfig) -> None:
        """Load the network; raises ModelError, BackendError."""
        model = find_model('movenet_multipose', models_dir=config.models_dir)
        self._min_score = _SCORE_SHARE * config.min_score
        self._network = loading.load(
            config,
            NetworkSpec(
                model.files['network'],
                {'image': Port((1, None, None, 3))},
                {'people': Port((1, 6, 56))},
                batched=False,
            ),
            model.precision['network'],
        )
        self.info = loading.model_info(model, self._network)
        self._network({'image': np.zeros((1, 256, 256, 3), np.int32)})

    def find(self, image: Array, side: int) -> Detections:
        """People in an image; side: a multiple of 32."""
        tensor, where = network.prepare(image, side)
        output = self._network({'image': tensor})['people']
        return network.decode(output, where, self._min_score)
