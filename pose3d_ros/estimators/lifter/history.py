# SPDX-License-Identifier: Apache-2.0
"""What was seen of one person lately, at any time asked for."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class History:
    """Arrays (K, C) with time stamps, interpolated in between; NaN is missing.

    span_ns: how far back it reaches. gap_ns: a longer gap between two frames starts it anew.
    """

    def __init__(self, span_ns: int, gap_ns: int) -> None:
        self._span, self._gap = span_ns, gap_ns
        self._items: deque[tuple[int, Array]] = deque()

    def __len__(self) -> int:
        return len(self._items)

    @property
    def first_ns(self) -> int:
        """Stamp of the oldest frame."""
        return self._items[0][0]

    @property
    def last_ns(self) -> int:
        """Stamp of the newest frame."""
        return self._items[-1][0]

    def add(self, stamp_ns: int, values: Array) -> bool:
        """Take in a frame; whether the history began anew with it."""
        fresh = not self._items
        if self._items and not 0 <= stamp_ns - self.last_ns <= self._gap:
            self._items.clear()
            fresh = True
        if self._items and stamp_ns == self.last_ns:
            self._items.pop()
        self._items.append((stamp_ns, values))
        # The last one before the span stays: what follows a gap is interpolated from it.
        while len(self._items) > 1 and stamp_ns - self._items[1][0] >= self._span:
            self._items.popleft()
        return fresh

    def sample(self, times: Array, tolerance_ns: int) -> tuple[Array, Array]:
        """(N, K, C) at times (N,), ends repeated; (N,) whether the time lies in what was seen.

        A frame within the tolerance is taken as it is: mixing two frames blurs both.
        """
        stamps = np.array([stamp for stamp, _ in self._items])
        values = np.stack([value for _, value in self._items])
        right = np.clip(np.searchsorted(stamps, times), 1, max(len(stamps) - 1, 1))
        right = np.minimum(right, len(stamps) - 1)
        left = np.maximum(right - 1, 0)
        width = np.maximum(stamps[right] - stamps[left], 1)
        share = np.clip((times - stamps[left]) / width, 0.0, 1.0)
        share = np.where(np.abs(times - stamps[left]) <= tolerance_ns, 0.0, share)
        share = np.where(np.abs(times - stamps[right]) <= tolerance_ns, 1.0, share)
        weight = share[:, None, None]
        a, b = values[left], values[right]
        mixed = (1 - weight) * a + weight * b
        out = np.where(weight == 0, a, np.where(weight == 1, b, mixed))
        inside = (times >= stamps[0] - tolerance_ns) & (times <= stamps[-1] + tolerance_ns)
        return out, inside


def held(values: Array) -> Array:
    """(N, K, C) with what is missing taken from the nearest earlier, else later, frame.

    For networks that know no missing joints. What was never seen stays NaN.
    """
    count = len(values)
    good = np.isfinite(values)
    index = np.arange(count).reshape(-1, 1, 1)
    before = np.maximum.accumulate(np.where(good, index, -1), axis=0)
    after = np.minimum.accumulate(np.where(good, index, count)[::-1], axis=0)[::-1]
    pick = np.where(before >= 0, before, np.minimum(after, count - 1))
    return np.asarray(np.take_along_axis(values, pick, axis=0))
