# SPDX-License-Identifier: Apache-2.0
"""One-euro filter (Casiez, Roussel and Vogel, CHI 2012) on arrays and real time stamps."""

from __future__ import annotations

import math
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
        if self._raw is None or self._value is None or self._speed is None:
            self._stamp_ns, self._raw, self._value = stamp_ns, x.copy(), x.copy()
            self._speed = np.zeros_like(x)
            return x
        dt = (stamp_ns - self._stamp_ns) * 1e-9
        if dt <= 0:
            # Without time there is no speed: better rough than frozen.
            self.reset()
            return self(x, stamp_ns, scale)
        rate = 1.0 / dt
        s = self.settings
        step = x - self._raw
        step *= rate * scale
        fresh = np.isnan(step)
        any_fresh = bool(fresh.any())
        if any_fresh:
            step[fresh] = 0.0
        a = _alpha(s.derivative_cutoff, rate)
        speed = self._speed
        speed *= 1.0 - a
        step *= a
        speed += step
        cutoff = np.abs(speed)
        cutoff *= s.beta
        cutoff += s.min_cutoff
        # alpha(c) = 1 / (1 + rate / (2 pi c)), written with one division.
        cutoff *= 2.0 * math.pi
        alpha = cutoff / (cutoff + rate)
        value = self._value + alpha * (x - self._value)
        if any_fresh:
            value = np.where(np.isnan(value), x, value)
            speed[np.isnan(x)] = 0.0
        self._stamp_ns, self._raw, self._value = stamp_ns, x.copy(), value
        return np.asarray(value.copy())


def _alpha(cutoff: float, rate: float) -> float:
    return 1.0 / (1.0 + rate / (2.0 * math.pi * cutoff))
