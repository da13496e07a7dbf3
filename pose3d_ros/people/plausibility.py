# SPDX-License-Identifier: Apache-2.0
"""How body-like a skeleton is, by the ratios of its bones (Zhou et al., ICCV 2017, 1704.02447).

Within each of four groups of bones (legs, arms, hips, shoulders) lengths, brought to one length by
the ratios of an average body, should be equal. Size, pose and view do not matter.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..types import Pose3D

Array = NDArray[Any]

# Thigh over shin and upper arm over forearm of the average body, mm.
_LEG, _ARM = 456.0086 / 452.1255, 284.1253 / 249.7726
# The same limbs by meaning, for any convention: bone, factor.
_LIMBS = (
    (('hip', 'knee', 1.0), ('knee', 'ankle', _LEG)),
    (('shoulder', 'elbow', 1.0), ('elbow', 'wrist', _ARM)),
)


def bone_quality(pose: Pose3D) -> float:
    """1 for a body with perfect bone ratios, towards 0 for an impossible one; NaN: unknown.

    exp(-v / s²) of the mean relative variance v of the groups' scaled lengths, s = 0.2: bones that
    differ by 10 % give 0.78, by 30 % 0.11. Joints that are not known are left out.
    """
    index = pose.skeleton.by_meaning
    variances = []
    for limb in _LIMBS:
        lengths = []
        for side in ('left', 'right'):
            for start, end, factor in limb:
                a, b = index.get(f'{side}_{start}'), index.get(f'{side}_{end}')
                if a is not None and b is not None:
                    lengths.append(factor * float(np.linalg.norm(pose.xyz[a] - pose.xyz[b])))
        variances.append(_relative_variance(lengths))
    for pair in ('hip', 'shoulder'):
        a, b = index.get(f'left_{pair}'), index.get(f'right_{pair}')
        middle = index.get('pelvis' if pair == 'hip' else 'thorax')
        if a is not None and b is not None and middle is not None:
            halves = [float(np.linalg.norm(pose.xyz[k] - pose.xyz[middle])) for k in (a, b)]
            variances.append(_relative_variance(halves))
    finite = [value for value in variances if not math.isnan(value)]
    return math.exp(-sum(finite) / len(finite) / 0.04) if finite else math.nan


def _relative_variance(lengths: list[float]) -> float:
    finite = np.array([length for length in lengths if math.isfinite(length)])
    if len(finite) < 2:
        return math.nan
    mean = float(finite.mean())
    return float(finite.var()) / (mean * mean) if mean > 1e-9 else math.inf
