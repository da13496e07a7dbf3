# SPDX-License-Identifier: Apache-2.0
"""Joints of data sets that only MMPose and MotionBERT convert to those of Human3.6M."""

from __future__ import annotations

import numpy as np

from pose3d_ros.estimators.lifter.joints import PELVIS, SPINE, THORAX, weighted
from pose3d_ros.types import Array

_NECK, _HEAD = 9, 10
_LIMBS = (1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16)
Weights = dict[int, float]


def _mean(*joints: int) -> Weights:
    return {joint: 1 / len(joints) for joint in joints}


# Source -> number of joints, source of each limb joint in the order of _LIMBS, and the pelvis,
# thorax, neck and head by weights. The spine is halfway between pelvis and thorax throughout.
_COCO_LIMBS = (12, 14, 16, 11, 13, 15, 5, 7, 9, 6, 8, 10)
_TABLE: dict[str, tuple[int, tuple[int, ...], Weights, Weights, Weights, Weights]] = {
    # COCO's places, but 1 and 2 are the lower and upper end of the head.
    'posetrack_18': (17, _COCO_LIMBS, _mean(11, 12), _mean(5, 6), _mean(0), _mean(1, 2)),
    'posetrack_motionbert': (17, _COCO_LIMBS, _mean(11, 12), _mean(1), _mean(0), _mean(2)),
    'aic_14': (
        14, (6, 7, 8, 9, 10, 11, 3, 4, 5, 0, 1, 2), _mean(6, 9), _mean(0, 3),
        {13: 0.75, 12: 0.25}, {13: 5 / 12, 12: 7 / 12},
    ),
    'crowdpose_14': (
        14, (7, 9, 11, 6, 8, 10, 0, 2, 4, 1, 3, 5), _mean(6, 7), _mean(0, 1),
        {13: 0.75, 12: 0.25}, {13: 5 / 12, 12: 7 / 12},
    ),
}  # fmt: skip


def to_h36m(points: Array, source: str) -> Array:
    """(..., 17, C) from (..., K, C) points or scores."""
    count, limbs, pelvis, thorax, neck, head = _TABLE[source]
    out = np.zeros((17, count))
    for target, joint in zip(_LIMBS, limbs):
        out[target, joint] = 1
    for target, weights in ((PELVIS, pelvis), (THORAX, thorax), (_NECK, neck), (_HEAD, head)):
        for joint, weight in weights.items():
            out[target, joint] = weight
    out[SPINE] = (out[PELVIS] + out[THORAX]) / 2
    return weighted(out, points)
