# SPDX-License-Identifier: Apache-2.0
"""A lifted body and the body that the source of its 2D joints saw in the image by itself."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ...skeleton import Skeleton
from ...types import Array, Pose3D

_LIMBS = ('shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle')
_JOINTS = ('nose', *(f'{side}_{limb}' for limb in _LIMBS for side in ('left', 'right')))
_HIPS = [_JOINTS.index('left_hip'), _JOINTS.index('right_hip')]
_TRUSTED = 0.7  # of these joints in the image, from which on the source's body counts at all


def blended(
    xyz: Array, skeleton: Skeleton, source: Pose3D, size: tuple[int, int], weight: float
) -> Array:
    """Joints (J, 3) moved by `weight` of the way to the source's, about the hips.

    xyz: metres, axes of the camera; of that skeleton. source: xyz in metres, pixels in an
    image of that width and height. Bodies that the image's edge cuts off are left as
    they are: what lies beyond it is only guessed, in 3D more than in 2D.
    """
    mine, other = _indices(skeleton), _indices(source.skeleton)
    if mine is None or other is None:
        return xyz
    pixels = source.pixels[other]
    inside = ((pixels >= 0) & (pixels <= np.array(size) - 1)).all(axis=1)
    trust = weight * min(max((inside.mean() - _TRUSTED) / (1 - _TRUSTED), 0.0), 1.0)
    a, b = xyz[mine], source.xyz[other]
    step = (b - b[_HIPS].mean(axis=0)) - (a - a[_HIPS].mean(axis=0))
    if trust == 0 or not np.isfinite(step).all():
        return xyz
    out = xyz.copy()
    out[mine] += trust * step
    return out


@lru_cache(maxsize=16)
def _indices(skeleton: Skeleton) -> list[int] | None:
    """Of _JOINTS in a skeleton; None if it lacks one."""
    index = skeleton.by_meaning
    return [index[name] for name in _JOINTS] if index.keys() >= set(_JOINTS) else None
