# SPDX-License-Identifier: Apache-2.0
"""BlazePose's person detector (MediaPipe Pose) as a source of boxes."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ..backends import NetworkSpec, Port
from ..networks import blazepose as parts
from ..settings.pipeline import PipelineConfig
from ..types import Array, Frame
from ..zoo import find_model, loading
from .boxes import NOBODY, clipped

# Of the circle around the whole body that the network predicts, radius 1, hips in the middle.
# Measured against the boxes of the rendered clips of the test data.
_ABOVE, _BELOW, _ASIDE = 1.0, 0.95, 0.38


class BlazePoseDetector:
    """Boxes of upright or bent people within a few metres; finds two or three at once."""

    def __init__(self, config: PipelineConfig) -> None:
        """Load the network; raises ModelError, BackendError."""
        # `config.model` is the estimator's; this detector has one model.
        model = find_model('blazepose', 'detector', models_dir=config.models_dir)
        self._network = loading.load(
            config.replace(backend='auto', precision='auto'),
            NetworkSpec(
                model.files['detector'],
                {'image': Port((None, 224, 224, 3))},
                {'boxes': Port((None, 2254, 12)), 'scores': Port((None, 2254, 1))},
            ),
            model.precision['detector'],
        )
        self._network({'image': np.zeros((1, 224, 224, 3), np.float32)})

    @staticmethod
    def models(model: str) -> Sequence[str]:
        """BlazePose's."""
        return ('blazepose',)

    def detect(self, frames: Sequence[Frame]) -> list[Array]:
        """See PersonDetector; all frames in one batch. Boxes under a score of 0.1 are left out."""
        if not frames:
            return []
        images = [
            cv2.cvtColor(parts.detector_input(frame.image), cv2.COLOR_BGR2RGB) for frame in frames
        ]
        tensor = np.stack(images).astype(np.float32) * np.float32(2 / 255) - 1
        raw = self._network({'image': tensor})
        return [
            _boxes(parts.decode_detections(boxes, scores[:, 0], 0.1), frame.size)
            for boxes, scores, frame in zip(raw['boxes'], raw['scores'], frames)
        ]


def _boxes(found: Array, size: tuple[int, int]) -> Array:
    out = [_box(row) for row in parts.to_frame(found, size)]
    return np.array([clipped(box, size) for box in out]).reshape(-1, 5) if out else NOBODY


def _box(row: Array) -> Array:
    """(5,) box of one detection: hips, and a point of the circle straight above the head."""
    centre, up = row[5:7], row[7:9] - row[5:7]
    aside = _ASIDE * np.array([-up[1], up[0]])
    ends = (centre + _ABOVE * up, centre - _BELOW * up)
    corners = np.array([end + side for end in ends for side in (aside, -aside)])
    low, high = corners.min(axis=0), corners.max(axis=0)
    return np.array([*low, *(high - low), row[0]])
