# SPDX-License-Identifier: Apache-2.0
"""MoveNet as a source of 2D joints: everybody in one pass, or a crop for each person."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..backends import NetworkSpec, Port, ports_of
from ..errors import ModelError
from ..networks import movenet as network
from ..settings.pipeline import PipelineConfig
from ..skeleton import SKELETONS
from ..timing import StageTimer
from ..types import Array, Frame, Pose3D, pose_2d
from ..zoo import find_model, loading
from .boxes import FINDER, BoxOptions, create_people, distinct
from .finder import search, whole_image
from .movenet import MoveNetFinder

THUNDER = 'movenet_thunder'
_SIDE = 448  # of MultiPose's input
# Boxes of people who are followed reach beyond their joints already.
_PADDING = network.PADDING / 1.15
_MIN_SCORE = 0.6  # mean confidence of the joints over `min_score`; parts of bodies have less


class SinglePose:
    """Thunder or Lightning: the joints of the person in a square of an image."""

    def __init__(self, config: PipelineConfig, name: str = THUNDER) -> None:
        """name: registered model or path. Raises ModelError, BackendError."""
        model = find_model(name, 'pose', models_dir=config.models_dir)
        path = model.files['pose']
        shape = next(iter(ports_of(path)[0].values()))
        if len(shape) != 4 or not shape[1]:
            raise ModelError(f'{path.name} is another network: its input is {list(shape)}')
        self._side = int(shape[1])
        self._network = loading.load(
            config,
            NetworkSpec(
                path,
                {'image': Port((1, self._side, self._side, 3))},
                {'joints': Port((1, 1, network.KEYPOINTS, 3))},
                batched=False,
            ),
            model.precision['pose'],
        )
        self.info = loading.model_info(model, self._network)
        self._network({'image': np.zeros((1, self._side, self._side, 3), np.int32)})

    def find(self, image: Array, region: Array) -> tuple[Array, Array]:
        """Pixels (17, 2) and confidence (17,) of the person in a square x, y, side of an image."""
        raw = self._network({'image': network.crop(image, region, self._side)})
        return network.decode_single(raw['joints'], region)


class MultiPoseKeypoints:
    """MoveNet MultiPose on each image as a whole: up to six people, whoever is followed."""

    skeleton = SKELETONS['coco_17']

    def __init__(self, config: PipelineConfig) -> None:
        """Load the network; raises ModelError, BackendError."""
        self._finder = MoveNetFinder(config)
        self.info = self._finder.info
        self._timer = StageTimer()
        self.configure(config)

    @staticmethod
    def models(model: str) -> Sequence[str]:
        """MultiPose."""
        return ('movenet_multipose',)

    def configure(self, config: PipelineConfig) -> None:
        """Take over live settings."""
        self._config = config

    def reset(self, source: str | None = None) -> None:
        """Nothing is remembered."""

    def timings(self) -> dict[str, float]:
        """Milliseconds: keypoints."""
        return self._timer.milliseconds

    def estimate(self, frames: Sequence[Frame]) -> list[list[Pose3D]]:
        """People of each frame, in 2D."""
        self._timer.start('keypoints')
        out = []
        for frame in frames:
            people = search(self._finder, frame.image, [whole_image(frame.size, _SIDE)])
            rows = zip(people.keypoints, people.confidence, people.scores.tolist())
            poses = distinct([pose_2d(self.skeleton, *row, frame.size) for row in rows])
            out.append(poses[: self._config.max_people])
        self._timer.end('keypoints')
        return out


class SinglePoseKeypoints:
    """Thunder or Lightning on a crop of each person, around the joints of the frame before.

    config.model: registered model or path; empty: Thunder.
    """

    skeleton = SKELETONS['coco_17']

    def __init__(self, config: PipelineConfig) -> None:
        """Load the networks; raises ModelError, BackendError."""
        self._network = SinglePose(config, config.model or THUNDER)
        self.info = self._network.info
        self._people = create_people(config, BoxOptions())
        self._timer = StageTimer()
        self.configure(config)

    @staticmethod
    def models(model: str) -> Sequence[str]:
        """The network's, and the finder's."""
        return (model or THUNDER, FINDER)

    def configure(self, config: PipelineConfig) -> None:
        """Take over live settings."""
        self._config = config
        self._people.configure(config, BoxOptions())

    def reset(self, source: str | None = None) -> None:
        """Forget the people of one source, or of all."""
        self._people.reset(source)

    def timings(self) -> dict[str, float]:
        """Milliseconds: finder, keypoints."""
        return self._timer.milliseconds

    def estimate(self, frames: Sequence[Frame]) -> list[list[Pose3D]]:
        """People of each frame, in 2D."""
        self._timer.start('finder', 'keypoints')
        boxes = self._people.boxes(frames)
        self._timer.end('finder')
        out = []
        for frame, rows in zip(frames, boxes):
            poses = [self._pose(frame, box) for box in rows]
            limit = _MIN_SCORE * self._config.min_score
            poses = distinct([pose for pose in poses if pose.score > limit])
            self._people.update(frame, len(rows), poses)
            out.append(poses)
        self._timer.end('keypoints')
        return out

    def _pose(self, frame: Frame, box: Array) -> Pose3D:
        side = max(_PADDING * float(box[2:4].max()), 1.0)
        region = np.array([*(box[:2] + box[2:4] / 2), side])
        pixels, confidence = self._network.find(frame.image, region)
        return pose_2d(self.skeleton, pixels, confidence, float(confidence.mean()), frame.size)
