# SPDX-License-Identifier: Apache-2.0
"""The networks published with Lifting from the Deep as a source of 2D joints (arXiv 1602.00134)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..backends import NetworkSpec, Port
from ..networks import cpm as parts
from ..settings.pipeline import PipelineConfig
from ..skeleton import SKELETONS
from ..timing import StageTimer
from ..types import Array, Frame, JointStatus, Pose3D
from ..zoo import find_model, loading

MODEL = 'cpm'
_MAP = parts.SIZE // parts.STRIDE


class CpmKeypoints:
    """Centres of people in the whole picture, then a crop of each.

    config.parity: as the published program, with pixels in whole numbers and four people at most.
    """

    skeleton = SKELETONS['cpm_14']

    def __init__(self, config: PipelineConfig) -> None:
        """Load the networks; raises ModelError, BackendError."""
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
        self.info = loading.model_info(model, self._pose)
        self._timer = StageTimer()
        self.configure(config)

    @staticmethod
    def models(model: str) -> Sequence[str]:
        """The published networks."""
        return (model or MODEL,)

    def configure(self, config: PipelineConfig) -> None:
        """Take over live settings."""
        self._parity = config.parity
        self._limit = parts.MOST_PEOPLE if config.parity else config.max_people

    def reset(self, source: str | None = None) -> None:
        """Nothing is remembered."""

    def timings(self) -> dict[str, float]:
        """Milliseconds: people, joints."""
        return self._timer.milliseconds

    def estimate(self, frames: Sequence[Frame]) -> list[list[Pose3D]]:
        """People of each frame, in 2D; joints without evidence are INFERRED, of confidence 0."""
        self._timer.start('people', 'joints')
        return [self._in_frame(frame) for frame in frames]

    def _in_frame(self, frame: Frame) -> list[Pose3D]:
        self._timer.resume()
        image, scale = parts.scaled(frame.image)
        low = self._person({'image': image.transpose(2, 0, 1)[None]})['people'][0, 0]
        people = parts.centres(parts.enlarged(low, *image.shape[:2]), self._limit)
        self._timer.end('people')
        if not len(people):
            return []
        crops = parts.crops(image, people).transpose(0, 3, 1, 2)
        centre = np.tile(parts.centre_map()[None, None], (len(crops), 1, 1, 1))
        maps = self._pose({'image': crops, 'centre_map': centre})['maps']
        joints, likelihood = parts.joints(maps)
        in_image = joints + people[:, None] - parts.SIZE // 2
        pixels = in_image[..., ::-1] / scale
        if self._parity:
            pixels = np.rint(pixels)
        peaks = maps[:, : parts.JOINTS].max(axis=(2, 3))
        poses = [self._pose_of(*row) for row in zip(pixels, peaks, parts.visible(likelihood))]
        self._timer.end('joints')
        return poses

    def _pose_of(self, pixels: Array, peaks: Array, visible: Array) -> Pose3D:
        confidence = np.where(visible, np.clip(peaks, 0.0, 1.0), 0.0)
        status = np.where(visible, JointStatus.MEASURED, JointStatus.INFERRED).astype(np.uint8)
        size = float(np.ptp(pixels[visible], axis=0).max()) if visible.any() else float('nan')
        return Pose3D(
            skeleton=self.skeleton,
            xyz=np.full((parts.JOINTS, 3), np.nan),
            confidence=confidence,
            pixels=pixels,
            status=status,
            score=float(confidence.mean()),
            size_px=size,
        )
