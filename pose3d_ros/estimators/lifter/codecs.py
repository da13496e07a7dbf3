# SPDX-License-Identifier: Apache-2.0
"""How the published lifters want their input and what their output means.

Pixels are those of the whole image, (..., 17, 2) in the order of h36m_17; size is its width and
height. Formulas after MMPose's codecs and the original programs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...resources import resource
from ...skeleton import SKELETONS

Array = NDArray[Any]
Size = tuple[float, float]

H36M_FOCAL = 2.2915
"""Focal length of Human3.6M's cameras in half image widths."""
_CENTRE, _EXTENT = np.array([528.0, 427.0]), 400.0
DEFAULT_FACTOR = 4.0
"""Millimetres per pixel that MMPose takes without a calibration: a person at 4.6 m."""


def by_image(pixels: Array, size: Size) -> Array:
    """Pixels in half image widths from the centre, both coordinates alike."""
    width, height = size
    return np.asarray((pixels - np.array([width / 2, height / 2])) / (width / 2))


def by_camera(rays: Array) -> Array:
    """Rays x/z, y/z as a camera of Human3.6M would see them: for nets that predict depth."""
    return H36M_FOCAL * rays


def flatten(points: Array) -> Array:
    """(..., T, 17, C) to (..., 17 C, T): the layout of temporal convolutions."""
    flat = points.reshape(*points.shape[:-2], -1)
    return np.ascontiguousarray(np.swapaxes(flat, -1, -2))


def norm_pose(pixels: Array, box: Array) -> Array:
    """A person moved and scaled to the mean place and size in Human3.6M's images.

    pixels: (..., 17, 2). box: (..., 4) x1, y1, x2, y2.
    """
    centre = (box[..., :2] + box[..., 2:]) / 2
    extent = np.maximum(box[..., 2] - box[..., 0], box[..., 3] - box[..., 1])
    scale = (_EXTENT / extent)[..., None, None]
    return np.asarray((pixels - centre[..., None, :]) * scale + _CENTRE)


@dataclass(frozen=True, eq=False)
class Statistics:
    """Mean and standard deviation of SimpleBaseline3D's input (17, 2) px and output (16, 3) m."""

    input_mean: Array
    input_std: Array
    output_mean: Array
    output_std: Array

    def encode(self, pixels: Array) -> Array:
        """(..., 17, 2) pixels to (..., 34, 1)."""
        flat = (pixels - self.input_mean) / self.input_std
        return flat.reshape(*flat.shape[:-2], -1, 1)

    def decode(self, output: Array, root: Array | None = None) -> Array:
        """(..., 16, 3) metres about the pelvis; with a root (..., 3), 17 joints from there."""
        joints: Array = output * self.output_std + self.output_mean
        return joints if root is None else with_root(joints, root)


def with_root(joints: Array, root: Array) -> Array:
    """The pelvis put in front of (..., 16, 3) joints, and all moved there."""
    root = np.broadcast_to(root[..., None, :], (*joints.shape[:-2], 1, 3))
    return np.concatenate([root, joints + root], axis=-2)


@lru_cache(maxsize=1)
def simplebaseline_statistics() -> Statistics:
    """The published numbers, of Human3.6M's training subjects."""
    path = resource('config', 'simplebaseline3d_stats.json')
    values = json.loads(path.read_text(encoding='utf-8'))
    names = ('keypoints_mean', 'keypoints_std', 'target_mean', 'target_std')
    return Statistics(*(np.array(values[name], dtype=float) for name in names))


def motionbert_input(pixels: Array, scores: Array, size: Size) -> Array:
    """(..., 17, 3): place in half image widths from the centre, and the score."""
    width, height = size
    place = pixels * (2 / width) - np.array([1.0, height / width])
    return np.concatenate([place, scores[..., None]], axis=-1)


def motionbert_decode(
    output: Array, size: Size | None = None, factor: Array | None = None, rootrel: bool = True
) -> Array:
    """Metres about the pelvis, (..., T, 17, 3), of a network's output.

    factor: (T,) millimetres per pixel; without it and the size the unit is only nominal.
    """
    pose: Array = np.array(output, dtype=float)
    if rootrel:
        pose[..., 0, :] = 0
    if size is not None:
        width, height = size
        pose[..., :2] = (pose[..., :2] + np.array([1.0, height / width])) * (width / 2)
        pose[..., 2] *= width / 2
    if factor is not None:
        pose = pose * np.asarray(factor, float).reshape(-1, 1, 1)
    return (pose - pose[..., :1, :]) / 1000


def mirrored(points: Array, joints: bool = True, convention: str = 'h36m_17') -> Array:
    """(..., 17, C) normalised points seen in a mirror; joints: left and right swap too."""
    swapped = points[..., list(SKELETONS[convention].mirror), :] if joints else points
    out = np.array(swapped)
    out[..., 0] = -out[..., 0]
    return out


def from_mirror(output: Array, mirror_output: Array) -> Array:
    """Mean of an output and that for the mirrored input, (..., 17, 3) or (..., 1, 3)."""
    return (output + mirrored(mirror_output, joints=output.shape[-2] > 1)) / 2
