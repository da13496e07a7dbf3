# SPDX-License-Identifier: Apache-2.0
"""People in 2D as the lifter wants them: its own joints in its own order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...skeleton import MEANS, Skeleton
from ...types import Array, JointStatus, Pose3D

# Joint of the lifter -> meanings that serve for it, best first.
_MEANINGS: dict[str, tuple[str, ...]] = {
    'neck': ('skull_base',),
    'head': ('head_top',),
    # The published lifter takes the neck of CPM, which is the upper one, for the thorax.
    'thorax': ('thorax', 'upper_neck', 'mid_shoulder'),
    'left_toe': ('left_foot_index', 'left_toe', 'left_big_toe'),
    'right_toe': ('right_foot_index', 'right_toe', 'right_big_toe'),
}
# What the lifter infers better itself than from the means of two joints that it has anyway.
_NEVER = ('pelvis',)


@dataclass(frozen=True, eq=False)
class Observation:
    """One person. pixels: (J, 2), NaN: missing. confidence: (J,) 0..1.

    visible: (J,) whether the source counts the joint as measured.
    """

    pixels: Array
    confidence: Array
    visible: Array
    score: float
    size_px: float


def observed(pose: Pose3D, joints: tuple[str, ...]) -> Observation:
    """The joints of that name and order in a pose of any convention."""
    table = sources(pose.skeleton, joints)
    count = len(table)
    pixels, confidence = np.full((count, 2), np.nan), np.zeros(count)
    visible = np.zeros(count, dtype=bool)
    sure = np.where(np.isfinite(pose.confidence), pose.confidence, 1.0)
    for k, parts in enumerate(table):
        if parts:
            index = list(parts)
            pixels[k] = pose.pixels[index].mean(axis=0)
            confidence[k] = sure[index].min()
            visible[k] = (pose.status[index] == JointStatus.MEASURED).all()
    return Observation(pixels, confidence, visible, pose.score, pose.size_px)


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
