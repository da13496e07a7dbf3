# SPDX-License-Identifier: Apache-2.0
"""People in 2D as the lifter wants them: its own joints in its own order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...skeleton import SKELETONS, TOES, Skeleton, StandIns, joint_map
from ...types import Array, JointStatus, Pose3D

_STAND_INS: StandIns = {
    # The published lifter takes the neck of CPM, which is the upper one, for the thorax.
    'thorax': (
        ('thorax',),
        ('upper_neck',),
        ('mid_shoulder',),
        ('left_shoulder', 'right_shoulder'),
    ),
    # The lifter infers it better itself than from the hips, which it has anyway.
    'pelvis': (),
    **TOES,
}


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
    stated = np.where(np.isfinite(pose.confidence), pose.confidence, 1.0)
    for k, parts in enumerate(table):
        if parts:
            index = list(parts)
            pixels[k] = pose.pixels[index].mean(axis=0)
            confidence[k] = stated[index].min()
            visible[k] = (pose.status[index] == JointStatus.MEASURED).all()
    return Observation(pixels, confidence, visible, pose.score, pose.size_px)


@lru_cache(maxsize=16)
def sources(skeleton: Skeleton, joints: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    """For each joint of the lifter those of the skeleton whose mean it is; empty: none.

    joints: names of cmu_22.
    """
    meanings = SKELETONS['cmu_22'].meanings
    return joint_map(skeleton, [meanings.get(name, name) for name in joints], _STAND_INS)
