# SPDX-License-Identifier: Apache-2.0
"""2D keypoints for lifters: interchangeable sources behind one interface.

People come as `Pose3D` of the source's own convention; only pixels, confidence, score and size
count, and xyz may be missing (NaN).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..errors import ConfigError, InputError
from ..settings.pipeline import PipelineConfig
from ..skeleton import Skeleton, get_skeleton
from ..types import Array, Frame, Pose3D, pose_2d

# Name of the setting -> module and class. Names of estimators serve as well: their 2D is taken.
SOURCES: dict[str, str] = {
    'rtmpose': 'pose3d_ros.detectors.rtmpose:RTMPose',
    'topic': 'pose3d_ros.detectors.keypoints:GivenKeypoints',
    'given': 'pose3d_ros.detectors.keypoints:GivenKeypoints',
}


class KeypointSource(Protocol):
    """What every source offers; estimators do."""

    skeleton: Skeleton

    def estimate(self, frames: Sequence[Frame]) -> list[list[Pose3D]]:
        """People of each frame, with pixels."""

    def reset(self, source: str | None = None) -> None:
        """Forget the state of one camera, or of all."""

    def configure(self, config: PipelineConfig) -> None:
        """Take over changed live settings."""

    def timings(self) -> dict[str, float]:
        """Milliseconds of each stage of the last estimate()."""


def create_source(name: str, config: PipelineConfig, model: str = '') -> KeypointSource:
    """The source of that name with its model: an estimator, one of SOURCES, or a keypoints file.

    Raises ConfigError, ModelError, BackendError, InputError.
    """
    from .. import estimators

    inner = source_config(name, config, model)
    if name in SOURCES or ':' in name:
        module, _, kind = SOURCES.get(name, name).partition(':')
        try:
            source: KeypointSource = getattr(import_module(module), kind)(inner)
        except (ModuleNotFoundError, AttributeError) as error:
            raise ConfigError(f'there is no source of keypoints {name!r}: {error}') from error
        return source
    if name.endswith(('.json', '.jsonl', '.npz')):
        return FileKeypoints(name)
    if name in estimators.ESTIMATORS and name != 'lifter':
        return estimators.create(inner)
    known = sorted({*SOURCES, *estimators.ESTIMATORS} - {'lifter', 'given', config.estimator})
    raise ConfigError(
        f'source of keypoints {name!r} is unknown; choose one of {", ".join(known)}, '
        'or name a file of keypoints (.json, .jsonl, .npz)'
    )


def source_config(name: str, config: PipelineConfig, model: str = '') -> PipelineConfig:
    """The pipeline's settings as the source should see them."""
    return config.replace(estimator=name, model=model, precision='auto', parity=False, options={})


class GivenKeypoints:
    """Keypoints that come from elsewhere: with the frame, or before it by `offer`."""

    def __init__(self, config: PipelineConfig | None = None) -> None:
        """Nothing to load; without config everybody counts."""
        self.skeleton = get_skeleton('coco_17')
        self._config = config
        self._waiting: dict[str, dict[int, list[Pose3D]]] = {}

    def offer(self, source: str, stamp_ns: int, people: Sequence[Pose3D]) -> None:
        """The people of a frame that is still to come; old ones are dropped."""
        waiting = self._waiting.setdefault(source, {})
        waiting[stamp_ns] = list(people)
        while len(waiting) > 32:
            del waiting[min(waiting)]

    def estimate(self, frames: Sequence[Frame]) -> list[list[Pose3D]]:
        """The frame's keypoints, else what was offered for its stamp; nobody if nothing was."""
        return [self._people(frame) for frame in frames]

    def _people(self, frame: Frame) -> list[Pose3D]:
        offered = self._waiting.get(frame.source, {}).pop(frame.stamp_ns, [])
        people = offered if frame.keypoints is None else list(frame.keypoints)
        if self._config is None:
            return people
        sure = [pose for pose in people if not pose.score < self._config.min_score]
        sure.sort(key=lambda pose: -pose.score)
        return sure[: self._config.max_people]

    def reset(self, source: str | None = None) -> None:
        """What waits belongs to frames to come and is kept."""

    def configure(self, config: PipelineConfig) -> None:
        """Take over live settings."""
        self._config = config

    def timings(self) -> dict[str, float]:
        """Nothing is computed."""
        return {}


class FileKeypoints(GivenKeypoints):
    """Keypoints of a file, frame by frame from its beginning.

    `.npz`: `pixels` (T, P, J, 2), NaN where nobody is, `confidence` (T, P, J), `skeleton` its name.
    `.json` (a list) or `.jsonl`: one object per frame with `people` (or `instances`), each with
    `keypoints` [[x, y], ...] and `scores` (or `keypoint_scores`); `skeleton` in the first one,
    else coco_17.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        try:
            self._frames = _read(Path(path))
        except OSError as error:
            raise InputError(f'cannot read the keypoints {path}: {error}') from error
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise InputError(f'{path} is not a file of keypoints: {error!r}') from error
        self.skeleton = self._frames[0]
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


People = list[tuple[Array, Array]]


def _read(path: Path) -> tuple[Skeleton, list[People]]:
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


def _person(raw: dict[str, Any]) -> tuple[Array, Array]:
    points = np.array(
        [[np.nan if v is None else v for v in p[:2]] for p in raw['keypoints']], float
    )
    scores = raw.get('scores', raw.get('keypoint_scores'))
    return points, np.ones(len(points)) if scores is None else np.array(scores, float)
