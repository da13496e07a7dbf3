# SPDX-License-Identifier: Apache-2.0
"""Heat maps to peaks (Lightweight OpenPose, arXiv 1811.12004).

Works on the maps enlarged four times, as published, enlarging only what is warm. Positions are in
enlarged pixels with the centre of the first one at (0, 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from ..types import Array

ENLARGED = 4
_WARM, _NEAR = 0.1, 3.0
_SUMMIT = 0.5  # of the highest cell around: lower ones hold no maximum
_MOST = 100  # peaks of a joint
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
    index, weights = taps(cells)
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
        neighbours = np.flatnonzero(near & (dx * dx + dy * dy < _NEAR * _NEAR)).tolist()
        close += [(k, k + step) for k in neighbours]
    kept = np.ones(len(joint), bool)
    # The strongest first; a dropped peak drops no other.
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
    maxima: list[tuple[Array, Array, Array]] = []
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
        maxima.append((x + x0 * ENLARGED, y + y0 * ENLARGED, score))
        sizes.append(len(x))
    joint = np.repeat(np.arange(len(heatmaps)), sizes)
    if not maxima:
        none = np.zeros(0, np.int64)
        return Peaks(joint, none, none, np.zeros(0, np.float32), np.zeros((0, 2)))
    x, y, score = (np.concatenate(parts) for parts in zip(*maxima))
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
def taps(cells: int) -> tuple[Array, Array]:
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
