# SPDX-License-Identifier: Apache-2.0
"""Where the cells of MeTRo's volume lie in the crop and in its cube."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

BOX_MM = 2200.0


def to_millimetres(unit: Array, stride: int, *, metrabs: bool = False, side: int = 256) -> Array:
    """(..., 3) mm about the cube's corner of expected positions in 0..1.

    MeTRo's last cell is a pixel off, and its weights were trained so; MeTRAbs' is not.
    """
    last = _last(stride, side, metrabs)
    scale = np.array([last, last, side]) * (BOX_MM / side)
    shift = np.array([1, 1, 0]) * (stride // 2 * BOX_MM / side)
    return np.asarray(unit * scale + shift)


def to_pixels(unit: Array, stride: int, *, metrabs: bool = False, side: int = 256) -> Array:
    """(..., 2) pixels of the crop of expected positions in 0..1."""
    return np.asarray(unit[..., :2] * _last(stride, side, metrabs) + stride // 2)


def _last(stride: int, side: int, metrabs: bool) -> int:
    return (side - 1) - (side - 1) % stride - (0 if metrabs else 1)
