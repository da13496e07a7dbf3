# SPDX-License-Identifier: Apache-2.0
"""2D joints within crops that are made already: where in the image a body is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from ..backends import NetworkSpec, Port
from ..camera import CropCamera
from ..errors import ConfigError
from ..networks import blazepose as parts
from ..networks.crops import Picture, varied
from ..settings.pipeline import PipelineConfig
from ..settings.plugins import Plugins
from ..skeleton import SKELETONS, Skeleton
from ..types import Array, Frame
from ..zoo import find_model, loading
from .rtmpose import RTMPose

SOURCES = Plugins(
    'source of 2D joints',
    {
        'blazepose': 'pose3d_ros.detectors.crop_keypoints:BlazePoseOnCrops',
        'rtmpose': 'pose3d_ros.detectors.crop_keypoints:RTMPoseOnCrops',
    },
    'Source',
)
"""Made with the pipeline's config, in which `model` is the source's."""


@dataclass(frozen=True)
class Keypoints:
    """pixels: (J, 2) of the image. confidence: (J,) 0..1. score: 0..1 that somebody is there."""

    pixels: Array
    confidence: Array
    score: float


class CropKeypoints(Protocol):
    """What every source offers.

    Its class says by `models(model)` which registered models it needs; model: the setting.
    """

    skeleton: Skeleton

    def find(self, people: Sequence[tuple[Picture, CropCamera]]) -> list[Keypoints]:
        """Joints of the person in each crop; all in one batch."""


def create_source(name: str, config: PipelineConfig, model: str = '') -> CropKeypoints | None:
    """The source of that name with its model, None for `none`; ConfigError, ModelError."""
    if name == 'none':
        return None
    source: CropKeypoints = SOURCES.load(name)(config.replace(model=model))
    return source


def models_of(name: str, model: str = '') -> Sequence[str]:
    """Registered models that the source of that name needs."""
    if name == 'none':
        return ()
    models: Sequence[str] = SOURCES.load(name).models(model)
    return models


class BlazePoseOnCrops:
    """BlazePose's landmark network, its region widened as it was trained on."""

    skeleton = SKELETONS['blazepose_33']
    _WIDER = 1.25

    def __init__(self, config: PipelineConfig) -> None:
        """Load the network; raises ModelError, BackendError."""
        model = find_model('blazepose', 'landmarks', models_dir=config.models_dir)
        self._network = loading.load(
            config.replace(backend='auto', precision='auto'),
            NetworkSpec(
                model.files['landmarks'],
                {'image': Port((None, parts.CROP_SIZE, parts.CROP_SIZE, 3))},
                {
                    'landmarks': Port((None, 195)),
                    'presence': Port((None, 1)),
                    'heatmaps': Port((None, 64, 64, 39)),
                },
                heads=('landmarks', 'presence'),
            ),
            model.precision['landmarks'],
        )
        self._network({'image': np.zeros((1, parts.CROP_SIZE, parts.CROP_SIZE, 3), np.float32)})

    @staticmethod
    def models(model: str) -> Sequence[str]:
        """BlazePose's."""
        return ('blazepose',)

    def find(self, people: Sequence[tuple[Picture, CropCamera]]) -> list[Keypoints]:
        """See CropKeypoints."""
        if not people:
            return []
        side = parts.CROP_SIZE
        tensor = np.empty((len(people), side, side, 3), np.float32)
        wide = []
        for item, (picture, crop) in zip(tensor, people):
            # Another size of the same view: K is scaled about the corner of the first pixel.
            scale = np.diag([side / crop.size, side / crop.size, 1.0])
            view = varied(
                CropCamera(scale @ crop.K, crop.R, side, crop.camera), scale=1 / self._WIDER
            )
            wide.append(view)
            image = cv2.cvtColor(picture.cut(view), cv2.COLOR_BGR2RGB)
            np.multiply(image, np.float32(1 / 255), out=item)
        raw = self._network({'image': tensor})
        rois = np.tile([side / 2, side / 2, side, 0.0], (len(people), 1))
        points = parts.decode_landmarks(raw['landmarks'], raw['heatmaps'], rois)
        return [
            Keypoints(
                view.to_image(item[: parts.PUBLISHED, :2]),
                np.minimum(item[: parts.PUBLISHED, 3], item[: parts.PUBLISHED, 4]),
                float(presence[0]),
            )
            for view, item, presence in zip(wide, points, raw['presence'])
        ]


class RTMPoseOnCrops:
    """RTMPose (config.model: registered or a path) in crops as wide as it pads them."""

    _SIDE, _AROUND = 256, 96

    def __init__(self, config: PipelineConfig) -> None:
        """Load the network; raises ConfigError, ModelError, BackendError."""
        if not config.model:
            raise ConfigError('keypoints rtmpose needs a model: set metro.keypoints_model to one')
        self._network = RTMPose(config)
        self.skeleton = self._network.skeleton

    @staticmethod
    def models(model: str) -> Sequence[str]:
        """The one that the setting names."""
        return (model,)

    def find(self, people: Sequence[tuple[Picture, CropCamera]]) -> list[Keypoints]:
        """See CropKeypoints."""
        out = []
        inner, outer = self._SIDE, self._SIDE + 2 * self._AROUND
        box = np.array([[self._AROUND, self._AROUND, inner, inner, 1.0]])
        for picture, crop in people:
            scale = np.diag([outer / crop.size, outer / crop.size, 1.0])
            same = CropCamera(scale @ crop.K, crop.R, outer, crop.camera)
            view = varied(same, scale=inner / outer)
            (pose,) = self._network.keypoints(Frame(picture.cut(view)), box)
            confidence = np.nan_to_num(pose.confidence)
            out.append(Keypoints(view.to_image(pose.pixels), confidence, float(pose.score)))
        return out
