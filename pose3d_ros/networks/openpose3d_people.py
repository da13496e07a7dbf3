# SPDX-License-Identifier: Apache-2.0
"""Peaks and part affinity fields to 2D people (Lightweight OpenPose, arXiv 1811.12004).

Works on the fields enlarged four times, as published, but enlarges them only at the samples. Joints
are in OpenPose's order of 18, positions in enlarged pixels with the centre of the first one at
(0, 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from ..types import Array
from .openpose3d_peaks import ENLARGED, Peaks, find_peaks, taps

JOINTS = 18
NECK, SHOULDERS, HIPS = 1, (2, 5), (8, 11)
# From, to; the x component of the limb's field, y follows it.
LIMBS = (
    (1, 2, 12), (1, 5, 20), (2, 3, 14), (3, 4, 16), (5, 6, 22), (6, 7, 24), (1, 8, 0), (8, 9, 2),
    (9, 10, 4), (1, 11, 6), (11, 12, 8), (12, 13, 10), (1, 0, 28), (0, 14, 30), (14, 16, 34),
    (0, 15, 32), (15, 17, 36), (2, 16, 18), (5, 17, 26),
)  # fmt: skip
_FROM, _TO, _FIELD = np.array(LIMBS).T
_FILLING = (17, 18)  # limbs that only fill gaps
_PASS = 0.05
_HIDDEN = 0.05  # score of a neck that is hidden: under that of any peak
_MANY_PAIRS = 1000  # for so many it is quicker to enlarge all fields
_FEW_PAIRS = 100  # so few need no quick test first
_STAGED_PAIRS = 500  # so many are tested in stages, which rule most of them out
_SAMPLES = 10
_QUICK = (5, 2, 7)  # samples whose cells are tested first
# Order in which samples are tested: the middle decides most.
_STAGES = ((5,), (2, 7), (0, 1, 3, 4, 6, 8, 9))


@dataclass(frozen=True)
class _Pairs:
    """Pairs of peaks that follow a limb's field: (N,) each, start and end are indices of peaks."""

    limb: Array
    start: Array
    end: Array
    score: Array


@dataclass(frozen=True)
class People2D:
    """xy: (P, 18, 2) enlarged pixels, score: (P, 18), NaN where there is none.

    count: (P,) joints, those of gap-filling limbs not counted. total: (P,) of peaks and limbs.
    """

    xy: Array
    score: Array
    count: Array
    total: Array

    def only(self, kept: Array) -> People2D:
        """Those of these indices."""
        return People2D(self.xy[kept], self.score[kept], self.count[kept], self.total[kept])


def extract(heatmaps: Array, pafs: Array, *, published: bool = True) -> People2D:
    """People of (>= 18, H, W) heat maps and (38, H, W) affinity fields, both float32.

    published: as the published programs do to the last peak. Else plateaus are peaks too, the
    strongest of close peaks stays, positions are refined below a pixel, and people whose neck is
    hidden keep together if both shoulders are visible.
    """
    peaks = find_peaks(heatmaps[:JOINTS], published=published)
    pairs = _pairs(peaks, pafs, published)
    if not published:
        completed = _with_hidden_necks(peaks, pairs, pafs)
        if completed is not peaks:
            peaks, pairs = completed, _pairs(completed, pafs, published)
    return _assemble(peaks, _connections(pairs))


class _Fields:
    """Affinity fields (38, H, W) float32, read as if enlarged: wholly, or only where read."""

    def __init__(self, pafs: Array, *, wholly: bool = False) -> None:
        self.pafs = np.ascontiguousarray(pafs)
        self.height = pafs.shape[1] * ENLARGED
        self.enlarged: Array | None = None
        if wholly:
            size = (pafs.shape[2] * ENLARGED, self.height)
            channels_last = np.ascontiguousarray(pafs.transpose(1, 2, 0))
            self.enlarged = cv2.resize(channels_last, size, interpolation=cv2.INTER_CUBIC)

    def along(self, field: Array, x: Array, y: Array, unit: Array) -> Array:
        """(N,) projection onto unit (N, 2) at enlarged pixels x, y."""
        if self.enlarged is None:
            return _along(self.pafs, field, x, y, unit)
        _, width, channels = self.enlarged.shape
        index = (y * width + x) * channels + field
        flat = self.enlarged.reshape(-1)
        return np.asarray(flat[index] * unit[:, 0] + flat[index + 1] * unit[:, 1])


def _along(pafs: Array, field: Array, x: Array, y: Array, unit: Array) -> Array:
    """(N,) projection of the enlarged fields onto unit (N, 2) at enlarged pixels x, y."""
    _, height, width = pafs.shape
    columns, rows = taps(width)[0][x], taps(height)[0][y]
    first = rows * width + (field * (height * width))[:, None]
    index = (first[:, :, None] + columns[:, None]).reshape(-1, 16)
    weights = _phase_weights()[y % ENLARGED * ENLARGED + x % ENLARGED]
    flat = pafs.reshape(-1)
    across = np.einsum('nk,nk->n', flat.take(index), weights)
    down = np.einsum('nk,nk->n', flat[height * width :].take(index), weights)
    return np.asarray(across * unit[:, 0] + down * unit[:, 1])


@lru_cache(maxsize=1)
def _phase_weights() -> Array:
    """(16, 16) float32: of the 4x4 cells that make an enlarged pixel, by its place in its cell."""
    _, weights = taps(9)
    line = weights[4 * ENLARGED : 5 * ENLARGED]
    return np.ascontiguousarray(np.einsum('yr,xc->yxrc', line, line).reshape(16, 16))


def _scored(
    fields: _Fields, limb: Array, ax: Array, ay: Array, bx: Array, by: Array
) -> tuple[Array, Array]:
    """Indices and scores of the pairs of points A, B whose line follows the limb's field."""
    dx, dy = (bx - ax).astype(np.float64), (by - ay).astype(np.float64)
    length = np.hypot(dx, dy)
    left = np.flatnonzero(length > 0)
    unit = (np.stack([dx, dy], axis=1) / np.maximum(length, 1e-9)[:, None]).astype(np.float32)
    total = np.zeros(len(limb))
    for stage in _STAGES if len(left) > _STAGED_PAIRS else (tuple(range(_SAMPLES)),):
        if not len(left):
            break
        share = np.array(stage) / (_SAMPLES - 1)
        x = np.rint(ax[left, None] + dx[left, None] * share).astype(np.int64).ravel()
        y = np.rint(ay[left, None] + dy[left, None] * share).astype(np.int64).ravel()
        repeated = np.repeat(left, len(stage))
        values = fields.along(_FIELD[limb[repeated]], x, y, unit[repeated])
        values = values.reshape(-1, len(stage))
        passed = (values > _PASS).all(axis=1)
        total[left] += values.sum(axis=1)
        left = left[passed]
    score = total[left] / _SAMPLES
    score += np.minimum((fields.height // 2) / length[left] - 1, 0)
    good = score > 0
    return left[good], score[good]


def _along_cells(pafs: Array, limb: Array, ax: Array, ay: Array, bx: Array, by: Array) -> Array:
    """Indices of the pairs of points A, B between which the cells have a field along the limb.

    A quick test of three cells of the line, before enlarged pixels are worked out.
    """
    _, height, width = pafs.shape
    flat, field = pafs.reshape(-1), (_FIELD * (height * width)).astype(np.int32)[limb]
    ax, ay, bx, by = (values.astype(np.int32) for values in (ax, ay, bx, by))
    dx: Array = (bx - ax).astype(np.float32)
    dy: Array = (by - ay).astype(np.float32)
    least = np.float32(_PASS / 2) * np.sqrt(dx * dx + dy * dy)
    left = np.arange(len(limb))
    last = _SAMPLES - 1
    for k in _QUICK:
        column = (ax * (last - k) + bx * k) // (last * ENLARGED)
        row = (ay * (last - k) + by * k) // (last * ENLARGED)
        index = field + row * width + column
        along = flat.take(index) * dx + flat.take(index + height * width) * dy
        good = np.flatnonzero(along >= least)
        left = left[good]
        ax, ay, bx, by, dx, dy, least, field = (
            values[good] for values in (ax, ay, bx, by, dx, dy, least, field)
        )
    return left


def _pairs(peaks: Peaks, pafs: Array, published: bool) -> _Pairs:
    """All pairs that a limb can be."""
    bounds = np.searchsorted(peaks.joint, np.arange(JOINTS + 1))
    counts = np.diff(bounds)
    sizes = counts[_FROM] * counts[_TO]
    limb = np.repeat(np.arange(len(LIMBS)), sizes)
    within = np.arange(len(limb)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    row, column = np.divmod(within, counts[_TO][limb])
    start, end = bounds[_FROM][limb] + row, bounds[_TO][limb] + column
    x, y = peaks.x, peaks.y
    if not published and len(limb) > _FEW_PAIRS:
        good = _along_cells(pafs, limb, x[start], y[start], x[end], y[end])
        limb, start, end = limb[good], start[good], end[good]
    fields = _Fields(pafs, wholly=len(limb) > _MANY_PAIRS)
    good, score = _scored(fields, limb, x[start], y[start], x[end], y[end])
    return _Pairs(limb[good], start[good], end[good], score)


def _connections(pairs: _Pairs) -> list[list[tuple[int, int, float]]]:
    """Per limb the chosen pairs of peaks with their scores, best first."""
    order = np.lexsort((-pairs.score, pairs.limb))
    chosen: list[list[tuple[int, int, float]]] = [[] for _ in LIMBS]
    used: set[tuple[int, int]] = set()
    for k, a, b, value in zip(
        pairs.limb[order].tolist(),
        pairs.start[order].tolist(),
        pairs.end[order].tolist(),
        pairs.score[order].tolist(),
    ):
        if (k, a) not in used and (k, b) not in used:
            used.add((k, a))
            used.add((k, b))
            chosen[k].append((a, b, value))
    return chosen


def _assemble(peaks: Peaks, chosen: list[list[tuple[int, int, float]]]) -> People2D:
    """Partial people grow limb by limb; they are never merged."""
    bounds = np.searchsorted(peaks.joint, np.arange(JOINTS + 1)).tolist()
    score = peaks.score.tolist()
    people: list[list[int]] = []
    counts: list[int] = []
    totals: list[float] = []

    def begin(total: float, *joints: tuple[int, int]) -> None:
        ids = [-1] * JOINTS
        for joint, peak in joints:
            ids[joint] = peak
        people.append(ids)
        counts.append(len(joints))
        totals.append(total)

    for k, (a, b, _) in enumerate(LIMBS):
        some_a, some_b = bounds[a + 1] > bounds[a], bounds[b + 1] > bounds[b]
        if not some_a and not some_b:
            continue
        if not (some_a and some_b):
            alone = a if some_a else b
            taken = {ids[alone] for ids in people}
            for peak in range(bounds[alone], bounds[alone + 1]):
                if peak not in taken:
                    begin(score[peak], (alone, peak))
            continue
        if not chosen[k]:
            continue
        if k == 0:
            people.clear()
            counts.clear()
            totals.clear()
        if k in _FILLING:
            for first, second, _ in chosen[k]:
                for ids in people:
                    if ids[a] == first and ids[b] == -1:
                        ids[b] = second
                    elif ids[b] == second and ids[a] == -1:
                        ids[a] = first
            continue
        owners: dict[int, list[int]] = {}
        for number, ids in enumerate(people):
            if ids[a] >= 0:
                owners.setdefault(ids[a], []).append(number)
        for first, second, value in chosen[k]:
            for number in owners.get(first, ()):
                people[number][b] = second
                counts[number] += 1
                totals[number] += score[second] + value
            if first not in owners:
                begin(score[first] + score[second] + value, (a, first), (b, second))
    good = [n for n in range(len(people)) if counts[n] >= 3 and totals[n] / counts[n] >= 0.2]
    index = np.array([people[n] for n in good], np.int64).reshape(-1, JOINTS)
    missing = index < 0
    if len(peaks.x):
        xy = np.stack([peaks.x, peaks.y], axis=1)[index] + peaks.offset[index]
        scores = peaks.score[index].astype(np.float64)
    else:
        xy, scores = np.zeros((*index.shape, 2)), np.zeros(index.shape)
    xy[missing], scores[missing] = np.nan, np.nan
    return People2D(
        xy, scores, np.array([counts[n] for n in good], int), np.array([totals[n] for n in good])
    )


def _with_hidden_necks(peaks: Peaks, pairs: _Pairs, pafs: Array) -> Peaks:
    """Peaks with necks added half-way between shoulders that lack one and are a pair.

    Without its neck a person falls apart into limbs. The field from neck to shoulder tells which
    shoulders belong together; the score of an added neck is under that of any peak.
    """
    # Shoulders that a neck already claims are no business of ours.
    free = np.ones(len(peaks.joint), bool)
    free[pairs.end[pairs.limb < len(SHOULDERS)]] = False
    right, left = (np.flatnonzero(free & (peaks.joint == joint)) for joint in SHOULDERS)
    if not len(right) or not len(left):
        return peaks
    fields = _Fields(pafs)
    a, b = np.repeat(right, len(left)), np.tile(left, len(right))
    x, y = (peaks.x[a] + peaks.x[b]) // 2, (peaks.y[a] + peaks.y[b]) // 2
    score = np.zeros((2, len(a)))
    for k, end in enumerate((a, b)):
        limb = np.full(len(a), k)
        good, value = _scored(fields, limb, x, y, peaks.x[end], peaks.y[end])
        score[k, good] = value
    score = np.where((score > 0).all(axis=0), score.mean(axis=0), 0)
    added = []
    gone: set[int] = set()
    for k in np.argsort(-score, kind='stable').tolist():
        if score[k] > 0 and not gone & {int(a[k]), int(b[k])}:
            gone |= {int(a[k]), int(b[k])}
            added.append(k)
    if not added:
        return peaks
    _, at = peaks.of(NECK)
    return Peaks(
        np.insert(peaks.joint, at, [NECK] * len(added)),
        np.insert(peaks.x, at, x[added]),
        np.insert(peaks.y, at, y[added]),
        np.insert(peaks.score, at, np.full(len(added), _HIDDEN, np.float32)),
        np.insert(peaks.offset, at, np.zeros((len(added), 2)), axis=0),
    )
