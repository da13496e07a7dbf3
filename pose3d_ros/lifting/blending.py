# SPDX-License-Identifier: Apache-2.0
"""A lifted body and the body that the source of its 2D joints saw in the image by itself."""

from __future__ import annotations

import numpy as np

from ..types import Array, Pose3D

_HIPS = ('left_hip', 'right_hip')
_LIMBS = ('shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle')
_JOINTS = ('nose', *(f'{side}_{limb}' for limb in _LIMBS for side in ('left', 'right')))
_TRUSTED = 0.7  # of these joints in the image, from which on the source's body counts at all


def blended(
    xyz: Array, index: dict[str, int], seen: Pose3D, size: tuple[int, int], weight: float
) -> Array:
    """Joints (J, 3) moved by `weight` of the way to the source's, about the hips.

    xyz: metres, camera's axes. index: its joints by meaning. seen: by the source, xyz in metres,
    pixels in an image of that width and height. Bodies that the image's edge cuts off are left as
    they are: what lies beyond it is only guessed, in 3D more than in 2D.
    """
    theirs = seen.skeleton.by_meaning
    joints = [name for name in _JOINTS if name in theirs and name in index]
    if len(joints) < len(_JOINTS):
        return xyz
    mine, other = [index[name] for name in joints], [theirs[name] for name in joints]
    pixels = seen.pixels[other]
    inside = ((pixels >= 0) & (pixels <= np.array(size) - 1)).all(axis=1)
    trust = weight * min(max((inside.mean() - _TRUSTED) / (1 - _TRUSTED), 0.0), 1.0)
    hips = [joints.index(name) for name in _HIPS]
    a, b = xyz[mine], seen.xyz[other]
    step = (b - b[hips].mean(axis=0)) - (a - a[hips].mean(axis=0))
    if trust == 0 or not np.isfinite(step).all():
        return xyz
    out = xyz.copy()
    out[mine] += trust * step
    return out
