# SPDX-License-Identifier: Apache-2.0
"""BlazePose's person detector (MediaPipe Pose), which finds people by their faces."""

from __future__ import annotations

import numpy as np

from ..backends import NetworkSpec, Pixels, Port
from ..networks import blazepose as network
from ..networks.letterbox import Detections
from ..settings.pipeline import PipelineConfig
from ..types import Array
from ..zoo import find_model, loading

# Of the circle around the whole body that the network predicts, radius 1, hips in the middle.
# Measured against the boxes of the rendered clips of the test data.
_ABOVE, _BELOW, _ASIDE = 1.0, 0.95, 0.38


class BlazePoseFinder:
    """See finder.Finder. Finds two or three upright or bent people within a few metres.

    Key points are the middle of the hips and a point of the circle around the whole body.
    """

    whole_sides = (network.DETECTOR_SIZE,)
    tile_side = 0

    def __init__(self, config: PipelineConfig) -> None:
        """Load the network; raises ModelError, BackendError."""
        # `config.model` is the estimator's; this detector has one model.
        model = find_model('blazepose', 'detector', models_dir=config.models_dir)
        self._min_score = config.min_score
        self._network = loading.load(
            config,
            NetworkSpec(
                model.files['detector'],
                {'image': Port((None, 224, 224, 3), image=Pixels(127.5, 127.5))},
                {'boxes': Port((None, 2254, 12)), 'scores': Port((None, 2254, 1))},
            ),
            model.precision['detector'],
        )
        self._network({'image': np.zeros((1, 224, 224, 3), np.uint8)})

    def find(self, image: Array, side: int) -> Detections:
        """People in an image; side: always 224."""
        raw = self._network({'image': network.detector_input(image)[None]})
        size = int(image.shape[1]), int(image.shape[0])
        scores = raw['scores'][0, :, 0]
        rows = network.decode_detections(raw['boxes'][0], scores, self._min_score)
        rows = network.to_frame(rows, size)
        boxes = np.array([_box(row) for row in rows]).reshape(-1, 5)
        return Detections(
            np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:4]], axis=1),
            boxes[:, 4],
            rows[:, 5:9].reshape(-1, 2, 2),
            np.ones((len(rows), 2)),
        )


def _box(row: Array) -> Array:
    """(5,) box of one detection: hips, and a point of the circle straight above the head."""
    centre, up = row[5:7], row[7:9] - row[5:7]
    aside = _ASIDE * np.array([-up[1], up[0]])
    ends = (centre + _ABOVE * up, centre - _BELOW * up)
    corners = np.array([end + side for end in ends for side in (aside, -aside)])
    low, high = corners.min(axis=0), corners.max(axis=0)
    return np.array([*low, *(high - low), row[0]])
