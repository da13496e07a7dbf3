# SPDX-License-Identifier: Apache-2.0
"""Which frames a lifter sees for a frame: the published rule, and live histories of people."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def window_indices(
    frame: int, count: int, length: int, step: int = 1, causal: bool = False
) -> list[int]:
    """Frames for one target of a clip of `count`; ends are repeated where the clip is too short."""
    left, right = (length - 1, 0) if causal else ((length - 1) // 2, (length - 1) // 2)
    pad_left = max(0, left - frame // step)
    pad_right = max(0, right - (count - 1 - frame) // step)
    start = max(frame % step, frame - left * step)
    stop = min(count - (count - 1 - frame) % step, frame + right * step + 1)
    real = list(range(start, stop, step))
    return [0] * pad_left + real + [count - 1] * pad_right


def target_in_window(length: int, causal: bool) -> int:
    """Which frame of the window the output belongs to."""
    return length - 1 if causal else length // 2


def pad_clip(clip: Array, field_length: int, causal: bool) -> Array:
    """A whole clip (T, ...) with its ends repeated, so that the dilated form gives T frames."""
    half = (field_length - 1) // 2
    shift = half if causal else 0
    return np.concatenate(
        [np.repeat(clip[:1], half + shift, 0), clip, np.repeat(clip[-1:], half - shift, 0)]
    )


@dataclass(eq=False)
class History:
    """One person's past on an even grid of times.

    Frames come when they come; the network wants them evenly spaced. Values between two frames are
    interpolated, so grid points appear once the frame after them is there. A joint that is missing
    on either side (NaN) is missing.

    period_ns: of the grid. length: grid points kept.
    """

    period_ns: int
    length: int
    stamps: list[int] = field(default_factory=list)
    points: list[Array] = field(default_factory=list)
    _last: tuple[int, Array] | None = None

    def add(self, stamp_ns: int, values: Array) -> int:
        """Take in a frame (K, C); the number of grid points that it added.

        The first frame is a grid point itself. A frame within 40 % of a period of the next grid
        point is taken as it is: cameras jitter, and mixing two frames blurs both.
        """
        if self._last is None:
            self._keep(stamp_ns, values)
            self._last = (stamp_ns, values)
            return 1
        before, old = self._last
        added = 0
        while True:
            due = self.stamps[-1] + self.period_ns
            if abs(stamp_ns - due) <= 0.4 * self.period_ns:
                self._keep(stamp_ns, values)
                added += 1
                break
            if due > stamp_ns:
                break
            share = (due - before) / (stamp_ns - before)
            self._keep(due, (1 - share) * old + share * values)
            added += 1
        self._last = (stamp_ns, values)
        return added

    def _keep(self, stamp_ns: int, values: Array) -> None:
        self.stamps.append(stamp_ns)
        self.points.append(values)
        if len(self.points) > self.length:
            del self.stamps[0], self.points[0]

    def window(self, length: int, target: int, future: int) -> tuple[Array, Array]:
        """(length, K, C) grid points about one, and (length,) which of them exist.

        target: the newest grid point less so many. future: how many of the window come after the
        target. What does not exist repeats its neighbour.
        """
        middle = len(self.points) - 1 - target
        wanted = np.arange(length) - (length - 1 - future) + middle
        inside = (wanted >= 0) & (wanted < len(self.points))
        index = np.clip(wanted, 0, len(self.points) - 1)
        return np.stack([self.points[k] for k in index]), inside
