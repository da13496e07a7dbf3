# SPDX-License-Identifier: Apache-2.0
"""Windows of motion, varied and seen by random virtual cameras through a detector's errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..lifting.features import COUNT, HIDDEN_SET, JOINTS, RATE, WINDOW
from .motion import Take

Tensor = Any

_SOURCE_RATE = 60.0
_INDEX = {name: k for k, name in enumerate(JOINTS)}
_MIRROR = [
    _INDEX[n.replace('left', '#').replace('right', 'left').replace('#', 'right')] for n in JOINTS
]
_ARMS = [[_INDEX[f'{s}_{j}'] for j in ('shoulder', 'elbow', 'wrist')] for s in ('left', 'right')]
_LEGS = [[_INDEX[f'{s}_{j}'] for j in ('hip', 'knee', 'ankle', 'toe')] for s in ('left', 'right')]
_HEAD = [_INDEX[j] for j in ('neck', 'head', 'nose', 'left_ear', 'right_ear')]

# Errors of BlazePose's 2D, as metres at the body, measured on the rendered clips: offsets of its
# joint centres from a rig's, slow wander, white noise.
_OFFSET = torch.full((COUNT, 3), 0.018)
for _name in ('left_hip', 'right_hip', 'left_ear', 'right_ear', 'left_toe', 'right_toe'):
    _OFFSET[_INDEX[_name]] = torch.tensor([0.025, 0.04, 0.025])
_WANDER, _WHITE, _BLUNDER = 0.016, 0.005, 0.12
# Where BlazePose sees joints, on the mean, from where motion capture has them: left, back, up.
_MEAN = torch.zeros(COUNT, 3)
for _side, _sign in (('left', 1.0), ('right', -1.0)):
    _MEAN[_INDEX[f'{_side}_hip']] = torch.tensor([-0.008 * _sign, 0.05, 0.0])
    _MEAN[_INDEX[f'{_side}_shoulder']] = torch.tensor([-0.008 * _sign, 0.0, 0.03])
    _MEAN[_INDEX[f'{_side}_ear']] = torch.tensor([-0.03 * _sign, 0.03, -0.01])
    _MEAN[_INDEX[f'{_side}_toe']] = torch.tensor([0.0, 0.02, -0.035])
_DETECTOR, _BODY_ONLY = 0.6, 0.93  # shares of windows: detectors' joints, the 17 of the body, all
_UPPER = [
    _INDEX[j]
    for j in JOINTS
    if not j.startswith(('left_hip', 'right_hip')) and not j.endswith(('knee', 'ankle', 'toe'))
]


@dataclass
class Windows:
    """A batch: rays (B, T, 22, 2), seen (B, T, 22), target (B, 22, 3) metres about the pelvis in
    the camera's axes, known (B,) whether the rays are those of a calibrated camera.
    """

    rays: Tensor
    seen: Tensor
    target: Tensor
    known: Tensor


class Virtual:
    """Draws windows from takes; everything random comes from one seeded generator."""

    def __init__(self, takes: Sequence[Take], seed: int, augment: bool = True) -> None:
        self.random = torch.Generator().manual_seed(seed)
        self._augment = augment
        self._joints = torch.cat([torch.from_numpy(take.joints) for take in takes])
        lengths = torch.tensor([len(take.joints) for take in takes])
        self._starts = torch.cumsum(lengths, 0) - lengths
        self._lengths = lengths
        # Long takes of one kind of motion must not drown the others.
        self._weights = lengths.double() ** 0.75

    def _uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=self.random)

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.random)

    def _chance(self, count: int, share: float) -> Tensor:
        return self._uniform(count) < share

    def draw(self, count: int, clean: bool = False) -> Windows:
        """A batch of windows; clean: exact 2D of the 17 body joints, from calibrated cameras."""
        if self._augment:
            # Each variation is seen by two cameras: making it costs more than looking at it.
            body = self._vary(self._motion((count + 1) // 2)).repeat(2, 1, 1, 1)[:count]
        else:
            body = self._motion(count)
        seen_body, exact = self._viewed(body)
        target = exact - exact[:, :, :1]
        return self._observe(exact if clean else seen_body, target[:, WINDOW // 2], clean)

    def _motion(self, count: int) -> Tensor:
        """(B, T, 22, 3) windows at the network's frame rate, played a little slower or faster."""
        take = torch.multinomial(self._weights, count, replacement=True, generator=self.random)
        speed = _SOURCE_RATE / RATE * torch.exp(0.25 * self._normal(count))
        if not self._augment:
            speed = torch.full((count,), _SOURCE_RATE / RATE)
        centre = self._uniform(count) * (self._lengths[take] - 1)
        offset = torch.arange(WINDOW) - WINDOW // 2
        place = centre[:, None] + offset * speed[:, None]
        place = torch.minimum(place.clamp(min=0), (self._lengths[take] - 1).float()[:, None])
        low = place.floor().long()
        high = torch.minimum(low + 1, self._lengths[take][:, None] - 1)
        share = (place - low)[..., None, None]
        first = self._starts[take][:, None]
        return torch.lerp(self._joints[first + low], self._joints[first + high], share)

    def _vary(self, body: Tensor) -> Tensor:
        """Other people and poses: mirrored, limbs swapped and turned, bones of other lengths."""
        count = len(body)
        flip = self._chance(count, 0.5)
        mirrored = body[:, :, _MIRROR] * torch.tensor([-1.0, 1.0, 1.0])
        body = torch.where(flip[:, None, None, None], mirrored, body)
        pelvis = body[:, :, :1].clone()
        body = body - pelvis
        # Bending, leaning and twisting beyond what was recorded.
        bent = body[:, :, _UPPER] @ self._rotations(count, 0.3, 0.3)[:, None]
        body[:, :, _UPPER] = bent
        for limbs, side, share in (
            (_ARMS, ('thorax', 'spine'), 0.35),
            (_LEGS, ('spine', 'pelvis'), 0.15),
        ):
            across = body[:, :, limbs[0][0]] - body[:, :, limbs[1][0]]
            up = body[:, :, _INDEX[side[0]]] - body[:, :, _INDEX[side[1]]]
            axes = _axes(across, up)
            for limb in limbs:
                root = body[:, :, limb[:1]]
                local = (body[:, :, limb] - root) @ axes
                other = local[torch.randperm(count, generator=self.random)]
                swap = self._chance(count, share)[:, None, None, None]
                local = torch.where(swap, other, local)
                turned = local @ self._rotations(count, 0.25, share)[:, None]
                tail = turned[:, :, 2:] - turned[:, :, 1:2]
                tail = tail @ self._rotations(count, 0.25, share)[:, None]
                turned = torch.cat([turned[:, :, :2], turned[:, :, 1:2] + tail], dim=2)
                body[:, :, limb] = turned @ axes.transpose(-1, -2) + root
        body = self._resize(body)
        return body + pelvis

    def _rotations(self, count: int, spread: float, share: float) -> Tensor:
        """(B, 3, 3) random small rotations for a share of the batch, else none."""
        vector = spread * self._normal(count, 3) * self._chance(count, share)[:, None]
        return _rotation(vector)

    def _resize(self, body: Tensor) -> Tensor:
        """Bones of other lengths, left and right alike, and another body size."""
        count = len(body)
        scale = torch.exp(0.05 * self._normal(count))[:, None, None, None]
        factor = torch.exp(0.05 * self._normal(count, 6))[:, :, None, None]
        out = body.clone()
        for limb in _LEGS:
            hip, knee, ankle, toe = limb
            wide = factor[:, 0] * 1.03
            out[:, :, hip] = body[:, :, hip] * wide
            out[:, :, knee] = out[:, :, hip] + (body[:, :, knee] - body[:, :, hip]) * factor[:, 1]
            shank = (body[:, :, ankle] - body[:, :, knee]) * factor[:, 2]
            out[:, :, ankle] = out[:, :, knee] + shank
            out[:, :, toe] = out[:, :, ankle] + (body[:, :, toe] - body[:, :, ankle])
        thorax = body[:, :, 8] * factor[:, 3]
        out[:, :, 7], out[:, :, 8] = body[:, :, 7] * factor[:, 3], thorax
        for joint in _HEAD:
            out[:, :, joint] = thorax + body[:, :, joint] - body[:, :, 8]
        for limb in _ARMS:
            shoulder, elbow, wrist = limb
            out[:, :, shoulder] = thorax + (body[:, :, shoulder] - body[:, :, 8]) * factor[:, 4]
            upper = (body[:, :, elbow] - body[:, :, shoulder]) * factor[:, 5]
            out[:, :, elbow] = out[:, :, shoulder] + upper
            lower = (body[:, :, wrist] - body[:, :, elbow]) * factor[:, 5]
            out[:, :, wrist] = out[:, :, elbow] + lower
        return out * scale

    def _viewed(self, body: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, 22, 3) in front of a random camera: as a detector takes it, and as it is.

        Camera axes x right, y down, z forward; distances 1.2 to 12 m, pitch mostly downwards.
        """
        count = len(body)
        yaw = self._uniform(count, high=2 * math.pi)
        pitch = torch.where(
            self._chance(count, 0.75),
            0.17 + 0.17 * self._normal(count),
            self._uniform(count, low=-0.4, high=1.1),
        )
        roll = 0.06 * self._normal(count)
        zero = torch.zeros(count)
        world = _rotation(torch.stack([zero, zero, yaw], dim=1))
        level = torch.tensor([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])  # z up to y down
        tilt = _rotation(torch.stack([-pitch, zero, zero], dim=1))
        turn = _rotation(torch.stack([zero, zero, roll], dim=1)) @ tilt @ level @ world
        root = body[:, WINDOW // 2, :1]
        relative = (body - root[:, None]) @ turn.transpose(1, 2)[:, None]
        offsets = self._offsets(body) @ turn.transpose(1, 2)[:, None]
        # Where in the image: the field of view of wide to long lenses.
        bearing = self._uniform(count, 2, low=-1, high=1) * self._uniform(count, 1, high=0.75)
        bearing = bearing * torch.tensor([1.0, 0.7])
        distance = 1.2 * torch.exp(self._uniform(count) * math.log(10.0))
        # Nobody walks through the camera.
        distance = torch.maximum(distance, 0.6 - relative[..., 2].amin(dim=(1, 2)))
        ray = torch.cat([bearing, torch.ones(count, 1)], dim=1)
        place = (distance[:, None] * ray)[:, None, None]
        exact = relative + place
        return exact + offsets, exact

    def _offsets(self, body: Tensor) -> Tensor:
        """(B, T, 22, 3) how a detector's idea of joints differs from the rig's, world axes."""
        count = len(body)
        across = body[:, :, _INDEX['left_hip']] - body[:, :, _INDEX['right_hip']]
        axes = _axes(across, body[:, :, _INDEX['spine']] - body[:, :, 0])
        local = self._normal(count, COUNT, 3) * _OFFSET
        self._kind = self._uniform(count)
        detector = self._kind < _DETECTOR
        # Exact 2D is what other sources may come close to.
        exact = self._chance(count, 0.3) & ~detector
        amount = self._uniform(count, high=1.5) * ~exact
        self._amount = amount
        local = local * amount[:, None, None] + _MEAN * detector[:, None, None]
        return local[:, None] @ axes.transpose(-1, -2)

    def _observe(self, body: Tensor, target: Tensor, clean: bool) -> Windows:
        count = len(body)
        depth = body[..., 2:].clamp(min=0.3)
        rays = body[..., :2] / depth
        seen = (body[..., 2] > 0.3).float()
        known = torch.ones(count)
        if clean:
            seen[:, :, 17:] = 0
            return Windows(rays, seen, target, known)
        metre = 1 / depth
        amount = self._amount[:, None, None, None]
        ends = self._normal(count, 2, COUNT, 2) * _WANDER
        ramp = torch.linspace(0, 1, WINDOW)[None, :, None, None]
        wander = ends[:, :1] * (1 - ramp) + ends[:, 1:] * ramp
        white = (
            self._normal(count, WINDOW, COUNT, 2) * _WHITE * self._uniform(count, 1, 1, 1, high=2)
        )
        rays = rays + (wander + white) * metre * amount
        # Joints far off for a while, as hidden wrists and ankles are.
        start = self._uniform(count, 1, COUNT, low=-0.5)
        inside = (ramp[..., 0] >= start) & (ramp[..., 0] < start + 0.5)
        wrong = inside & (self._uniform(count, 1, COUNT) < 0.04) & (self._amount > 0)[:, None, None]
        blunder = self._normal(count, 1, COUNT, 2) * _BLUNDER
        rays = rays + wrong[..., None] * blunder * metre
        seen = seen * self._sets(count)[:, None]
        seen = seen * ~(inside & (self._uniform(count, 1, COUNT) < 0.04))
        seen = self._cut(rays, seen)
        # The present: nothing, little or all of the future is known; tracks are young at times.
        frame = torch.arange(WINDOW)[None]
        future = torch.randint(0, WINDOW // 2 + 1, (count,), generator=self.random)
        future = torch.where(self._chance(count, 0.45), torch.zeros_like(future), future)
        past = torch.randint(0, WINDOW // 2 + 1, (count,), generator=self.random)
        past = torch.where(self._chance(count, 0.75), torch.full_like(past, WINDOW), past)
        late = torch.where(self._chance(count, 0.35), torch.full_like(future, WINDOW), future)
        centre = WINDOW // 2
        there = (frame <= centre + late[:, None]) & (frame >= centre - past[:, None])
        seen = seen * there[..., None]
        # Cameras without calibration: a focal length that is only guessed.
        known = (~self._chance(count, 0.3)).float()
        guess = torch.exp(0.25 * self._normal(count))
        rays = rays * torch.where(known > 0, torch.ones_like(guess), guess)[:, None, None, None]
        return Windows(rays, seen, target, known)

    def _sets(self, count: int) -> Tensor:
        """(B, 22) which joints the 2D source has at all."""
        out = torch.ones(count, COUNT)
        detector = (self._kind < _DETECTOR)[:, None]
        out[:, HIDDEN_SET] = torch.where(detector, torch.zeros(1), out[:, HIDDEN_SET])
        body = ((self._kind >= _DETECTOR) & (self._kind < _BODY_ONLY))[:, None]
        out[:, 17:] = torch.where(body, torch.zeros(1), out[:, 17:])
        no_toes = self._chance(count, 0.25)[:, None]
        toes = [_INDEX['left_toe'], _INDEX['right_toe']]
        out[:, toes] = torch.where(no_toes, torch.zeros(1), out[:, toes])
        return out

    def _cut(self, rays: Tensor, seen: Tensor) -> Tensor:
        """Edges of the image that cut bodies off, mostly the lower one."""
        count = len(rays)
        middle = rays[:, WINDOW // 2]
        low, high = middle.amin(dim=1), middle.amax(dim=1)
        part = self._uniform(count, 2, low=0.45, high=1.0)
        part = torch.where(
            self._uniform(count, 2) < torch.tensor([0.04, 0.15]), part, torch.full_like(part, 9.0)
        )
        edge = low + part * (high - low)
        inside = (rays <= edge[:, None, None]).all(dim=-1)
        return seen * inside


def _axes(across: Tensor, up: Tensor) -> Tensor:
    """(..., 3, 3) columns left, back, up of a trunk."""
    left = torch.nn.functional.normalize(across, dim=-1)
    back = torch.nn.functional.normalize(torch.linalg.cross(up, left), dim=-1)
    return torch.stack([left, back, torch.linalg.cross(left, back)], dim=-1)


def _rotation(vector: Tensor) -> Tensor:
    """(B, 3, 3) rotation matrices of (B, 3) rotation vectors (Rodrigues)."""
    angle = vector.norm(dim=-1, keepdim=True).clamp(min=1e-8)
    x, y, z = (vector / angle).unbind(-1)
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).reshape(-1, 3, 3)
    angle = angle[..., None]
    return torch.eye(3) + angle.sin() * skew + (1 - angle.cos()) * (skew @ skew)
