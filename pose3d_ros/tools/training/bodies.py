# SPDX-License-Identifier: Apache-2.0
"""Other people and other poses out of recorded motion: (B, T, 22, 3) metres, z up."""

from __future__ import annotations

from typing import Any

import torch

from ...estimators.lifter.features import JOINTS, MIRROR
from .detector import INDEX
from .rng import Rng
from .rotations import rotation, trunk_axes

Tensor = Any

_ARMS = [[INDEX[f'{s}_{j}'] for j in ('shoulder', 'elbow', 'wrist')] for s in ('left', 'right')]
_LEGS = [[INDEX[f'{s}_{j}'] for j in ('hip', 'knee', 'ankle', 'toe')] for s in ('left', 'right')]
_HEAD = [INDEX[j] for j in ('neck', 'head', 'nose', 'left_ear', 'right_ear')]
_UPPER = [
    INDEX[j]
    for j in JOINTS
    if not j.startswith(('left_hip', 'right_hip')) and not j.endswith(('knee', 'ankle', 'toe'))
]
_HIPS = [INDEX['left_hip'], INDEX['right_hip']]
_PELVIS, _SPINE, _THORAX = INDEX['pelvis'], INDEX['spine'], INDEX['thorax']
_NOSE, _EARS = INDEX['nose'], [INDEX['left_ear'], INDEX['right_ear']]
_FACE = [_NOSE, *_EARS]


def vary(body: Tensor, rng: Rng) -> Tensor:
    """Mirrored, bent, limbs swapped between people and turned, bones of other lengths."""
    flip = rng.chance(len(body), share=0.5)[:, None, None, None]
    body = torch.where(flip, body[:, :, MIRROR] * torch.tensor([-1.0, 1.0, 1.0]), body)
    pelvis = body[:, :, :1].clone()
    body = _limbs(_bent(body - pelvis, rng), rng)
    body = _posed(body, _ARMS, (_THORAX, _SPINE), 0.3, rng)
    body = _posed(body, _LEGS, (_SPINE, _PELVIS), 0.1, rng)
    return _resized(body, rng) + pelvis


def carry(body: Tensor, straight: Tensor, rng: Rng) -> Tensor:
    """Other ways to carry trunk and head, which a window keeps.

    straight: (B,) true for bodies that stand as motion capture has them, on average. The others
    lean 6 degrees further forward, with the head forward and high, as the rendered bodies do
    beside recordings of the same motions.
    """
    count = len(body)
    usual = (~straight).float()
    root = body[:, :, :1]
    left = body[:, :, _HIPS[0]] - body[:, :, _HIPS[1]]
    left = torch.nn.functional.normalize(left, dim=-1)
    lean = 0.11 * usual + 0.07 * rng.normal(count)
    forward = rotation((left * lean[:, None, None]).reshape(-1, 3)).reshape(*left.shape[:2], 3, 3)
    out = body.clone()
    out[:, :, _UPPER] = (body - root)[:, :, _UPPER] @ forward.transpose(-1, -2) + root
    axes = trunk_axes(left, out[:, :, _THORAX] - out[:, :, _PELVIS])
    ahead = 0.03 * usual + 0.025 * rng.normal(count)
    high = 0.045 * usual + 0.025 * rng.normal(count)
    moved = high[:, None, None] * axes[..., 2] - ahead[:, None, None] * axes[..., 1]
    out[:, :, _HEAD] = out[:, :, _HEAD] + moved[:, :, None]
    # Where the head sits on the neck.
    raised = (0.035 * usual + 0.02 * rng.normal(count))[:, None, None] * axes[..., 2]
    out[:, :, _FACE] = out[:, :, _FACE] + raised[:, :, None]
    return out


def _turns(count: int, spread: float, share: float, rng: Rng) -> Tensor:
    """(B, 3, 3) random small rotations for a share of the batch, else none."""
    return rotation(spread * rng.normal(count, 3) * rng.chance(count, 1, share=share))


def _bent(body: Tensor, rng: Rng) -> Tensor:
    """Leaning and twisting beyond what was recorded, and bending down."""
    count = len(body)
    body[:, :, _UPPER] = body[:, :, _UPPER] @ _turns(count, 0.3, 0.3, rng)[:, None]
    left = body[:, 0, _HIPS[0]] - body[:, 0, _HIPS[1]]
    left = torch.nn.functional.normalize(left, dim=-1)
    angle = rng.uniform(count, 1, low=-0.2, high=1.4) * rng.chance(count, 1, share=0.1)
    # Points are rows: turned by the transpose.
    down = rotation(left * angle).transpose(1, 2)
    body[:, :, _UPPER] = body[:, :, _UPPER] @ down[:, None]
    return body


def _limbs(body: Tensor, rng: Rng) -> Tensor:
    count = len(body)
    for limbs, (high, low), share in (
        (_ARMS, (_THORAX, _SPINE), 0.35),
        (_LEGS, (_SPINE, _PELVIS), 0.15),
    ):
        across = body[:, :, limbs[0][0]] - body[:, :, limbs[1][0]]
        axes = trunk_axes(across, body[:, :, high] - body[:, :, low])
        for limb in limbs:
            root = body[:, :, limb[:1]]
            local = (body[:, :, limb] - root) @ axes
            swap = rng.chance(count, share=share)[:, None, None, None]
            local = torch.where(swap, local[rng.order(count)], local)
            turned = local @ _turns(count, 0.25, share, rng)[:, None]
            tail = turned[:, :, 2:] - turned[:, :, 1:2]
            tail = tail @ _turns(count, 0.25, share, rng)[:, None]
            turned = torch.cat([turned[:, :, :2], turned[:, :, 1:2] + tail], dim=2)
            body[:, :, limb] = turned @ axes.transpose(-1, -2) + root
    return body


def _posed(
    body: Tensor, limbs: list[list[int]], trunk: tuple[int, int], share: float, rng: Rng
) -> Tensor:
    """Limbs in places where recordings have few: held out anywhere that a joint allows.

    Each limb is turned so that its middle frame gets there, then its lower part; its motion within
    the window stays. Half of the time both sides do the same.
    """
    count, middle = len(body), body.shape[1] // 2
    arms = limbs is _ARMS
    across = body[:, :, limbs[0][0]] - body[:, :, limbs[1][0]]
    axes = trunk_axes(across, body[:, :, trunk[0]] - body[:, :, trunk[1]])
    both = rng.chance(count, share=share / 2)
    shared = _places(count, arms, rng)
    for limb, side in zip(limbs, (1.0, -1.0)):
        alone = _places(count, arms, rng)
        upper, lower = (torch.where(both[:, None], a, b) for a, b in zip(shared, alone))
        mirror = torch.tensor([side, 1.0, 1.0])
        moved = (both | rng.chance(count, share=share / 2))[:, None]
        root = body[:, :, limb[:1]]
        local = (body[:, :, limb] - root) @ axes
        turned = local @ _onto(local[:, middle, 1], upper * mirror, moved)
        tail = turned[:, :, 2:] - turned[:, :, 1:2]
        tail = tail @ _onto(tail[:, middle, 0], lower * mirror, moved)
        turned = torch.cat([turned[:, :, :2], turned[:, :, 1:2] + tail], dim=2)
        body[:, :, limb] = turned @ axes.transpose(-1, -2) + root
    return body


def _places(count: int, arms: bool, rng: Rng) -> tuple[Tensor, Tensor]:
    """(B, 3) directions of the upper and the lower part of a left limb: left, back, up.

    Elbows bend forwards, upwards and inwards, knees backwards.
    """
    low, high = (
        ((-0.6, -1.0, -1.0), (1.0, 0.45, 1.0)) if arms else ((-0.3, -1, -1), (0.6, 0.4, 0.1))
    )
    span = torch.tensor(high) - torch.tensor(low)
    upper = torch.tensor(low) + span * rng.uniform(count, 3)
    upper = torch.nn.functional.normalize(upper, dim=-1)
    wish = torch.tensor([-0.5, -1.0, 0.6]) if arms else torch.tensor([0.0, 1.0, -0.3])
    wish = wish + (0.8 if arms else 0.2) * rng.normal(count, 3)
    wish = wish - (wish * upper).sum(-1, keepdim=True) * upper
    bend = 2.4 * rng.uniform(count, 1) ** 2
    lower = bend.cos() * upper + bend.sin() * torch.nn.functional.normalize(wish, dim=-1)
    return upper, lower


def _onto(now: Tensor, wanted: Tensor, moved: Tensor) -> Tensor:
    """(B, 1, 3, 3) for rows on the left: turns (B, 3) onto directions (B, 3) where moved (B, 1)."""
    now = torch.nn.functional.normalize(now, dim=-1)
    axis = torch.linalg.cross(now, wanted)
    angle = torch.atan2(axis.norm(dim=-1, keepdim=True), (now * wanted).sum(-1, keepdim=True))
    vector = torch.nn.functional.normalize(axis, dim=-1) * angle * moved
    return rotation(vector).transpose(1, 2)[:, None]


def _resized(body: Tensor, rng: Rng) -> Tensor:
    """Bones of other lengths, left and right alike, other shoulders, another size."""
    count = len(body)

    def factor(spread: float, mean: float = 1.0) -> Tensor:
        return mean * torch.exp(spread * rng.normal(count))[:, None, None]

    out = body.clone()
    hips, thigh, shank, foot = factor(0.1, 1.15), factor(0.05), factor(0.05), factor(0.12, 1.14)
    for hip, knee, ankle, toe in _LEGS:
        out[:, :, hip] = body[:, :, hip] * hips
        out[:, :, knee] = out[:, :, hip] + (body[:, :, knee] - body[:, :, hip]) * thigh
        out[:, :, ankle] = out[:, :, knee] + (body[:, :, ankle] - body[:, :, knee]) * shank
        out[:, :, toe] = out[:, :, ankle] + (body[:, :, toe] - body[:, :, ankle]) * foot
    trunk, head = factor(0.06, 1.02), factor(0.08)
    out[:, :, _SPINE] = body[:, :, _SPINE] * trunk
    thorax = body[:, :, _THORAX] * trunk
    up = torch.nn.functional.normalize(body[:, :, _THORAX] - body[:, :, _SPINE], dim=-1)
    # Rigs disagree on how high the shoulders sit against the spine.
    sunk = (0.03 + 0.04 * rng.normal(count))[:, None, None] * up
    rise = (0.03 * rng.normal(count))[:, None, None] * up
    out[:, :, _THORAX] = thorax + rise
    for joint in _HEAD:
        out[:, :, joint] = thorax + (body[:, :, joint] - body[:, :, _THORAX]) * head
    # How far noses stand out before the ears, which recordings do not measure.
    ears = out[:, :, _EARS].mean(dim=2)
    out[:, :, _NOSE] = ears + (out[:, :, _NOSE] - ears) * factor(0.15, 1.2)
    wide, upper, lower = factor(0.08, 0.97), factor(0.08, 0.89), factor(0.08)
    for shoulder, elbow, wrist in _ARMS:
        girdle = (body[:, :, shoulder] - body[:, :, _THORAX]) * wide
        out[:, :, shoulder] = thorax + girdle - sunk
        out[:, :, elbow] = out[:, :, shoulder] + (body[:, :, elbow] - body[:, :, shoulder]) * upper
        out[:, :, wrist] = out[:, :, elbow] + (body[:, :, wrist] - body[:, :, elbow]) * lower
    return out * factor(0.07, 0.97)[..., None]
