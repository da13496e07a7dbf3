# SPDX-License-Identifier: Apache-2.0
"""From the joints of 2D detectors to the 17 of Human3.6M, as the published programs do it.

Each conversion is a matrix: points and scores of a joint are the same weighted mean of the
source's joints.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError
from ...skeleton import SKELETONS

Array = NDArray[Any]

H36M = SKELETONS['h36m_17']
PELVIS, SPINE, THORAX, NECK, HEAD = 0, 7, 8, 9, 10
_LIMBS = (1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16)
Weights = dict[int, float]


def _mean(*joints: int) -> Weights:
    return {joint: 1 / len(joints) for joint in joints}


# Source -> number of joints, source of each limb joint in the order of _LIMBS, and the pelvis,
# thorax, neck and head by weights. The spine is halfway between pelvis and thorax throughout.
_COCO_LIMBS = (12, 14, 16, 11, 13, 15, 5, 7, 9, 6, 8, 10)
_TABLE: dict[str, tuple[int, tuple[int, ...], Weights, Weights, Weights, Weights]] = {
    'coco_17': (17, _COCO_LIMBS, _mean(11, 12), _mean(5, 6), _mean(0), _mean(1, 2)),
    # The same places, but 1 and 2 are the lower and upper end of the head.
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
    'halpe_26': (26, _COCO_LIMBS, _mean(19), _mean(18), _mean(0), _mean(17)),
    'body_25': (
        25, (9, 10, 11, 12, 13, 14, 5, 6, 7, 2, 3, 4), _mean(8), _mean(1), _mean(0), _mean(15, 16)
    ),
    'coco_cmu_19': (
        19, (12, 13, 14, 6, 7, 8, 3, 4, 5, 9, 10, 11), _mean(6, 12), _mean(3, 9), _mean(1),
        _mean(15, 17),
    ),
    'openpose_18': (
        18, (8, 9, 10, 11, 12, 13, 5, 6, 7, 2, 3, 4), _mean(8, 11), _mean(2, 5), _mean(0),
        _mean(14, 15),
    ),
    'blazepose_33': (
        33, (24, 26, 28, 23, 25, 27, 11, 13, 15, 12, 14, 16), _mean(23, 24), _mean(11, 12),
        _mean(0), _mean(2, 5),
    ),
}  # fmt: skip
SOURCES = (*_TABLE, 'h36m_17')


@lru_cache(maxsize=32)
def matrix(source: str) -> Array:
    """(17, K) weights of the source's joints; ConfigError lists the conventions known."""
    if source == 'h36m_17':
        return np.eye(17)
    if source not in _TABLE:
        raise ConfigError(
            f'no conversion from {source!r} to h36m_17; there is one from {", ".join(SOURCES)}'
        )
    count, limbs, pelvis, thorax, neck, head = _TABLE[source]
    out = np.zeros((17, count))
    for target, joint in zip(_LIMBS, limbs):
        out[target, joint] = 1
    for target, weights in ((PELVIS, pelvis), (THORAX, thorax), (NECK, neck), (HEAD, head)):
        for joint, weight in weights.items():
            out[target, joint] = weight
    out[SPINE] = (out[PELVIS] + out[THORAX]) / 2
    return out


def to_h36m(points: Array, source: str) -> Array:
    """(..., 17, C) from (..., K, C) points or scores; a joint made of a missing one is NaN."""
    weights = matrix(source)
    if points.shape[-2] != weights.shape[1]:
        raise ConfigError(f'{source} has {weights.shape[1]} joints, not {points.shape[-2]}')
    missing = ~np.isfinite(points)
    out: Array = np.einsum('jk,...kc->...jc', weights, np.where(missing, 0.0, points))
    if missing.any():
        touched = np.einsum('jk,...kc->...jc', (weights != 0).astype(float), missing.astype(float))
        out = np.where(touched > 0, np.nan, out)
    return out
