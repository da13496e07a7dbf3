# SPDX-License-Identifier: Apache-2.0
"""People as 2D joints, from any estimator that says where joints are in the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..config import PipelineConfig
from ..errors import ConfigError
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


def needed(name: str, config: PipelineConfig) -> Sequence[str]:
    """Registered models of a source of that name."""
    if name not in ESTIMATORS:
        return ()
    told = models_of(_theirs(name, config))
    return (name,) if told is None else told


def _theirs(name: str, config: PipelineConfig) -> PipelineConfig:
    # `model` and the options are the lifter's.
    return config.replace(estimator=name, model='', parity=False, options={})


class KeypointPeople:
    """Runs another estimator and reads its pixels."""

    def __init__(self, name: str, config: PipelineConfig, joints: Sequence[str]) -> None:
        """name: of the estimator; joints: wanted. ConfigError, ModelError, BackendError."""
        if name == config.estimator or (name not in ESTIMATORS and '.' not in name):
            known = ', '.join(n for n in ESTIMATORS if n != config.estimator)
            raise ConfigError(f'source of 2D joints {name!r} is unknown; choose one of {known}')
        self._name = name
        self._estimator = create(_theirs(name, config))
        self.info: EstimatorInfo = self._estimator.info
        self._table = sources(self._estimator.skeleton, joints)

    def configure(self, config: PipelineConfig) -> None:
        """Take over live settings."""
        self._estimator.configure(_theirs(self._name, config))

    def reset(self, source: str | None = None) -> None:
        """Forget everybody."""
        self._estimator.reset(source)

    def timings(self) -> dict[str, float]:
        """Milliseconds of the stages of the last find()."""
        return self._estimator.timings()

    def find(self, frames: Sequence[Frame]) -> list[list[Person]]:
        """People of each frame."""
        found = self._estimator.estimate(frames)
        return [[self._person(pose) for pose in poses] for poses in found]

    def _person(self, pose: Pose3D) -> Person:
        count = len(self._table)
        pixels, confidence = np.full((count, 2), np.nan), np.zeros(count)
        visible = np.zeros(count, dtype=bool)
        known = np.where(np.isfinite(pose.confidence), pose.confidence, 1.0)
        for k, parts in enumerate(self._table):
            if parts:
                index = list(parts)
                pixels[k] = pose.pixels[index].mean(axis=0)
                confidence[k] = known[index].min()
                visible[k] = (pose.status[index] == JointStatus.MEASURED).all()
        size = pose.size_px
        return Person(pixels, confidence, visible, pose.score, size)


def sources(skeleton: Skeleton, joints: Sequence[str]) -> list[tuple[int, ...]]:
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
