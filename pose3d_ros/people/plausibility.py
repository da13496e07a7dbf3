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
_LEG_WEIGHT, _ARM_WEIGHT = 1.0085885098415446, 1.1375361376887123
# Groups of bones (joints of mpii_16) and the factors that make their lengths equal.
GROUPS: tuple[tuple[tuple[tuple[int, int], float], ...], ...] = (
    (((0, 1), _LEG_WEIGHT), ((1, 2), 1.0), ((3, 4), 1.0), ((4, 5), _LEG_WEIGHT)),
    (((10, 11), _ARM_WEIGHT), ((11, 12), 1.0), ((13, 14), 1.0), ((14, 15), _ARM_WEIGHT)),
    (((2, 6), 1.0), ((3, 6), 1.0)),
    (((12, 8), 1.0), ((13, 8), 1.0)),
)
# The same limbs by meaning, for any convention: bone, factor.
_LIMBS = (
    (('hip', 'knee', 1.0), ('knee', 'ankle', _LEG)),
    (('shoulder', 'elbow', 1.0), ('elbow', 'wrist', _ARM)),
)


def geometric_loss(xyz: Array, visible: Array) -> Array:
    """(N,) the geometric constraint loss of the paper, for joints (N, 16, 3) of mpii_16.

    In the paper x, y are labels in sides of the crop and z is predicted. visible: (N, 16), bones
    count when both ends are over 0.5. Sum over the groups of the variance of the bones' scaled
    lengths, halved; 0 is perfect. The unit is the square of that of xyz.
    """
    total = np.zeros(len(xyz))
    seen = np.asarray(visible) > 0.5
    for group in GROUPS:
        a, b = np.array([bone for bone, _ in group]).T
        factor = np.array([weight for _, weight in group])
        length = factor * np.linalg.norm(xyz[:, a] - xyz[:, b], axis=2)
        used = seen[:, a] & seen[:, b]
        count = used.sum(axis=1)
        safe = np.maximum(count, 1)
        mean = np.where(used, length, 0.0).sum(axis=1) / safe
        square = np.where(used, (length - mean[:, None]) ** 2, 0.0).sum(axis=1)
        total += square / (2 * safe)
    return total


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
    known = [value for value in variances if not math.isnan(value)]
    return math.exp(-sum(known) / len(known) / 0.04) if known else math.nan


def _relative_variance(lengths: list[float]) -> float:
    known = np.array([length for length in lengths if math.isfinite(length)])
    if len(known) < 2:
        return math.nan
    mean = float(known.mean())
    return float(known.var()) / (mean * mean) if mean > 1e-9 else math.inf
