# SPDX-License-Identifier: Apache-2.0
"""People as 2D joints, from any source of keypoints: estimators, RTMPose, a topic, a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..detectors import rtmpose
from ..detectors.keypoints import KeypointSource, create_source
from ..errors import ConfigError
from ..settings.pipeline import PipelineConfig
from ..skeleton import MEANS, Skeleton
from ..types import Array, Frame, JointStatus, Pose3D
from . import ESTIMATORS, EstimatorInfo, create, models_of

# Joint of a lifter -> meanings that serve for it, best first.
_MEANINGS: dict[str, tuple[str, ...]] = {
    'neck': ('skull_base',),
    'head': ('head_top',),
    # The published lifter takes the neck of CPM, which is the upper one, for the thorax.
    'thorax': ('thorax', 'upper_neck', 'mid_shoulder'),
    'left_toe': ('left_foot_index', 'left_toe', 'left_big_toe'),
    'right_toe': ('right_foot_index', 'right_toe', 'right_big_toe'),
}
# What a lifter infers better itself than from the means of two joints that it has anyway.
_NEVER = ('pelvis',)


@dataclass(frozen=True, eq=False)
class Person:
    """Joints in the order of the lifter. pixels: (J, 2), NaN: unknown. confidence: (J,) 0..1.

    visible: (J,) whether the source counts the joint as seen.
    """

    pixels: Array
    confidence: Array
    visible: Array
    score: float
    size_px: float


def needed(name: str, config: PipelineConfig, model: str = '') -> Sequence[str]:
    """Registered models of a source of that name; model: its own, empty: the default."""
    if name == 'rtmpose':
        return rtmpose.needed(model)
    if name not in ESTIMATORS:
        return ()
    told = models_of(_theirs(name, config, model))
    return (model or name,) if told is None else told


def _theirs(name: str, config: PipelineConfig, model: str) -> PipelineConfig:
    # The pipeline's `model` and options are the lifter's.
    return config.replace(estimator=name, model=model, parity=False, options={})


def _source(name: str, config: PipelineConfig, model: str) -> KeypointSource:
    if name in ESTIMATORS and name != config.estimator:
        return create(_theirs(name, config, model))
    return create_source(name, config, model)


class KeypointPeople:
    """Runs a source and reads its pixels."""

    def __init__(
        self, name: str, config: PipelineConfig, joints: Sequence[str], model: str = ''
    ) -> None:
        """name: of the source, model: its own, joints: wanted; raises what create_source does."""
        if name == config.estimator:
            raise ConfigError(f'{name} cannot be its own source of 2D joints; blazepose can')
        self._name, self._model, self._joints = name, model, tuple(joints)
        self._source = _source(name, config, model)
        self.info: EstimatorInfo = getattr(self._source, 'info', None) or EstimatorInfo(
            model=model or name, version='', backend='numpy', device='CPU', precision='f64',
            metric=False,
        )  # fmt: skip

    def configure(self, config: PipelineConfig) -> None:
        """Take over live settings."""
        self._source.configure(_theirs(self._name, config, self._model))

    def reset(self, source: str | None = None) -> None:
        """Forget everybody."""
        self._source.reset(source)

    def timings(self) -> dict[str, float]:
        """Milliseconds of the stages of the last find()."""
        return self._source.timings()

    def find(self, frames: Sequence[Frame]) -> list[list[Person]]:
        """People of each frame."""
        found = self._source.estimate(frames)
        return [[self._person(pose) for pose in poses] for poses in found]

    def _person(self, pose: Pose3D) -> Person:
        # Keypoints of a topic may change their convention at any time.
        table = sources(pose.skeleton, self._joints)
        count = len(table)
        pixels, confidence = np.full((count, 2), np.nan), np.zeros(count)
        visible = np.zeros(count, dtype=bool)
        known = np.where(np.isfinite(pose.confidence), pose.confidence, 1.0)
        for k, parts in enumerate(table):
            if parts:
                index = list(parts)
                pixels[k] = pose.pixels[index].mean(axis=0)
                confidence[k] = known[index].min()
                visible[k] = (pose.status[index] == JointStatus.MEASURED).all()
        size = pose.size_px
        return Person(pixels, confidence, visible, pose.score, size)


@lru_cache(maxsize=16)
def sources(skeleton: Skeleton, joints: tuple[str, ...]) -> list[tuple[int, ...]]:
    """For each joint of a lifter those of the skeleton whose mean it is; empty: none."""
    have = skeleton.by_meaning
    table: list[tuple[int, ...]] = []
    for joint in joints:
        found: tuple[int, ...] = ()
        for meaning in _MEANINGS.get(joint, (joint,)):
            parts = (meaning,) if meaning in have else MEANS.get(meaning, ())
            if parts and joint not in _NEVER and all(part in have for part in parts):
                found = tuple(have[part] for part in parts)
                break
        table.append(found)
    return table
