# SPDX-License-Identifier: Apache-2.0
"""What is measured of a body: its height by its bones, its distance by a depth image."""

from __future__ import annotations

import math

import numpy as np

from ..skeleton import Skeleton
from ..types import Array

# Segment lengths as shares of body height (Drillis and Contini 1966): thigh, shank, trunk from hip
# to shoulder. Together they stand for the height, since feet and top of the head are not joints.
_SHARES = {('hip', 'knee'): 0.245, ('knee', 'ankle'): 0.246, ('shoulder', 'hip'): 0.288}
_TRUNK = ('left_shoulder', 'right_shoulder', 'left_hip', 'right_hip')
SKIN_TO_JOINT_M = 0.09
"""From the skin of the trunk to its joints, along the optical axis."""


def body_height(skeleton: Skeleton, xyz: Array) -> float:
    """Standing height in metres by the lengths of thighs, shanks and trunk; NaN if unknown.

    xyz: (J, 3) metres.
    """
    index = skeleton.by_meaning
    total = share = 0.0
    for (a, b), part in _SHARES.items():
        lengths = [
            float(np.linalg.norm(xyz[index[f'{side}_{a}']] - xyz[index[f'{side}_{b}']]))
            for side in ('left', 'right')
            if f'{side}_{a}' in index and f'{side}_{b}' in index
        ]
        finite = [length for length in lengths if math.isfinite(length)]
        if finite:
            total += sum(finite) / len(finite)
            share += part
    return total / share if share > 0.4 and total > 0 else math.nan


def trunk_depth(skeleton: Skeleton, xyz: Array, pixels: Array, depth: Array) -> float:
    """Depth of the root in metres by a depth image (H, W), 0 if it shows no trunk.

    xyz: (J, 3) metres about the root, axes of the camera. pixels: (J, 2). The median over windows
    around shoulders and hips, each less the joint's own depth about the root; single pixels fall
    through holes and past edges.
    """
    index = skeleton.by_meaning
    values: list[float] = []
    height, width = depth.shape
    for joint in (index[name] for name in _TRUNK if name in index):
        x, y = pixels[joint]
        if not (0 <= x < width and 0 <= y < height):
            continue
        column, row = int(x), int(y)
        window = measured(depth, column - 3, row - 3, column + 4, row + 4)
        if len(window) >= 5:
            values.append(float(np.median(window)) - float(xyz[joint, 2]))
    return float(np.median(values)) + SKIN_TO_JOINT_M if len(values) >= 2 else 0.0


def measured(depth: Array, left: int, top: int, right: int, bottom: int) -> Array:
    """(N,) the measurements of a depth image (H, W) in a window."""
    window = depth[max(top, 0) : bottom, max(left, 0) : right]
    return np.asarray(window[np.isfinite(window) & (window > 0)])
