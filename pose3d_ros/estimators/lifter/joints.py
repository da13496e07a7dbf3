# SPDX-License-Identifier: Apache-2.0
"""From the joints of any convention to the 17 of Human3.6M or of COCO, as published lifters want.

Each joint is a weighted mean of the source's joints, points and scores alike. What a source lacks
is taken from near it where the published programs do so: the nose for the neck's upper end, the
eyes for the head; and the nose for eyes and ears.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ...errors import ConfigError
from ...skeleton import SKELETONS, Skeleton, StandIns, joint_map
from ...types import Array

H36M = SKELETONS['h36m_17']
PELVIS, SPINE, THORAX = (H36M.index(name) for name in ('pelvis', 'spine', 'thorax'))
_STAND_INS: StandIns = {
    'pelvis': (('pelvis',), ('left_hip', 'right_hip')),
    'thorax': (('thorax',), ('mid_shoulder',), ('left_shoulder', 'right_shoulder')),
    'skull_base': (('skull_base',), ('nose',), ('upper_neck',)),
    'head_top': (('head_top',), ('left_eye', 'right_eye')),
    'nose': (('nose',), ('skull_base',)),
    **{
        f'{side}_{part}': ((f'{side}_{part}',), ('nose',), ('skull_base',))
        for side in ('left', 'right')
        for part in ('eye', 'ear')
    },
}


@lru_cache(maxsize=32)
def weights_of(source: Skeleton, target: Skeleton = H36M) -> Array:
    """(J, K) weights of the source's joints; all zero where it has nothing for a joint."""
    out = np.zeros((len(target), len(source)))
    for joint, parts in enumerate(joint_map(source, target.by_meaning, _STAND_INS, computed=False)):
        out[joint, list(parts)] = 1 / max(len(parts), 1)
    if target is H36M and not out[SPINE].any() and out[PELVIS].any() and out[THORAX].any():
        out[SPINE] = (out[PELVIS] + out[THORAX]) / 2
    return out


def to_joints(points: Array, source: Skeleton, target: Skeleton) -> Array:
    """(..., J, C) from (..., K, C) points or scores of a convention, NaN where a joint is missing.

    A joint is missing, too, where one that it is made of is.
    """
    weights = weights_of(source, target)
    if points.shape[-2] != weights.shape[1]:
        raise ConfigError(f'{source.name} has {weights.shape[1]} joints, not {points.shape[-2]}')
    return weighted(weights, points)


def to_h36m(points: Array, source: Skeleton) -> Array:
    """(..., 17, C): see to_joints."""
    return to_joints(points, source, H36M)


def weighted(weights: Array, points: Array) -> Array:
    """(..., J, C) means of points (..., K, C) by weights (J, K); NaN where one, or all, lack."""
    missing = ~np.isfinite(points)
    out: Array = np.einsum('jk,...kc->...jc', weights, np.where(missing, 0.0, points))
    if missing.any():
        used = (weights != 0).astype(float)
        touched = np.einsum('jk,...kc->...jc', used, missing.astype(float))
        out = np.where(touched > 0, np.nan, out)
    out[..., ~weights.any(axis=1), :] = np.nan
    return out
