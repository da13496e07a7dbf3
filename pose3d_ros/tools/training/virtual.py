# SPDX-License-Identifier: Apache-2.0
"""Windows of motion, varied and seen by random virtual cameras through a detector's errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ...estimators.lifter.features import RATE, WINDOW
from . import detector
from .bodies import carry, vary
from .dice import Dice
from .motion import Take
from .rotations import rotation

Tensor = Any

_SOURCE_RATE = 60.0
_NEAR = 0.3  # metres before the camera that a joint must be to be seen


@dataclass
class Windows:
    """A batch: rays (B, T, 22, 2), seen (B, T, 22) confidence, target (B, 22, 3) metres about the
    pelvis in the camera's axes, known (B,) whether the rays are those of a calibrated camera.
    """

    rays: Tensor
    seen: Tensor
    target: Tensor
    known: Tensor


class Virtual:
    """Draws windows from takes; everything random comes from one seeded generator."""

    def __init__(self, takes: Sequence[Take], seed: int, augment: bool = True) -> None:
        self.dice = Dice(seed)
        self._augment = augment
        joints = torch.cat([torch.from_numpy(take.joints) for take in takes])
        self._joints = joints.to(torch.get_default_device())
        lengths = torch.tensor([len(take.joints) for take in takes])
        self._starts = torch.cumsum(lengths, 0) - lengths
        self._lengths = lengths
        # Long takes of one kind of motion must not drown the others.
        self._weights = lengths.double() ** 0.75

    def draw(self, count: int, clean: bool = False) -> Windows:
        """A batch of windows; clean: exact 2D of the 17 body joints, from calibrated cameras."""
        if self._augment:
            # Each variation is seen by two cameras: making it costs more than looking at it.
            body = vary(self._motion((count + 1) // 2), self.dice).repeat(2, 1, 1, 1)[:count]
        else:
            body = self._motion(count)
        source = detector.Source.draw(count, self.dice)
        if not clean:
            body = carry(body, ~source.like_blazepose, self.dice)
        turn, ray = self._cameras(count)
        root = body[:, WINDOW // 2, :1]
        shifted = detector.offsets(body, source, self.dice) @ turn.transpose(1, 2)[:, None]
        relative = (body - root[:, None]) @ turn.transpose(1, 2)[:, None]
        exact = self._placed(relative, ray)
        target = (exact - exact[:, :, :1])[:, WINDOW // 2]
        if clean:
            rays, sure = _projected(exact)
            sure[:, :, 17:] = 0
            return Windows(rays, sure, target, torch.ones(count))
        return self._observed(exact, shifted, target, source)

    def _motion(self, count: int) -> Tensor:
        """(B, T, 22, 3) windows at the network's frame rate, played a little slower or faster."""
        take = torch.multinomial(
            self._weights, count, replacement=True, generator=self.dice.generator
        )
        speed = _SOURCE_RATE / RATE * torch.exp(0.25 * self.dice.normal(count))
        if not self._augment:
            speed = torch.full((count,), _SOURCE_RATE / RATE)
        centre = self.dice.uniform(count) * (self._lengths[take] - 1)
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
        dice = self.dice
        yaw = dice.uniform(count, high=2 * math.pi)
        pitch = torch.where(
            dice.chance(count, share=0.8),
            0.17 + 0.15 * dice.normal(count),
            dice.uniform(count, low=-0.4, high=1.1),
        )
        roll = 0.06 * dice.normal(count)
        zero = torch.zeros(count)
        world = rotation(torch.stack([zero, zero, yaw], dim=1))
        level = torch.tensor([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])  # z up to y down
        tilt = rotation(torch.stack([pitch, zero, zero], dim=1))
        turn = rotation(torch.stack([zero, zero, roll], dim=1)) @ tilt @ level @ world
        bearing = dice.uniform(count, 2, low=-1, high=1) * dice.uniform(count, 1, high=0.75)
        bearing = bearing * torch.tensor([1.0, 0.7])
        return turn, torch.cat([bearing, torch.ones(count, 1)], dim=1)

    def _placed(self, relative: Tensor, ray: Tensor) -> Tensor:
        """Bodies 1.2 to 12 m from the camera, none of which walks through it."""
        distance = 1.2 * torch.exp(self.dice.uniform(len(ray)) * math.log(10.0))
        distance = torch.maximum(distance, 0.6 - relative[..., 2].amin(dim=(1, 2)))
        return relative + (distance[:, None] * ray)[:, None, None]

    def _observed(
        self, exact: Tensor, shifted: Tensor, target: Tensor, source: detector.Source
    ) -> Windows:
        dice, count = self.dice, len(exact)
        rays, there = _projected(exact + shifted)
        metre = 1 / (exact + shifted)[..., 2:].clamp(min=_NEAR)
        sure = detector.confidence(exact, source, dice) * there
        sure = sure * detector.given(source)[:, None]
        rays, sure = detector.blur(rays, metre, sure, source, dice)
        rays, sure = detector.cut(rays, metre, sure, source, dice)
        sure = sure * self._present(count)[..., None]
        # Cameras without calibration: a focal length that is only guessed.
        known = (~dice.chance(count, share=0.3)).float()
        guess = torch.exp(0.25 * dice.normal(count))
        rays = rays * torch.where(known > 0, torch.ones_like(guess), guess)[:, None, None, None]
        return Windows(rays, sure, target, known)

    def _present(self, count: int) -> Tensor:
        """(B, T) which frames exist: nothing, little or all of the future; tracks may be young."""
        dice = self.dice
        frame, centre = torch.arange(WINDOW)[None], WINDOW // 2
        future = dice.integers(centre + 1, count)
        future = torch.where(dice.chance(count, share=0.6), torch.zeros_like(future), future)
        future = torch.where(dice.chance(count, share=0.4), torch.full_like(future, WINDOW), future)
        past = dice.integers(centre + 1, count)
        past = torch.where(dice.chance(count, share=0.8), torch.full_like(past, WINDOW), past)
        return (frame <= centre + future[:, None]) & (frame >= centre - past[:, None])


def _projected(body: Tensor) -> tuple[Tensor, Tensor]:
    """Rays (B, T, 22, 2), and (B, T, 22) 1 where a joint is before the camera."""
    depth = body[..., 2:]
    return body[..., :2] / depth.clamp(min=_NEAR), (depth[..., 0] > _NEAR).float()
