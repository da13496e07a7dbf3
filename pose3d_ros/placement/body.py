# SPDX-License-Identifier: Apache-2.0
"""What is measured of a body: its height by its bones, its distance by a depth image."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import numpy as np

from ..skeleton import Skeleton
from ..types import Array, Pose3D

# Lengths between joint centres as shares of standing height: thigh, shank, trunk from hip to
# shoulder. Together they stand for the height, since feet and top of the head are not joints.
# Means over the bodies of the rendered scenes, whose heights are recorded. Textbook shares (Drillis
# and Contini 1966) measure trunks to the top of the shoulder: they place people too far.
_BONES = (('hip', 'knee'), ('knee', 'ankle'), ('shoulder', 'hip'))
_SHARES = np.array([0.237, 0.247, 0.277])
_MIN_SHARE = 0.4
_MEMORY = 256  # frames
_QUANTILE = 0.85  # by the rendered scenes of one person, as the shares
_TRUNK = ('left_shoulder', 'right_shoulder', 'left_hip', 'right_hip')
SKIN_TO_JOINT_M = 0.09
"""From the skin of the trunk to its joints, along the optical axis."""


def lasting_heights(poses: Sequence[Pose3D], bones: dict[int, deque[Array]]) -> dict[int, float]:
    """Standing heights by track id in metres, as the network sees root-relative people over time.

    bones: the last bone_lengths by track id; takes in those of this frame. Networks shorten bones
    that point along the view, and hardly lengthen any: of each bone counts a length that few
    frames exceed.
    """
    heights: dict[int, float] = {}
    for pose in poses:
        if not pose.absolute:
            lengths = bones.setdefault(pose.track_id, deque(maxlen=_MEMORY))
            lengths.append(bone_lengths(pose.skeleton, pose.xyz))
            heights[pose.track_id] = _height(_upper(np.array(lengths)))
    return heights


def _upper(values: Array) -> Array:
    """(N,) quantile of the finite values (T, N) of each column; NaN where there is none."""
    ordered = np.sort(values, axis=0)  # NaN last
    rank = (_QUANTILE * (np.isfinite(values).sum(axis=0) - 1)).astype(int)
    return np.asarray(ordered[np.maximum(rank, 0), np.arange(values.shape[1])])


def body_height(skeleton: Skeleton, xyz: Array) -> float:
    """Standing height in metres by the bones of one frame; NaN if unknown.

    xyz: (J, 3) metres.
    """
    return _height(bone_lengths(skeleton, xyz))


def bone_lengths(skeleton: Skeleton, xyz: Array) -> Array:
    """(3,) metres: thigh, shank, trunk, each the mean of the sides that there are; NaN: neither.

    xyz: (J, 3) metres.
    """
    index = skeleton.by_meaning
    out = np.full(len(_BONES), np.nan)
    for k, (a, b) in enumerate(_BONES):
        lengths = [
            math.dist(xyz[index[f'{side}_{a}']], xyz[index[f'{side}_{b}']])
            for side in ('left', 'right')
            if f'{side}_{a}' in index and f'{side}_{b}' in index
        ]
        finite = [length for length in lengths if math.isfinite(length)]
        if finite:
            out[k] = sum(finite) / len(finite)
    return out


def _height(lengths: Array) -> float:
    """Standing height by bone_lengths."""
    good = np.isfinite(lengths)
    total, share = float(lengths[good].sum()), float(_SHARES[good].sum())
    return total / share if share > _MIN_SHARE and total > 0 else math.nan


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
