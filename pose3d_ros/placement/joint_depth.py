# SPDX-License-Identifier: Apache-2.0
"""The depth of each joint by a registered depth image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..skeleton import Skeleton
from ..types import Array, JointStatus, Pose3D

# From the skin that a camera sees to the joint, metres of an adult, by the end of the name.
_THICKNESS = {
    'shoulder': 0.07,
    'elbow': 0.045,
    'wrist': 0.03,
    'hip': 0.09,
    'knee': 0.055,
    'ankle': 0.05,
    'heel': 0.03,
    'toe': 0.02,
    'foot_index': 0.02,
    'nose': 0.02,
    'index': 0.015,
    'pinky': 0.015,
    'thumb': 0.015,
}
_WINDOW_M = 0.03  # half the side of the window around a joint
_LEAST_WINDOW, _MOST_WINDOW = 2, 8  # pixels
_FRONT = 0.25  # share of the window's depths that lie in front of the one that counts
_THICK_M = 0.05  # of what counts as one surface
_SUPPORT = 0.2  # share of the window that a surface must fill
_SIGMA_M, _SIGMA_SHARE = 0.03, 0.005  # of a measured joint, and of its distance
_UNKNOWN_SIGMA_M = 0.1  # of joints about the root, where the estimator states none
_GATE_SIGMAS, _GATE_M = 3.0, 0.10


@dataclass(frozen=True)
class JointDepths:
    """z: (J,) metres of the joints, fused. left: (J,) share of the variance of z that is left; 1:
    not measured.
    """

    z: Array
    left: Array


@lru_cache(maxsize=64)
def _thickness(skeleton: Skeleton) -> tuple[Array, Array]:
    """Joints (N,) that can be measured, and how deep under the skin they lie."""
    rows = [
        (k, _THICKNESS[part])
        for meaning, k in skeleton.by_meaning.items()
        if (part := meaning.removeprefix('left_').removeprefix('right_')) in _THICKNESS
    ]
    return np.array([k for k, _ in rows], int), np.array([depth for _, depth in rows])


def joint_depths(pose: Pose3D, z: Array, depth: Array, focal: float) -> JointDepths:
    """The joints' depths (J,) in metres of a placed person, corrected by a depth image (H, W).

    pose: its covariance is about the root. Of the depths in a window around a joint count those
    that the joint may have, and of these the front surface: not the background, no holes and
    flying pixels, and nothing that hides the joint from far in front.
    """
    out, left = z.copy(), np.ones(len(z))
    joints, under = _thickness(pose.skeleton)
    usable = (pose.status[joints] == JointStatus.MEASURED) & (z[joints] > 0.1)
    usable &= np.isfinite(pose.pixels[joints]).all(axis=1)
    joints, under = joints[usable], under[usable]
    if not len(joints):
        return JointDepths(out, left)
    expected = z[joints]
    variance = np.full(len(joints), _UNKNOWN_SIGMA_M**2)
    if pose.covariance is not None:
        variance = pose.covariance[joints, 2, 2]
    reach = _WINDOW_M * focal / float(np.median(expected))
    r = int(np.clip(round(reach), _LEAST_WINDOW, _MOST_WINDOW))
    step = np.arange(-r, r + 1)
    column, row = np.rint(pose.pixels[joints]).astype(int).T
    rows, columns = row[:, None, None] + step[:, None], column[:, None, None] + step
    height, width = depth.shape
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    window = depth[rows.clip(0, height - 1), columns.clip(0, width - 1)].astype(float)
    window = np.where(inside, window, np.nan).reshape(len(joints), -1)
    off = window + under[:, None] - expected[:, None]
    gate = _GATE_SIGMAS * np.sqrt(variance) + _GATE_M
    off[~((window > 0) & (np.abs(off) < gate[:, None]))] = np.nan
    ordered = np.sort(off, axis=1)  # NaN last
    count = np.isfinite(ordered).sum(axis=1)
    front = ordered[np.arange(len(joints)), (_FRONT * np.maximum(count - 1, 0)).astype(int)]
    near = np.abs(ordered - front[:, None]) < _THICK_M
    support = near.sum(axis=1)
    enough = support > _SUPPORT * off.shape[1]
    if enough.any():
        joints, near, support = joints[enough], near[enough], support[enough]
        surface = np.where(near, ordered[enough], 0.0).sum(axis=1) / support
        measured = (_SIGMA_M**2) + (_SIGMA_SHARE * expected[enough]) ** 2
        share = variance[enough] / (variance[enough] + measured)
        out[joints] += share * surface
        left[joints] = 1 - share
    return JointDepths(out, left)
