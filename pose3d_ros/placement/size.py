# SPDX-License-Identifier: Apache-2.0
"""The size of each person, learnt over time, and the distance at which size and feet agree."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..settings.pipeline import PipelineConfig
from ..types import EstimatorInfo, Pose3D
from .contact import Contact

SHAPE_SIGMA = 0.05
"""Of distances by the rays of all joints, relative, if the size is right."""
_SIZES = (0.3, 3.0)  # of a person, of what the network takes them for
_NEAR_M = 0.1
_TOLD = 0.7  # share of the network's own uncertainty under which a size is worth telling
_MEMORY = 300  # frames
_QUANTILE = 0.45  # feet in the air make people larger, nothing makes them smaller
_LEAST_SIGMA = 0.025
_MANY, _EVERY = 30, 5  # frames after which the estimate is renewed every few frames
_FRAMES = 15  # that tell about as much as one


class SizeMemory:
    """Factors between a person and what the network takes them for, with their variances."""

    def __init__(self) -> None:
        self.count = 0
        self._rows = np.zeros((3, _MEMORY))
        """Logarithm of the factor, inverse variance of its own, and variance that stays."""
        self._learnt: tuple[float, float] | None = None

    def add(self, factor: float, variance: float, bias: float) -> None:
        """Take in the factor of a frame; relative variances: its own, and what stays."""
        self._rows[:, self.count % _MEMORY] = math.log(factor), 1 / variance, bias
        self.count += 1
        # Sizes change slowly once there are many.
        if self.count < _MANY or self.count % _EVERY == 0:
            self._learnt = None

    def learn(self, factor: float, sigma: float) -> None:
        """Take in what a depth image says. sigma: of its distance, relative."""
        if _SIZES[0] < factor < _SIZES[1]:
            self.add(factor, SHAPE_SIGMA**2, sigma**2)

    def estimate(self, sigma: float) -> tuple[float, float]:
        """The factor and its relative standard deviation. sigma: of the network's sizes."""
        if not self.count:
            return 1.0, sigma
        if self._learnt is None:
            values, weights, bias = self._rows[:, : self.count]
            order = np.argsort(values)
            total = np.cumsum(weights[order])
            middle = order[np.searchsorted(total, _QUANTILE * total[-1])]
            steady = float(weights @ bias) / float(total[-1])
            variance = _FRAMES / float(total[-1]) + steady + _LEAST_SIGMA**2
            self._learnt = float(values[middle]), variance
        value, variance = self._learnt
        # Children are far from what networks take people for; few are much taller.
        heavy = 1 + (value / (2 * sigma)) ** 2 if value < 0 else 1.0
        prior = 1 / (sigma * sigma * heavy)
        total_information = 1 / variance + prior
        return math.exp(value / variance / total_information), total_information**-0.5


@dataclass(frozen=True)
class Fused:
    """A person's size, the depth of the root in metres, and the standard deviation of that.

    stands: 0..1, how sure it is that a foot stands on the floor.
    """

    size: float
    depth: float
    sigma: float
    stands: float


def fuse(memory: SizeMemory, z: float, sigma: float, contact: Contact | None) -> Fused | None:
    """Size and depth by weighted least squares; the memory learns of the contact.

    z: depth in metres by the rays alone of a body of size 1. sigma: of the network's sizes.
    None if what is known puts nobody in front of the camera.
    """
    size, spread = memory.estimate(sigma)
    # Rows of size and depth: the size so far, the rays of all joints, the feet.
    stands = 0.0
    rows = [(1.0, 0.0, size, spread * size), (-z, 1.0, 0.0, SHAPE_SIGMA * z * size)]
    if contact is not None:
        alone = contact.depth / (z + contact.gain)
        if _SIZES[0] < alone < _SIZES[1]:
            scale = (size * z) ** 2
            own = (contact.sigma**2 - contact.bias**2) / scale + SHAPE_SIGMA**2
            memory.add(alone, own / contact.share**2, contact.bias**2 / scale)
            stands = contact.share
            rows.append((contact.gain, 1.0, contact.depth, contact.sigma / contact.share))
    # Normal equations of two unknowns.
    aa = ab = bb = ay = by = 0.0
    for a, b, y, deviation in rows:
        w = 1 / deviation**2
        aa, ab, bb = aa + w * a * a, ab + w * a * b, bb + w * b * b
        ay, by = ay + w * a * y, by + w * b * y
    determinant = aa * bb - ab * ab
    size, depth = (bb * ay - ab * by) / determinant, (aa * by - ab * ay) / determinant
    if not (_SIZES[0] < size < _SIZES[1] and depth > _NEAR_M):
        return None
    return Fused(size, depth, math.sqrt(aa / determinant), stands)


def with_heights(
    poses: Sequence[Pose3D],
    heights: Mapping[int, float],
    sizes: Mapping[int, SizeMemory],
    info: EstimatorInfo,
    config: PipelineConfig,
) -> list[Pose3D]:
    """The people with their standing heights, where these are told or measured.

    heights: as the network sees them over time, metres by track id. sizes: by track id.
    """
    out = list(poses)
    for k, pose in enumerate(poses):
        if config.body_height_m:
            out[k] = pose.replace(height_m=config.body_height_m)
            continue
        memory, height = sizes.get(pose.track_id), heights.get(pose.track_id)
        if memory is None or height is None or not memory.count:
            continue
        size, spread = memory.estimate(info.size_sigma)
        if spread < _TOLD * info.size_sigma:
            out[k] = pose.replace(height_m=height * size)
    return out
