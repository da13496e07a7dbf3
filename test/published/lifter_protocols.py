# SPDX-License-Identifier: Apache-2.0
"""How the published lifters are judged and shown by their own programs, for comparisons.

The package's own numbers come from `tools.metrics`; these pool and align as the papers' tables do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.geometry import procrustes

Array = NDArray[Any]

BLOCKED = ('s_09_act_05_subact_02', 's_09_act_10_subact_02', 's_09_act_13_subact_01')
"""Human3.6M sequences whose ground truth is broken; MotionBERT's protocol leaves them out."""


def aligned(predicted: Array, truth: Array, mode: str) -> Array:
    """(N, J, 3) moved: `none`, `scale` (about the origin), `procrustes` (a similarity)."""
    if mode == 'procrustes':
        return np.stack([procrustes(p, t)(p) for p, t in zip(predicted, truth)])
    if mode == 'scale':
        square = (predicted * predicted).sum(axis=(1, 2), keepdims=True)
        scale = (predicted * truth).sum(axis=(1, 2), keepdims=True) / square
        return np.asarray(predicted * scale)
    return predicted


def keypoint_mpjpe(predicted: Array, truth: Array, mask: Array, mode: str = 'none') -> float:
    """Mean distance over the masked joints (N, J) of all frames together."""
    predicted = aligned(np.asarray(predicted, float), np.asarray(truth, float), mode)
    distance = np.linalg.norm(predicted - truth, axis=-1)
    return float(distance[np.asarray(mask, bool)].mean())


def velocity_error(predicted: Array, truth: Array) -> float:
    """Mean norm of the difference of frame-to-frame motion."""
    moved = np.diff(np.asarray(predicted, float), axis=0) - np.diff(truth, axis=0)
    return float(np.linalg.norm(moved, axis=-1).mean())


def mmpose_scores(
    predicted: Array, truth: Array, mask: Array, names: Sequence[str], skip: Sequence[str] = ()
) -> dict[str, float]:
    """MMPose's table: each metric over everything, and by action.

    names: of the images, `<subject>_<action>[_<n>].<camera>_<frame>.<ending>` with or without
    folders; actions are told apart by what stands before the next underscore.
    """
    sequences = [_sequence(name) for name in names]
    kept = [k for k, name in enumerate(sequences) if name not in skip]
    out = {}
    for metric, mode in (('MPJPE', 'none'), ('P-MPJPE', 'procrustes'), ('N-MPJPE', 'scale')):
        out[metric] = keypoint_mpjpe(predicted[kept], truth[kept], mask[kept], mode)
        actions = [sequences[k].split('_')[1] for k in kept]
        for action in sorted(set(actions)):
            rows = [k for k, name in zip(kept, actions) if name == action]
            value = keypoint_mpjpe(predicted[rows], truth[rows], mask[rows], mode)
            out[f'{metric}_{action}'] = value
    return out


def _sequence(name: str) -> str:
    """`S9_Greet` of `.../S9_Greet.60457274_000123.jpg`."""
    return name.rpartition('/')[2].partition('.')[0]


def motionbert_scores(
    predicted: Array,
    indices: Array,
    actions: Sequence[str],
    sources: Sequence[str],
    sizes: Array,
    factors: Array,
    truth_mm: Array,
) -> tuple[float, float]:
    """MPJPE and P-MPJPE in mm as MotionBERT counts them.

    predicted: (C, T, 17, 3) normalised, of clips whose frames are indices (C, T); the rest by
    frame. Clips that overlap are averaged, then frames by action, then actions.
    """
    count = len(actions)
    total, plain, rigid = np.zeros(count), np.zeros(count), np.zeros(count)
    for clip, frames in zip(np.asarray(predicted, float), indices):
        width, height = np.asarray(sizes[frames], float).T
        pose = clip.copy()
        pose[:, 0] = 0
        ratio = np.stack([np.ones_like(width), height / width], axis=-1)
        pose[..., :2] = (pose[..., :2] + ratio[:, None]) * (width / 2)[:, None, None]
        pose[..., 2] *= (width / 2)[:, None]
        pose *= np.asarray(factors, float)[frames][:, None, None]
        goal = np.asarray(truth_mm, float)[frames]
        pose, goal = pose - pose[:, :1], goal - goal[:, :1]
        np.add.at(total, frames, 1)
        error = np.linalg.norm(pose - goal, axis=-1).mean(axis=-1)
        np.add.at(plain, frames, error)
        moved = aligned(pose, goal, 'procrustes')
        np.add.at(rigid, frames, np.linalg.norm(moved - goal, axis=-1).mean(axis=-1))
    out = []
    for errors in (plain, rigid):
        by_action: dict[str, list[float]] = {}
        for k in range(count):
            if sources[k].startswith(BLOCKED) or total[k] == 0 or errors[k] == 0:
                continue
            by_action.setdefault(actions[k], []).append(errors[k] / total[k])
        out.append(float(np.mean([np.mean(values) for values in by_action.values()])))
    return out[0], out[1]


def display_axes(xyz: Array, rebase: bool = True) -> Array:
    """(..., J, 3) camera axes to MMPose's display: z up, the lowest joint on the floor."""
    shown = np.stack([-xyz[..., 0], xyz[..., 2], -xyz[..., 1]], axis=-1)
    if rebase:
        shown[..., 2] -= shown[..., 2].min(axis=-1, keepdims=True)
    return shown


def track_back(ids: Array, frame: int, track: int) -> list[tuple[int, int]]:
    """Frame and slot of a person from the first of an unbroken run up to a frame; ids (T, P)."""
    found: list[tuple[int, int]] = []
    for k in range(frame, -1, -1):
        slots = np.flatnonzero(ids[k] == track)
        if not len(slots):
            # Further back the program repeats the nearest pose that it has.
            found += [found[-1]] * (k + 1)
            break
        found.append((k, int(slots[0])))
    return found[::-1]


class IouTracker:
    """MMPose's: each box takes the best free one of the frame before, or a new number."""

    def __init__(self, threshold: float = 0.3) -> None:
        self.threshold = threshold
        self._last: list[tuple[Array, int]] = []
        self._next = 0

    def update(self, boxes: Array) -> list[int]:
        """Numbers of (N, 4) boxes x1, y1, x2, y2, in their order."""
        free, now = list(self._last), []
        for box in boxes:
            overlaps = [_iou(box, other) for other, _ in free]
            best = int(np.argmax(overlaps)) if overlaps else -1
            if best >= 0 and overlaps[best] > self.threshold:
                now.append((box, free.pop(best)[1]))
            else:
                now.append((box, self._next))
                self._next += 1
        self._last = now
        return [number for _, number in now]


def _iou(a: Array, b: Array) -> float:
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = float(np.prod(np.clip(high - low, 0, None)))
    union = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - shared
    return shared / (union or 1e-5)
