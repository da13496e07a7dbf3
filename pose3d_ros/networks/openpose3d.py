# SPDX-License-Identifier: Apache-2.0
"""Images to the network's input, and its 3D maps read at 2D people.

Slots are CMU Panoptic's 19 joints. Cells are those of the network's maps: cell i covers [i, i + 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..types import Array
from .openpose3d_peaks import ENLARGED
from .openpose3d_people import People2D

SLOTS, STRIDE = 19, 8
BODY_HEIGHT_M = 1.8
"""What the network's unit length stands for."""
NECK, PELVIS, HIPS, SHOULDERS = 0, 2, (6, 12), (3, 9)
# Slot of each heat map.
RIGHT_SLOTS = np.array([1, 0, 9, 10, 11, 3, 4, 5, 12, 13, 14, 6, 7, 8, 17, 15, 18, 16])
# Each limb is read where its outermost joint is visible; the nose is in two, and the second wins.
GROUPS = ((18, 17, 1), (16, 15, 1), (5, 4, 3), (8, 7, 6), (11, 10, 9), (14, 13, 12))
MIN_SCORE = 0.1


@dataclass(frozen=True)
class Readout:
    """cells: (P, 19, 2), score: (P, 19), NaN where none. relative: (P, 19, 3) body heights."""

    cells: Array
    score: Array
    relative: Array


def read(people: People2D, features: Array, slots: Array, *, published: bool = True) -> Readout:
    """Root-relative joints of people, read at their own joints.

    features: (57, H, W). slots: of each heat map. published: everybody has a neck; else, who has
    none is read between the shoulders.
    """
    count = len(people.xy)
    cells, score = np.full((count, SLOTS, 2), np.nan), np.full((count, SLOTS), np.nan)
    cells[:, slots] = (people.xy + 0.5) / ENLARGED
    score[:, slots] = people.score
    source = np.full((count, SLOTS), NECK)
    measured = score > MIN_SCORE
    for group in GROUPS:
        first = np.full(count, -1)
        for slot in reversed(group):
            first[measured[:, slot]] = slot
        good = first >= 0
        for slot in group:
            source[good, slot] = first[good]
    person = np.arange(count)[:, None]
    at = cells[person, source]
    if not published and np.isnan(at).any():
        chest = cells[:, SHOULDERS]
        finite = ~np.isnan(chest[..., :1])
        chest = np.where(finite, chest, 0).sum(axis=1) / np.maximum(finite.sum(axis=1), 1)
        at = np.where(np.isnan(at), chest[:, None], at)
    height, width = features.shape[1:]
    u = np.clip(np.floor(at[..., 0]), 0, width - 1).astype(np.int64)
    v = np.clip(np.floor(at[..., 1]), 0, height - 1).astype(np.int64)
    channel = np.arange(SLOTS * 3).reshape(SLOTS, 3)
    relative = features[channel[None], v[..., None], u[..., None]].astype(np.float64)
    return Readout(cells, score, relative)


@dataclass(frozen=True)
class View:
    """Where the maps' cells lie in the frame: pixel = cell * pitch + shift, centre of (0, 0) at 0.

    size: width and height of the network's input.
    """

    pitch: Array
    shift: Array
    size: tuple[int, int]

    def pixels(self, cells: Array) -> Array:
        """(..., 2) pixels of the frame."""
        return np.asarray(cells * self.pitch + self.shift)

    def moved(self, x: int, y: int) -> View:
        """The same view of a part of the frame that begins at pixel (x, y)."""
        return View(self.pitch, np.add(self.shift, (x, y)), self.size)


def input_size(width: int, height: int, base: int) -> tuple[int, int]:
    """Size of the network's input for a frame, padded to whole cells."""
    scaled = round(width * base / height)
    return -(-scaled // STRIDE) * STRIDE, -(-base // STRIDE) * STRIDE


def prepare(image: Array, target: Array, base: int | tuple[int, int]) -> View:
    """Write an image (h, w, 3) into target (H, W, 3), both uint8, padded with grey.

    base: its rows there, or the width and height that it has to fit in.
    """
    height, width = image.shape[:2]
    fit = (base[0] / width, base[1] / height) if isinstance(base, tuple) else (base / height,)
    scale = min(fit)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    part = target[: size[1], : size[0]]
    cv2.resize(image, size, dst=part, interpolation=cv2.INTER_LINEAR)
    target[:, size[0] :] = 128
    target[size[1] :] = 128
    pitch = np.array([STRIDE * width / size[0], STRIDE * height / size[1]])
    return View(pitch, np.full(2, -0.5), (target.shape[1], target.shape[0]))
