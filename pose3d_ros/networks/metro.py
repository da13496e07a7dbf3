# SPDX-License-Identifier: Apache-2.0
"""MeTRo's joints and decoding (arXiv 2003.02953, 2007.07227): arrays in, arrays out. Millimetres.

Inside the network the root is the last joint; files deliver an exported order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..errors import ModelError
from ..skeleton import SKELETONS, Skeleton
from ..types import Array

DEPTH = 8


@dataclass(frozen=True)
class Joints:
    """A joint set of published files. names: in exported order, as the files call them.

    internal: for each exported joint its place inside the network. inside: joints there.
    """

    skeleton: Skeleton
    names: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]
    internal: tuple[int, ...]
    inside: int
    pelvis: int


# fmt: off
_H36M = Joints(
    SKELETONS['h36m_17'],
    ('pelv', 'rhip', 'rkne', 'rank', 'lhip', 'lkne', 'lank', 'tors', 'neck', 'head', 'htop',
     'lsho', 'lelb', 'lwri', 'rsho', 'relb', 'rwri'),
    ((10, 9), (9, 8), (8, 11), (11, 12), (12, 13), (8, 14), (14, 15), (15, 16), (8, 7), (7, 0),
     (0, 4), (4, 5), (5, 6), (0, 1), (1, 2), (2, 3)),
    (16, *range(16)), 17, 0,
)
_COCO = Joints(
    SKELETONS['coco_cmu_19'],
    ('neck', 'nose', 'pelv', 'lsho', 'lelb', 'lwri', 'lhip', 'lkne', 'lank', 'rsho', 'relb',
     'rwri', 'rhip', 'rkne', 'rank', 'leye', 'lear', 'reye', 'rear'),
    ((1, 0), (0, 2), (0, 3), (3, 4), (4, 5), (0, 9), (9, 10), (10, 11), (2, 6), (6, 7), (7, 8),
     (2, 12), (12, 13), (13, 14), (16, 15), (15, 1), (18, 17), (17, 1)),
    (0, 1, 18, *range(2, 18)), 53, 2,
)
# fmt: on
JOINTS = {17: _H36M, 19: _COCO, 53: _COCO}


def joints_of(count: int, file: str) -> Joints:
    """The joint set of a file that delivers so many joints."""
    try:
        return JOINTS[count]
    except KeyError:
        raise ModelError(
            f'{file} delivers {count} joints; known are 17 (Human3.6M), 19 (COCO and CMU-Panoptic) '
            'and the 53 inside the latter'
        ) from None


def check_joints(file: str, joints: Joints, names: tuple[str, ...], edges: Array | None) -> None:
    """ModelError if what a file says of its joints does not agree with the joint set."""
    if names and names != joints.names:
        raise ModelError(
            f'{file} calls its joints {" ".join(names)}; expected: {" ".join(joints.names)}'
        )
    if edges is not None:
        pairs = {frozenset(map(int, pair)) for pair in edges}
        if pairs != {frozenset(pair) for pair in joints.edges}:
            raise ModelError(f'{file} connects its joints in another way than its joint set does')


def channels_last(volume: Array) -> Array:
    """(N, G, G, channels) of either memory layout."""
    if volume.shape[1] == volume.shape[2] and volume.shape[3] % DEPTH == 0:
        return volume
    return np.moveaxis(volume, 1, 3)


def soft_argmax(volume: Array, chosen: tuple[int, ...] | None = None) -> tuple[Array, Array]:
    """(N, J, 3) expected x, y, z in 0..1 and (N, J, 3) their variances.

    volume: (N, G, G, 8 * Jn) logits, channels depth-major. chosen: of the Jn joints; default all.
    The softmax is over all cells of a joint together; the end cells lie at exactly 0 and 1.
    """
    count, grid = volume.shape[0], volume.shape[1]
    cells = volume.reshape(count, grid * grid * DEPTH, -1)
    if chosen is not None:
        cells = cells.take(chosen, axis=2)
    cells = cells - cells.max(axis=1, keepdims=True)
    np.exp(cells, out=cells)
    moments = np.matmul(_powers(grid), cells)  # (N, 7, J), in double precision
    moments = np.moveaxis(moments[:, 1:] / moments[:, :1], 1, 2)
    mean = moments[..., :3]
    return mean + 0.5, np.maximum(moments[..., 3:] - mean**2, 0)


@lru_cache(maxsize=8)
def _powers(grid: int) -> Array:
    """(7, cells) 1, x, y, z and their squares, about the middle to lose no digits."""
    unit, deep = np.linspace(-0.5, 0.5, grid), np.linspace(-0.5, 0.5, DEPTH)
    y, x, z = (axis.ravel() for axis in np.meshgrid(unit, unit, deep, indexing='ij'))
    return np.stack([np.ones_like(x), x, y, z, x**2, y**2, z**2])


def confidence(variance: Array, grid: int) -> Array:
    """(..., J) 0..1 of variances (..., J, 3) in the unit cube: 1 for a point, 0 for a flat volume.

    One less the spread over that of a volume that says nothing.
    """
    spread = np.sqrt(variance.sum(axis=-1))
    return np.asarray(np.clip(1 - spread / _flat(grid), 0, 1))


@lru_cache(maxsize=8)
def _flat(grid: int) -> float:
    """Spread of equal probability everywhere."""
    parts = [np.linspace(0, 1, cells).var() for cells in (grid, grid, DEPTH)]
    return float(np.sqrt(sum(parts)))


@dataclass(frozen=True)
class Variant:
    """One of several views of a person. angle: radians."""

    gamma: float = 1.0
    angle: float = 0.0
    scale: float = 1.0
    mirror: bool = False


def variants(count: int, mirror: bool) -> tuple[Variant, ...]:
    """The views to average: as MeTRAbs does if count > 1, else the plain one.

    mirror: with a single view, also its mirror image.
    """
    if count == 1:
        return (Variant(), Variant(mirror=True)) if mirror else (Variant(),)
    half = count // 2
    gammas = np.linspace(0.6, 1.0, count)
    angles = np.radians(np.linspace(-25, 25, count))
    scales = [0.8 + 0.2 * k / half for k in range(half)]
    scales += list(np.linspace(1.0, 1.1, count - half))
    return tuple(
        Variant(float(gammas[k]), float(angles[k]), float(scales[k]), (k - half) % 2 == 1)
        for k in range(count)
    )
