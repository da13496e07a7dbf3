# SPDX-License-Identifier: Apache-2.0
"""Heat maps and part affinity fields to 2D people (Lightweight OpenPose, arXiv 1811.12004).

Works on the maps enlarged four times, as published, without enlarging what nobody looks at: heat
maps only around what is warm, affinity fields only at the samples. Joints are in OpenPose's order
of 18, positions in enlarged pixels with the centre of the first one at (0, 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from ..types import Array

JOINTS, ENLARGED = 18, 4
NECK, SHOULDERS, HIPS = 1, (2, 5), (8, 11)
# From, to; the x component of the limb's field, y follows it.
LIMBS = (
    (1, 2, 12), (1, 5, 20), (2, 3, 14), (3, 4, 16), (5, 6, 22), (6, 7, 24), (1, 8, 0), (8, 9, 2),
    (9, 10, 4), (1, 11, 6), (11, 12, 8), (12, 13, 10), (1, 0, 28), (0, 14, 30), (14, 16, 34),
    (0, 15, 32), (15, 17, 36), (2, 16, 18), (5, 17, 26),
)  # fmt: skip
_FROM, _TO, _FIELD = np.array(LIMBS).T
_FILLING = (17, 18)  # limbs that only fill gaps
_WARM, _NEAR, _PASS = 0.1, 3.0, 0.05
_HIDDEN = 0.05  # score of a neck that is not seen: under that of any peak
_SUMMIT = 0.5  # of the highest cell around: lower ones hold no maximum
_MANY_PAIRS = 1000  # for so many it is quicker to enlarge all fields
_FEW_PAIRS = 100  # so few need no quick look first
_STAGED_PAIRS = 500  # so many are looked at in stages, which rule most of them out
_MOST = 100  # peaks of a joint
_SAMPLES = 10
_QUICK = (5, 2, 7)  # samples whose cells are looked at first
# Order in which samples are looked at: the middle tells most.
_STAGES = ((5,), (2, 7), (0, 1, 3, 4, 6, 8, 9))
# Bounds of cubic interpolation in two dimensions: the sum of its positive and negative weights.
_OVER, _UNDER = 1.4453125, 0.4453125


@dataclass(frozen=True)
class Peaks:
    """joint: (N,) ascending. x, y: (N,) int. score: (N,). offset: (N, 2) to the true maximum."""

    joint: Array
    x: Array
    y: Array
    score: Array
    offset: Array

    def of(self, joint: int) -> tuple[int, int]:
        """First and last + 1 of a joint's peaks."""
        low, high = np.searchsorted(self.joint, [joint, joint + 1])
        return int(low), int(high)


@dataclass(frozen=True)
class _Pairs:
    """Pairs of peaks that follow a limb's field: (N,) each, start and end are indices of peaks."""

    limb: Array
    start: Array
    end: Array
    score: Array


@dataclass(frozen=True)
class People2D:
    """xy: (P, 18, 2) enlarged pixels, score: (P, 18), NaN where not found.

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
    hidden keep together if both shoulders are seen.
    """
    peaks = find_peaks(heatmaps[:JOINTS], published=published)
    pairs = _pairs(peaks, pafs, published)
    if not published:
        known = _with_hidden_necks(peaks, pairs, pafs)
        if known is not peaks:
            peaks, pairs = known, _pairs(known, pafs, published)
    return _assemble(peaks, _connections(pairs))


def find_peaks(heatmaps: Array, *, published: bool = True) -> Peaks:
    """Local maxima over 0.1 of each heat map."""
    return _published_peaks(heatmaps) if published else _refined_peaks(heatmaps)


def _refined_peaks(heatmaps: Array) -> Peaks:
    """Maxima with fractions of a pixel, the strongest of close ones; all maps at once.

    Only cells that can hold a maximum are enlarged, each with a border of one pixel.
    """
    count, height, width = heatmaps.shape
    padded = np.full((count, height + 2, width + 2), -np.inf, np.float32)
    padded[:, 1:-1, 1:-1] = heatmaps
    around = np.maximum(np.maximum(padded[:, :-2], padded[:, 1:-1]), padded[:, 2:])
    around = np.maximum(np.maximum(around[:, :, :-2], around[:, :, 1:-1]), around[:, :, 2:])
    # The interpolation's top may lie in a cell that is not the highest, but hardly lower.
    candidates = (heatmaps >= _WARM / _OVER) & (heatmaps >= _SUMMIT * around)
    joint, row, column = np.unravel_index(np.flatnonzero(candidates), candidates.shape)
    blocks = _enlarged_cells(heatmaps, joint, row, column)
    _share_borders(blocks, candidates.shape, joint, row, column)
    middle = blocks[:, 1:-1, 1:-1]
    peak = middle >= np.float32(_WARM)
    peak &= middle > blocks[:, 1:-1, :-2]
    peak &= middle > blocks[:, :-2, 1:-1]
    peak &= middle >= blocks[:, 1:-1, 2:]
    peak &= middle >= blocks[:, 2:, 1:-1]
    cell, v, u = np.unravel_index(np.flatnonzero(peak), peak.shape)
    joint, x, y = joint[cell], column[cell] * ENLARGED + u, row[cell] * ENLARGED + v
    score = middle[cell, v, u]
    before = np.stack([blocks[cell, v + 1, u], blocks[cell, v, u + 1]], axis=1)
    after = np.stack([blocks[cell, v + 1, u + 2], blocks[cell, v + 2, u + 1]], axis=1)
    order = np.lexsort((y, x, joint))
    order = order[_strongest(joint[order], x[order], y[order], score[order])]
    joint, x, y, score, before, after = (
        values[order] for values in (joint, x, y, score, before, after)
    )
    # The top of the parabola through a peak and its two neighbours.
    bend = np.maximum(2 * score[:, None] - before - after, 1e-6)
    offset = np.clip(0.5 * (after - before) / bend, -0.5, 0.5)
    return Peaks(joint, x, y, score, offset)


def _enlarged_cells(maps: Array, k: Array, row: Array, column: Array) -> Array:
    """(N, 6, 6) enlarged pixels of cells (k, row, column), with those around; 0 outside the map."""
    _, height, width = maps.shape
    reach = np.arange(-2, 3)
    rows = np.clip(row[:, None] + reach, 0, height - 1)
    columns = np.clip(column[:, None] + reach, 0, width - 1)
    index = (k * (height * width))[:, None, None] + (rows * width)[:, :, None] + columns[:, None]
    cells = maps.reshape(-1)[index.reshape(-1, 25)]
    out = np.empty((len(cells), 36), np.float32)
    # In parts so small that no matrix library starts threads, which the network needs.
    for first in range(0, len(cells), 256):
        np.matmul(cells[first : first + 256], _block_weights(), out=out[first : first + 256])
    blocks = out.reshape(-1, 6, 6)
    blocks[column == 0, :, 0] = 0
    blocks[column == width - 1, :, -1] = 0
    blocks[row == 0, 0] = 0
    blocks[row == height - 1, -1] = 0
    return blocks


def _share_borders(
    blocks: Array, shape: tuple[int, ...], k: Array, row: Array, column: Array
) -> None:
    """Give each border pixel the value that it has in the neighbouring cell's own block.

    A matrix product rounds by the place of a column, so the two differ in the last bit: of two
    equal pixels on either side of a border each would be lower than the other, and none a peak.
    """
    place = np.full((shape[0], shape[1] + 2, shape[2] + 2), -1, np.int32)
    place[k, row + 1, column + 1] = np.arange(len(blocks))
    inner = slice(1, -1)
    for dy, dx, ours, theirs in (
        (1, 0, (inner, 0), (inner, -2)),
        (1, 2, (inner, -1), (inner, 1)),
        (0, 1, (0, inner), (-2, inner)),
        (2, 1, (-1, inner), (1, inner)),
    ):
        neighbour = place[k, row + dy, column + dx]
        both = np.flatnonzero(neighbour >= 0)
        blocks[(both, *ours)] = blocks[(neighbour[both], *theirs)]


@lru_cache(maxsize=1)
def _block_weights() -> Array:
    """(25, 36) float32: how 5x5 cells make the pixels of the middle one and those around it."""
    cells = 9
    index, weights = _taps(cells)
    line = np.zeros((6, 5), np.float32)
    for pixel in range(6):
        at = (cells // 2) * ENLARGED - 1 + pixel
        line[pixel, index[at] - (cells // 2 - 2)] = weights[at]
    return np.ascontiguousarray(np.einsum('yr,xc->rcyx', line, line).reshape(25, 36))


def _strongest(joint: Array, x: Array, y: Array, score: Array) -> Array:
    """Indices of the strongest of close peaks; the peaks are sorted by joint, then x."""
    close: list[tuple[int, int]] = []
    for step in range(1, len(joint)):
        dx, dy = x[step:] - x[:-step], y[step:] - y[:-step]
        near = (joint[step:] == joint[:-step]) & (dx < _NEAR)
        if not near.any():
            break
        found = np.flatnonzero(near & (dx * dx + dy * dy < _NEAR * _NEAR)).tolist()
        close += [(k, k + step) for k in found]
    kept = np.ones(len(joint), bool)
    # The strongest first; whoever has gone takes nobody along.
    for a, b in sorted(close, key=lambda pair: -max(score[pair[0]], score[pair[1]])):
        if kept[a] and kept[b]:
            kept[b if score[a] >= score[b] else a] = False
    # Noise, or a pattern, has more peaks than any crowd.
    for k in np.flatnonzero(np.bincount(joint[kept], minlength=1) > _MOST).tolist():
        own = np.flatnonzero(kept & (joint == k))
        kept[own[np.argsort(-score[own], kind='stable')[_MOST:]]] = False
    return np.flatnonzero(kept)


def _published_peaks(heatmaps: Array) -> Peaks:
    """Maxima as published: whole pixels, the left-most of close ones, none on a plateau."""
    _, height, width = heatmaps.shape
    lows = np.minimum(heatmaps.min(axis=(1, 2)), 0.0)
    hot = heatmaps >= ((_WARM + lows * _UNDER) / _OVER)[:, None, None]
    rows, columns = hot.any(axis=2), hot.any(axis=1)
    found: list[tuple[Array, Array, Array]] = []
    sizes = []
    for k in range(len(heatmaps)):
        ys, xs = np.flatnonzero(rows[k]), np.flatnonzero(columns[k])
        if not len(ys):
            sizes.append(0)
            continue
        # An enlarged pixel depends on cells up to two away. Five cells off, where the map is cut,
        # nothing is warm, with the cut or without.
        y0, y1 = max(int(ys[0]) - 5, 0), min(int(ys[-1]) + 6, height)
        x0, x1 = max(int(xs[0]) - 5, 0), min(int(xs[-1]) + 6, width)
        size = ((x1 - x0) * ENLARGED, (y1 - y0) * ENLARGED)
        up = np.zeros((size[1] + 2, size[0] + 2), np.float32)
        part = heatmaps[k, y0:y1, x0:x1]
        cv2.resize(part, size, dst=up[1:-1, 1:-1], interpolation=cv2.INTER_CUBIC)
        x, y, score = _peaks_of(up)
        if len(x) > 1:
            order = np.lexsort((y, x))
            good = order[_leftmost(x[order], y[order])]
            x, y, score = x[good], y[good], score[good]
        found.append((x + x0 * ENLARGED, y + y0 * ENLARGED, score))
        sizes.append(len(x))
    joint = np.repeat(np.arange(len(heatmaps)), sizes)
    if not found:
        none = np.zeros(0, np.int64)
        return Peaks(joint, none, none, np.zeros(0, np.float32), np.zeros((0, 2)))
    x, y, score = (np.concatenate(parts) for parts in zip(*found))
    return Peaks(joint, x, y, score, np.zeros((len(x), 2)))


def _peaks_of(up: Array) -> tuple[Array, Array, Array]:
    """Column, row and value of the strict maxima of one map with a border of zeros."""
    middle = up[1:-1, 1:-1]
    peak = middle >= np.float32(_WARM)
    # What is under the threshold is under every peak too, so it need not be set to zero.
    peak &= middle > up[1:-1, :-2]
    peak &= middle > up[:-2, 1:-1]
    peak &= middle > up[1:-1, 2:]
    peak &= middle > up[2:, 1:-1]
    y, x = np.divmod(np.flatnonzero(peak), middle.shape[1])
    return x, y, middle[y, x]


def _leftmost(x: Array, y: Array) -> Array:
    """Indices of peaks that are kept, ordered by x: of close ones the left-most."""
    count = len(x)
    dx, dy = x[:, None] - x, y[:, None] - y
    close = dx * dx + dy * dy < _NEAR * _NEAR
    if int(close.sum()) == count:
        return np.arange(count)
    gone = np.zeros(count, bool)
    kept = []
    for k in range(count):
        if not gone[k]:
            kept.append(k)
            gone |= close[k]
    return np.array(kept)


@lru_cache(maxsize=16)
def _taps(cells: int) -> tuple[Array, Array]:
    """Indices and weights, both (4 * cells, 4), of the cells that make an enlarged pixel.

    As OpenCV's bicubic resize does: a = -0.75, half-pixel centres, replicated border.
    """
    position = (np.arange(cells * ENLARGED) + 0.5) / ENLARGED - 0.5
    first = np.floor(position)
    t, a = position - first, -0.75
    weights = np.stack(
        [
            ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a,
            ((a + 2) * t - (a + 3)) * t * t + 1,
            ((a + 2) * (1 - t) - (a + 3)) * (1 - t) * (1 - t) + 1,
        ],
        axis=1,
    )
    weights = np.column_stack([weights, 1 - weights.sum(axis=1)]).astype(np.float32)
    index = np.clip(first[:, None] + np.arange(-1, 3), 0, cells - 1).astype(np.int64)
    return index, weights


class _Fields:
    """Affinity fields (38, H, W) float32, read as if enlarged: wholly, or only where looked at."""

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
    columns, rows = _taps(width)[0][x], _taps(height)[0][y]
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
    _, weights = _taps(9)
    line = weights[4 * ENLARGED : 5 * ENLARGED]
    return np.ascontiguousarray(np.einsum('yr,xc->yxrc', line, line).reshape(16, 16))


def _scored(
    fields: _Fields, limb: Array, ax: Array, ay: Array, bx: Array, by: Array
) -> tuple[Array, Array]:
    """Indices and scores of the pairs of points A, B whose whole way follows the limb's field."""
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

    A quick look at three cells of the way, before enlarged pixels are worked out.
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
    """Peaks with necks added half-way between shoulders that lack one and are seen as a pair.

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
