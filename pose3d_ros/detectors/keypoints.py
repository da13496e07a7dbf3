# SPDX-License-Identifier: Apache-2.0
"""2D keypoints for lifters: interchangeable sources behind one interface.

People come as `Pose3D` of the source's own convention; only pixels, confidence, score and size
count, and xyz may be missing (NaN).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..errors import InputError
from ..settings.pipeline import PipelineConfig
from ..settings.plugins import Plugins
from ..skeleton import SKELETONS, Skeleton, get_skeleton
from ..types import Array, Frame, ModelInfo, Pose3D, pose_2d

SOURCES = Plugins(
    'source of 2D joints',
    {
        'movenet': 'pose3d_ros.detectors.movenet_keypoints:MultiPoseKeypoints',
        'movenet_thunder': 'pose3d_ros.detectors.movenet_keypoints:SinglePoseKeypoints',
        'rtmpose': 'pose3d_ros.detectors.rtmpose:RTMPose',
        'cpm': 'pose3d_ros.detectors.cpm:CpmKeypoints',
        'topic': 'pose3d_ros.detectors.keypoints:FrameKeypoints',
    },
    'Source',
)
"""Made with the pipeline's config, in which `model` is the source's."""
FILES = ('.json', '.jsonl', '.npz')


class KeypointSource(Protocol):
    """What every source offers; estimators do, too.

    Their classes say by `models(model)` which registered models they need, `finder` for those of
    the finder that the settings choose; model: the setting.
    """

    skeleton: Skeleton

    @property
    def info(self) -> ModelInfo:
        """Which model runs where."""

    def estimate(self, frames: Sequence[Frame]) -> list[list[Pose3D]]:
        """People of each frame, with pixels."""

    def reset(self, source: str | None = None) -> None:
        """Forget the state of one camera, or of all."""

    def configure(self, config: PipelineConfig) -> None:
        """Take over changed live settings."""

    def timings(self) -> dict[str, float]:
        """Milliseconds of each stage of the last estimate()."""


def create_source(name: str, config: PipelineConfig) -> KeypointSource:
    """The source of that name, or of that file (.json, .jsonl, .npz); config.model: its own.

    Raises ConfigError, ModelError, BackendError, InputError.
    """
    if name.endswith(FILES):
        return FileKeypoints(name)
    source: KeypointSource = SOURCES.load(name)(config)
    return source


def models_of(name: str, model: str = '') -> Sequence[str]:
    """Registered models that a source needs; model: its own, empty: the default."""
    if name.endswith(FILES):
        return ()
    models: Sequence[str] = SOURCES.load(name).models(model)
    return models


class FrameKeypoints:
    """Keypoints that came with the frame, from somebody else."""

    skeleton = SKELETONS['coco_17']
    """Only at first: each person has a convention of their own."""
    info = ModelInfo('topic', '', 'numpy', 'CPU', 'f64')

    def __init__(self, config: PipelineConfig) -> None:
        """Nothing to load."""
        self._config = config

    @staticmethod
    def models(model: str) -> Sequence[str]:
        """None."""
        return ()

    def estimate(self, frames: Sequence[Frame]) -> list[list[Pose3D]]:
        """The frame's keypoints; nobody where there are none."""
        return [self._people(frame) for frame in frames]

    def _people(self, frame: Frame) -> list[Pose3D]:
        people = [p for p in frame.keypoints or () if not p.score < self._config.min_score]
        people.sort(key=lambda pose: -pose.score)
        return people[: self._config.max_people]

    def reset(self, source: str | None = None) -> None:
        """Nothing is remembered."""

    def configure(self, config: PipelineConfig) -> None:
        """Take over live settings."""
        self._config = config

    def timings(self) -> dict[str, float]:
        """Nothing is computed."""
        return {}


class FileKeypoints:
    """Keypoints of a file, frame by frame from its beginning.

    `.npz`: `pixels` (T, P, J, 2), NaN where nobody is, `confidence` (T, P, J), `skeleton` its name.
    `.json` (a list) or `.jsonl`: one object per frame with `people` (or `instances`), each with
    `keypoints` [[x, y], ...] and `scores` (or `keypoint_scores`); `skeleton` in the first one,
    else coco_17.
    """

    def __init__(self, path: str | Path) -> None:
        try:
            self._frames = _read(Path(path))
        except OSError as error:
            raise InputError(f'cannot read the keypoints {path}: {error}') from error
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise InputError(f'{path} is not a file of keypoints: {error!r}') from error
        self.skeleton = self._frames[0]
        self.info = ModelInfo(str(path), '', 'numpy', 'CPU', 'f64')
        self._next: dict[str, int] = {}

    def estimate(self, frames: Sequence[Frame]) -> list[list[Pose3D]]:
        """The next people of the file, for each camera by itself."""
        out = []
        for frame in frames:
            at = self._next.get(frame.source, 0)
            self._next[frame.source] = at + 1
            people = self._frames[1][at] if at < len(self._frames[1]) else []
            out.append([pose_2d(self.skeleton, *person, 1.0, frame.size) for person in people])
        return out

    def reset(self, source: str | None = None) -> None:
        """Begin the file again."""
        if source is None:
            self._next.clear()
        else:
            self._next.pop(source, None)

    def configure(self, config: PipelineConfig) -> None:
        """Everybody in the file counts."""

    def timings(self) -> dict[str, float]:
        """Nothing is computed."""
        return {}


Joints2D = tuple[Array, Array]
"""Pixels (J, 2) and confidence (J,) of a person."""


def _read(path: Path) -> tuple[Skeleton, list[list[Joints2D]]]:
    if path.suffix == '.npz':
        with np.load(path, allow_pickle=False) as data:
            skeleton = get_skeleton(str(data['skeleton']) if 'skeleton' in data else 'coco_17')
            pixels, confidence = data['pixels'].astype(float), data['confidence'].astype(float)
        frames = [
            [(p, c) for p, c in zip(*people) if np.isfinite(p).any()]
            for people in zip(pixels, confidence)
        ]
    else:
        text = path.read_text(encoding='utf-8')
        rows: list[dict[str, Any]] = (
            json.loads(text)
            if path.suffix == '.json'
            else [json.loads(line) for line in text.splitlines() if line.strip()]
        )
        skeleton = get_skeleton(str(rows[0].get('skeleton', 'coco_17')) if rows else 'coco_17')
        frames = [
            [_person(one) for one in row.get('people', row.get('instances', []))] for row in rows
        ]
    for people in frames:
        for pixels_of, scores in people:
            if pixels_of.shape != (len(skeleton), 2) or scores.shape != (len(skeleton),):
                raise ValueError(f'{skeleton.name} has {len(skeleton)} joints, not {len(scores)}')
    return skeleton, frames


def _person(raw: dict[str, Any]) -> Joints2D:
    points = np.array(
        [[np.nan if v is None else v for v in p[:2]] for p in raw['keypoints']], float
    )
    scores = raw.get('scores', raw.get('keypoint_scores'))
    return points, np.ones(len(points)) if scores is None else np.array(scores, float)
