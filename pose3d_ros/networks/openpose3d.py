# SPDX-License-Identifier: Apache-2.0
"""3D maps read at 2D people, and what the published programs make of that.

Slots are CMU Panoptic's 19 joints. Cells are those of the network's maps: cell i covers [i, i + 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..people.filters import OneEuro, OneEuroSettings
from ..types import Array
from .openpose3d_people import ENLARGED, People2D

SLOTS, STRIDE = 19, 8
BODY_HEIGHT_M = 1.8
"""What the network's unit length stands for."""
NECK, PELVIS, HIPS, SHOULDERS = 0, 2, (6, 12), (3, 9)
# Slot of each heat map. The published table swaps eyes and ears, and pairs 2D and 3D wrongly.
PUBLISHED_SLOTS = np.array([1, 0, 9, 10, 11, 3, 4, 5, 12, 13, 14, 6, 7, 8, 15, 16, 17, 18])
RIGHT_SLOTS = np.array([1, 0, 9, 10, 11, 3, 4, 5, 12, 13, 14, 6, 7, 8, 17, 15, 18, 16])
# Each limb is read where its outermost joint is seen; the nose is in two, and the second wins.
GROUPS = ((18, 17, 1), (16, 15, 1), (5, 4, 3), (8, 7, 6), (11, 10, 9), (14, 13, 12))
FOUND = 0.1


@dataclass(frozen=True)
class Readout:
    """cells: (P, 19, 2), score: (P, 19), NaN where not found. relative: (P, 19, 3) body heights."""

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
    seen = score > FOUND
    for group in GROUPS:
        first = np.full(count, -1)
        for slot in reversed(group):
            first[seen[:, slot]] = slot
        good = first >= 0
        for slot in group:
            source[good, slot] = first[good]
    person = np.arange(count)[:, None]
    at = cells[person, source]
    if not published and np.isnan(at).any():
        chest = cells[:, SHOULDERS]
        known = ~np.isnan(chest[..., :1])
        chest = np.where(known, chest, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        at = np.where(np.isnan(at), chest[:, None], at)
    height, width = features.shape[1:]
    u = np.clip(np.floor(at[..., 0]), 0, width - 1).astype(np.int64)
    v = np.clip(np.floor(at[..., 1]), 0, height - 1).astype(np.int64)
    channel = np.arange(SLOTS * 3).reshape(SLOTS, 3)
    relative = features[channel[None], v[..., None], u[..., None]].astype(np.float64)
    return Readout(cells, score, relative)


@dataclass(frozen=True)
class Published:
    """poses_3d: (P, 76) cm, 19 x (X, Y, Z, score). poses_2d: (P, 58), 19 x (x, y, score), person.

    relative: (P, 19, 3) and translation: (P, 3), whose sum the first is.
    """

    poses_3d: Array
    poses_2d: Array
    relative: Array
    translation: Array


def published(
    people: People2D, features: Array, scale: float, focal_px: float, program: str
) -> Published:
    """The rows that the published programs give out, faults included.

    scale: of the input. focal_px: of the frame. program: `standalone`, with whole pixels and -1 for
    what is missing, or `demo`, with fractions and odd coordinates for what is missing.
    """
    kept = np.flatnonzero(~np.isnan(people.score[:, 1]))
    people = people.only(kept)
    found = read(people, features, PUBLISHED_SLOTS)
    count = len(kept)
    relative = found.relative * 180.0
    score = np.nan_to_num(found.score, nan=-1.0)
    height, width = features.shape[1:]
    focal = focal_px * scale / STRIDE
    translation = np.zeros((count, 3))
    for k in range(count):
        seen = score[k] != -1
        p = found.cells[k, seen] - (width / 2, height / 2)
        P = relative[k, seen]
        mean_p, mean_P = p.mean(axis=0), P.mean(axis=0)
        spread = np.sqrt(((p - mean_p) ** 2).sum())
        S = np.sqrt(((P - mean_P)[:, :2] ** 2).sum()) / max(float(spread), 1e-9)
        translation[k] = S * np.array([*mean_p, focal]) - (mean_P[0], mean_P[1], 0)
    xyz = relative + translation[:, None]
    poses_3d = np.concatenate([xyz, score[..., None]], axis=2).reshape(count, SLOTS * 4)
    factor = STRIDE / scale
    pixels = found.cells * factor
    missing = np.isnan(pixels[..., 0])
    if program == 'standalone':
        pixels = np.trunc(np.nan_to_num(pixels, nan=-1.0))
    else:
        pixels[missing] = -0.25 * factor
    pixels[:, PELVIS] = -1
    person = people.total * np.maximum(0, people.count - 1)
    poses_2d = np.concatenate([pixels, score[..., None]], axis=2).reshape(count, SLOTS * 3)
    return Published(poses_3d, np.column_stack([poses_2d, person]), relative, translation)


# Keypoint sigmas for a body order that has no pelvis: from slot 2 on they are off by one joint.
_TORSO = (0.79, 0.26, 0.79, 0.72, 0.62, 1.07, 0.87, 0.89, 0.79, 0.72, 0.62, 1.07, 0.87, 0.89)
_SIGMAS = 0.2 * np.array([*_TORSO, 0.25, 0.25, 0.35, 0.35])
_SMOOTH = OneEuroSettings(1.0, 0.01)
_FRAME_NS = 12_500_000  # the published filters believe in 80 frames per second


@dataclass
class _Known:
    """A person of the last frame. box: x, y, width, height."""

    id: int
    points: Array
    found: Array
    area: float
    filter: OneEuro


class PublishedTracker:
    """Ids and smoothed translations as the published programs give them."""

    def __init__(self) -> None:
        self._known: list[_Known] = []
        self._next, self._frame = 0, 0

    def update(self, result: Published, program: str) -> tuple[list[int], Published]:
        """Ids from 0 on, and the poses with their translations smoothed."""
        self._frame += 1
        rows = result.poses_2d[:, :-1].reshape(-1, SLOTS, 3)[:, :18]
        current: list[_Known | None] = [None] * len(rows)
        free = list(self._known)
        for k in np.argsort(-result.poses_2d[:, -1], kind='stable').tolist():
            points = np.trunc(rows[k, :, :2])
            # One program looks at the score, the other at a coordinate that is never -1.
            found = rows[k, :, 2] != -1 if program == 'standalone' else points[:, 0] != -1
            seen = points[found]
            width, height = seen.max(axis=0) - seen.min(axis=0) + 1
            area = float(width * height)
            best, most = None, 0
            for other in free:
                common = _similar(points, found, area, other)
                if common > most:
                    best, most = other, common
            if best is not None and most >= 3:
                free.remove(best)
                person = _Known(best.id, points, found, area, best.filter)
            else:
                person = _Known(self._next, points, found, area, OneEuro(_SMOOTH))
                self._next += 1
            current[k] = person
        people = [person for person in current if person is not None]
        self._known = people
        translation = np.array(
            [
                person.filter(t, self._frame * _FRAME_NS)
                for person, t in zip(people, result.translation)
            ]
        ).reshape(-1, 3)
        poses_3d = result.poses_3d.reshape(-1, SLOTS, 4).copy()
        poses_3d[..., :3] = result.relative + translation[:, None]
        smooth = Published(
            poses_3d.reshape(len(people), SLOTS * 4), result.poses_2d, result.relative, translation
        )
        return [person.id for person in people], smooth


def _similar(points: Array, found: Array, area: float, other: _Known) -> int:
    both = found & other.found
    distance = ((points[both] - other.points[both]) ** 2).sum(axis=1)
    size = max(area, other.area) + 2.2e-16
    return int((np.exp(-distance / (2 * size * _SIGMAS[both] ** 2)) > 0.5).sum())


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


def prepare_published(image: Array, base: int, program: str) -> tuple[Array, float]:
    """(H, W, 3) uint8 of a frame as the published programs cut it, and the input scale."""
    scale = base / image.shape[0]
    resized = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    rows, columns = resized.shape[:2]
    if program == 'demo':
        rows -= rows % STRIDE
    resized = resized[:rows, : columns - columns % STRIDE]
    return np.ascontiguousarray(resized), scale
