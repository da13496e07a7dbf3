# SPDX-License-Identifier: Apache-2.0
"""What MMPose and MotionBERT train and judge their lifters by; robots need none of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.estimators.lifter.codecs import Size
from pose3d_ros.estimators.lifter.joints import PELVIS, SPINE, THORAX

from .lifter_joints import to_h36m

Array = NDArray[Any]


def camera_in_image(focal: Array, centre: Array, size: Size) -> tuple[Array, Array]:
    """Focal length and principal point in half image widths, the latter from the centre."""
    width, height = size
    half = width / 2
    return focal / half, (centre - np.array([[width / 2], [height / 2]])) / half


def split_root(target: Array, root: int | list[int] = 0) -> tuple[Array, Array]:
    """Joints about their root, and the root itself (..., 3)."""
    centre = target[..., root, :]
    if isinstance(root, list):
        centre = centre.mean(axis=-2)
    return target - centre[..., None, :], centre


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


def posetrack_scores(scores: Array) -> Array:
    """(..., 17) scores as MotionBERT makes them from PoseTrack's: those of means are the lowest."""
    out = to_h36m(scores[..., None], 'posetrack_motionbert')[..., 0]
    out[..., PELVIS] = np.minimum(scores[..., 11], scores[..., 12])
    out[..., SPINE] = np.minimum(out[..., PELVIS], out[..., THORAX])
    return out


OPENPOSE_18_OF_COCO = (0, -1, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)


def coco_to_openpose(points: Array, scores: Array) -> tuple[Array, Array]:
    """(..., 18, 2) and (..., 18) of COCO's 17; the neck is the middle of the shoulders, with the
    lower score of the two.
    """
    neck = points[..., [5, 6], :].mean(axis=-2, keepdims=True)
    both = scores[..., [5, 6]].min(axis=-1, keepdims=True)
    points = np.concatenate([points, neck], axis=-2)
    scores = np.concatenate([scores, both], axis=-1)
    order = [17 if k < 0 else k for k in OPENPOSE_18_OF_COCO]
    return points[..., order, :], scores[..., order]
