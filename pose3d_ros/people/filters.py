# SPDX-License-Identifier: Apache-2.0
"""One-euro filter (Casiez, Roussel and Vogel, CHI 2012) on arrays and real time stamps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class OneEuroSettings:
    """min_cutoff, derivative_cutoff: Hz. beta: Hz per unit of scaled speed."""

    min_cutoff: float
    beta: float
    derivative_cutoff: float = 1.0


class OneEuro:
    """Filters each number of an array by itself; NaN passes and restarts that number."""

    def __init__(self, settings: OneEuroSettings) -> None:
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._stamp_ns = 0
        self._raw: Array | None = None
        self._value: Array | None = None
        self._speed: Array | None = None

    def __call__(self, x: Array, stamp_ns: int, scale: float = 1.0) -> Array:
        """Filtered x, any shape. scale: factor on the speed, 1 / size for size-free smoothing."""
        return np.asarray(smooth([self], x[None], stamp_ns, (scale,))[0])


def smooth(
    filters: Sequence[OneEuro], x: Array, stamp_ns: int, scales: Sequence[float] | None = None
) -> Array:
    """Filtered x (N, ...), one row for each of N filters of the same settings, in one go."""
    out = x.copy()
    # Without time there is no speed: better rough than frozen.
    going = [
        k for k, one in enumerate(filters) if one._raw is not None and one._stamp_ns < stamp_ns
    ]
    if len(going) < len(filters):
        for one, row in zip(filters, x):
            if one._raw is None or one._stamp_ns >= stamp_ns:
                one._stamp_ns, one._raw, one._value = stamp_ns, row.copy(), row.copy()
                one._speed = np.zeros_like(row)
    if not going:
        return out
    some = [filters[k] for k in going]
    settings, wide = some[0].settings, (-1, *[1] * (x.ndim - 1))
    x = x[going]
    rate = (1e9 / np.array([stamp_ns - one._stamp_ns for one in some])).reshape(wide)
    step = x - np.array([one._raw for one in some])
    step *= rate
    if scales is not None:
        step *= np.array([scales[k] for k in going]).reshape(wide)
    fresh = np.isnan(step)
    any_fresh = bool(fresh.any())
    if any_fresh:
        step[fresh] = 0.0
    # alpha(c) = 1 / (1 + rate / (2 pi c)), written with one division.
    pace = 2.0 * math.pi * settings.derivative_cutoff
    speed = np.array([one._speed for one in some])
    speed += pace / (pace + rate) * (step - speed)
    cutoff = np.abs(speed)
    cutoff *= 2.0 * math.pi * settings.beta
    cutoff += 2.0 * math.pi * settings.min_cutoff
    value = np.array([one._value for one in some])
    value += cutoff / (cutoff + rate) * (x - value)
    if any_fresh:
        value = np.where(np.isnan(value), x, value)
        speed[np.isnan(x)] = 0.0
    out[going] = value
    for k, one in enumerate(some):
        one._stamp_ns, one._raw, one._value, one._speed = stamp_ns, x[k], value[k], speed[k]
    return out
