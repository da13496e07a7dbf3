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

MIRROR = list(SKELETONS['h36m_17'].mirror)
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


def camera_in_image(focal: Array, centre: Array, size: Size) -> tuple[Array, Array]:
    """Focal length and principal point in half image widths, the latter from the centre."""
    width, height = size
    half = width / 2
    return focal / half, (centre - np.array([[width / 2], [height / 2]])) / half


def flatten(points: Array) -> Array:
    """(..., T, 17, C) to (..., 17 C, T): the layout of temporal convolutions."""
    flat = points.reshape(*points.shape[:-2], -1)
    return np.ascontiguousarray(np.swapaxes(flat, -1, -2))


def split_root(target: Array, root: int | list[int] = 0) -> tuple[Array, Array]:
    """Joints about their root, and the root itself (..., 3)."""
    centre = target[..., root, :]
    if isinstance(root, list):
        centre = centre.mean(axis=-2)
    return target - centre[..., None, :], centre


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

    def encode_target(self, joints: Array) -> Array:
        """(..., 16, 3) metres about the pelvis, standardised."""
        return (joints - self.output_mean) / self.output_std

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


def camera_factor(root: Array, focal: Array, centre: Array) -> Array:
    """(T,) millimetres per pixel at the roots (T, 3) metres, as MMPose computes it."""
    ends = root[:, None] + np.array([[-1.0, -1.0, 0.0], [1.0, 1.0, 0.0]])
    points = (ends[..., :2] / ends[..., 2:] * focal + centre) / 1000
    return np.asarray(2 / (points[:, 1, 0] - points[:, 0, 0] + 0.001))


def motionbert_label(
    target: Array, focal: Array, centre: Array, size: Size, factor: Array, mode: str
) -> Array:
    """The 2.5D label of (T, 17, 3) metres, about the pelvis: what MotionBERT is trained by (mode
    'train', half image widths) and judged by ('test', metres).
    """
    place = (target[..., :2] / target[..., 2:] * focal + centre) / 1000
    root = target[:, 0]
    ends = root[:, None] + np.array([[-1.0, -1.0, 0.0], [1.0, 1.0, 0.0]])
    edge = (ends[..., :2] / ends[..., 2:] * focal + centre) / 1000
    scale = (edge[:, 1, 0] - edge[:, 0, 0] + 0.001) / 2
    depth = (target[..., 2] - root[:, None, 2]) * scale[:, None]
    label = np.concatenate([place, depth[..., None]], axis=-1) * 1000
    width, height = size
    if mode == 'train':
        label[..., :2] = label[..., :2] / width * 2 - np.array([1.0, height / width])
        label[..., 2] = label[..., 2] / width * 2
    else:
        label = label * np.asarray(factor).reshape(-1, 1, 1) / 1000
    return np.asarray(label - label[:, :1])


def crop_scale(clip: Array) -> Array:
    """(T, 17, 3) x, y, score in the square around all seen points of the clip, within -1 to 1."""
    out = np.array(clip, dtype=clip.dtype)
    seen = clip[clip[..., 2] != 0][:, :2]
    if len(seen) < 4:
        return np.zeros_like(clip)
    low, high = seen.min(axis=0), seen.max(axis=0)
    extent = (high - low).max()
    if extent == 0:
        return np.zeros_like(clip)
    corner = (low + high - extent) / 2
    out[..., :2] = ((clip[..., :2] - corner) / extent - 0.5) * 2
    return np.asarray(np.clip(out, -1, 1))


def by_shorter_side(pixels: Array, size: Size) -> Array:
    """Pixels in halves of the image's shorter side, from the centre."""
    return (pixels - np.array(size) / 2) / (min(size) / 2)


def from_shorter_side(output: Array, size: Size) -> Array:
    """The inverse for (..., 3) network output: pixels, and depth in the same unit."""
    out: Array = output * (min(size) / 2)
    out[..., :2] += np.array(size) / 2
    return out


def mirrored(points: Array, joints: bool = True) -> Array:
    """(..., 17, C) normalised points seen in a mirror; joints: left and right swap too."""
    out = np.array(points[..., MIRROR, :] if joints else points)
    out[..., 0] = -out[..., 0]
    return out


def from_mirror(output: Array, mirror_output: Array) -> Array:
    """Mean of an output and that for the mirrored input, (..., 17, 3) or (..., 1, 3)."""
    return (output + mirrored(mirror_output, joints=output.shape[-2] > 1)) / 2
