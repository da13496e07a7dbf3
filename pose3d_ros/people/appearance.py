# SPDX-License-Identifier: Apache-2.0
"""The colours of somebody's clothes: what tells people apart when their ways cross."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..skeleton import Skeleton

Array = NDArray[Any]

_JOINTS = tuple(
    f'{side}_{part}' for part in ('shoulder', 'hip', 'knee') for side in ('left', 'right')
)
_MIN_POINTS = 4


def appearance(image: Array, pixels: Array, skeleton: Skeleton) -> Array | None:
    """(6,) mean blue, green, red 0..1 of the trunk, then of the thighs.

    image: (H, W, 3) uint8 BGR. pixels: (J, 2). None if trunk or thighs are not in the image, or
    the convention has no such joints.
    """
    index = _index(skeleton)
    if index is None:
        return None
    joints = pixels[index]
    if not np.isfinite(joints).all():
        return None
    cells = np.rint(_SAMPLES @ joints).astype(np.int64)
    height, width = image.shape[:2]
    inside = (cells >= 0).all(axis=1) & (cells[:, 0] < width) & (cells[:, 1] < height)
    trunk, thighs = cells[:_TRUNK][inside[:_TRUNK]], cells[_TRUNK:][inside[_TRUNK:]]
    if min(len(trunk), len(thighs)) < _MIN_POINTS:
        return None
    colours = [image[part[:, 1], part[:, 0]].mean(axis=0) for part in (trunk, thighs)]
    return np.concatenate(colours) / 255


def difference(a: Array | None, b: Array | None) -> float:
    """Mean absolute difference 0..1; 0 if one of them is unknown."""
    return 0.0 if a is None or b is None else float(np.abs(a - b).mean())


@lru_cache(maxsize=16)
def _index(skeleton: Skeleton) -> list[int] | None:
    index = skeleton.by_meaning
    return [index[name] for name in _JOINTS] if all(name in index for name in _JOINTS) else None


def _samples() -> tuple[Array, int]:
    """Weights (N, 6) of the joints for each sampled point, and how many lie on the trunk."""
    trunk = [
        ((1 - v) * (1 - u), (1 - v) * u, v * (1 - u), v * u, 0.0, 0.0)
        for v in (0.15, 0.4, 0.65, 0.9)
        for u in (0.25, 0.5, 0.75)
    ]
    thighs = []
    for along in np.linspace(0.2, 0.8, 5):
        thighs += [(0, 0, 1 - along, 0, along, 0), (0, 0, 0, 1 - along, 0, along)]
    return np.array(trunk + thighs, dtype=float), len(trunk)


_SAMPLES, _TRUNK = _samples()
