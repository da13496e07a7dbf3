# SPDX-License-Identifier: Apache-2.0
"""Windows of motion, varied, in random virtual cameras, with a detector's errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ...estimators.lifter.features import RATE, WINDOW
from . import detector
from .bodies import carry, vary
from .motion import Take
from .rng import Rng
from .rotations import rotation

Tensor = Any

_SOURCE_RATE = 60.0
_NEAR = 0.3  # metres: least depth of a visible joint


@dataclass
class Windows:
    """A batch: rays (B, T, 22, 2), confidence (B, T, 22), target (B, 22, 3) metres about the pelvis
    in the camera's axes, calibrated (B,) whether the rays are those of a calibrated camera.
    """

    rays: Tensor
    confidence: Tensor
    target: Tensor
    calibrated: Tensor


class Virtual:
    """Draws windows from takes; everything random comes from one seeded generator."""

    def __init__(self, takes: Sequence[Take], seed: int, augment: bool = True) -> None:
        self.rng = Rng(seed)
        self._augment = augment
        joints = torch.cat([torch.from_numpy(take.joints) for take in takes])
        self._joints = joints.to(torch.get_default_device())
        lengths = torch.tensor([len(take.joints) for take in takes])
        self._starts = torch.cumsum(lengths, 0) - lengths
        self._lengths = lengths
        # Long takes of one motion must not drown the others.
        self._weights = lengths.double() ** 0.75

    def draw(self, count: int, clean: bool = False) -> Windows:
        """A batch of windows; clean: exact 2D of the 17 body joints, from calibrated cameras."""
        if self._augment:
            # Each variation serves two cameras: making it costs more than projecting it.
            body = vary(self._motion((count + 1) // 2), self.rng).repeat(2, 1, 1, 1)[:count]
        else:
            body = self._motion(count)
        source = detector.Source.draw(count, self.rng)
        if not clean:
            body = carry(body, ~source.like_blazepose, self.rng)
        turn, ray = self._cameras(count)
        root = body[:, WINDOW // 2, :1]
        shifted = detector.offsets(body, source, self.rng) @ turn.transpose(1, 2)[:, None]
        relative = (body - root[:, None]) @ turn.transpose(1, 2)[:, None]
        exact = self._placed(relative, ray)
        target = (exact - exact[:, :, :1])[:, WINDOW // 2]
        if clean:
            rays, confidence = _projected(exact)
            confidence[:, :, 17:] = 0
            return Windows(rays, confidence, target, torch.ones(count))
        return self._observed(exact, shifted, target, source)

    def _motion(self, count: int) -> Tensor:
        """(B, T, 22, 3) windows at the network's frame rate, played a little slower or faster."""
        take = torch.multinomial(
            self._weights, count, replacement=True, generator=self.rng.generator
        )
        speed = _SOURCE_RATE / RATE * torch.exp(0.25 * self.rng.normal(count))
        if not self._augment:
            speed = torch.full((count,), _SOURCE_RATE / RATE)
        centre = self.rng.uniform(count) * (self._lengths[take] - 1)
        offset = torch.arange(WINDOW) - WINDOW // 2
        place = centre[:, None] + offset * speed[:, None]
        place = torch.minimum(place.clamp(min=0), (self._lengths[take] - 1).float()[:, None])
        low = place.floor().long()
        high = torch.minimum(low + 1, self._lengths[take][:, None] - 1)
        share = (place - low)[..., None, None]
        first = self._starts[take][:, None]
        return torch.lerp(self._joints[first + low], self._joints[first + high], share)

    def _cameras(self, count: int) -> tuple[Tensor, Tensor]:
        """(B, 3, 3) world to camera, pitch mostly downwards; (B, 3) where people stand, depth 1.

        Camera axes x right, y down, z forward; the field of view of wide to long lenses.
        """
        rng = self.rng
        yaw = rng.uniform(count, high=2 * math.pi)
        pitch = torch.where(
            rng.chance(count, share=0.8),
            0.17 + 0.15 * rng.normal(count),
            rng.uniform(count, low=-0.4, high=1.1),
        )
        roll = 0.06 * rng.normal(count)
        zero = torch.zeros(count)
        world = rotation(torch.stack([zero, zero, yaw], dim=1))
        level = torch.tensor([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])  # z up to y down
        tilt = rotation(torch.stack([pitch, zero, zero], dim=1))
        turn = rotation(torch.stack([zero, zero, roll], dim=1)) @ tilt @ level @ world
        bearing = rng.uniform(count, 2, low=-1, high=1) * rng.uniform(count, 1, high=0.75)
        bearing = bearing * torch.tensor([1.0, 0.7])
        return turn, torch.cat([bearing, torch.ones(count, 1)], dim=1)

    def _placed(self, relative: Tensor, ray: Tensor) -> Tensor:
        """Bodies 1.2 to 12 m from the camera, none of which walks through it."""
        distance = 1.2 * torch.exp(self.rng.uniform(len(ray)) * math.log(10.0))
        distance = torch.maximum(distance, 0.6 - relative[..., 2].amin(dim=(1, 2)))
        return relative + (distance[:, None] * ray)[:, None, None]

    def _observed(
        self, exact: Tensor, shifted: Tensor, target: Tensor, source: detector.Source
    ) -> Windows:
        rng, count = self.rng, len(exact)
        rays, in_front = _projected(exact + shifted)
        metre = 1 / (exact + shifted)[..., 2:].clamp(min=_NEAR)
        confidence = detector.confidence(exact, source, rng) * in_front
        confidence = confidence * detector.available(source)[:, None]
        rays, confidence = detector.blur(rays, metre, confidence, source, rng)
        rays, confidence = detector.cut(rays, metre, confidence, source, rng)
        confidence = confidence * self._present(count)[..., None]
        # Cameras without calibration: a focal length that is only guessed.
        calibrated = (~rng.chance(count, share=0.3)).float()
        guess = torch.exp(0.25 * rng.normal(count))
        rays = (
            rays * torch.where(calibrated > 0, torch.ones_like(guess), guess)[:, None, None, None]
        )
        return Windows(rays, confidence, target, calibrated)

    def _present(self, count: int) -> Tensor:
        """(B, T) which frames exist: nothing, little or all of the future; tracks may be young."""
        rng = self.rng
        frame, centre = torch.arange(WINDOW)[None], WINDOW // 2
        future = rng.integers(centre + 1, count)
        future = torch.where(rng.chance(count, share=0.6), torch.zeros_like(future), future)
        future = torch.where(rng.chance(count, share=0.4), torch.full_like(future, WINDOW), future)
        past = rng.integers(centre + 1, count)
        past = torch.where(rng.chance(count, share=0.8), torch.full_like(past, WINDOW), past)
        return (frame <= centre + future[:, None]) & (frame >= centre - past[:, None])


def _projected(body: Tensor) -> tuple[Tensor, Tensor]:
    """Rays (B, T, 22, 2), and (B, T, 22) 1 where a joint is before the camera."""
    depth = body[..., 2:]
    return body[..., :2] / depth.clamp(min=_NEAR), (depth[..., 0] > _NEAR).float()
