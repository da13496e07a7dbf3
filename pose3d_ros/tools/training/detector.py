# SPDX-License-Identifier: Apache-2.0
"""What a 2D detector makes of people in front of a camera: which joints, errors, confidence.

Modelled on BlazePose, whose joints differ from those of a rig by fixed offsets, whose confidence
falls when something is in front of an arm or a leg, and whose errors grow as confidence falls.
Offsets, confidences and sizes of errors were measured on the rendered clips (docs/estimators/
lifter.md). Other sources give the joints of motion capture, exactly or nearly so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from ...estimators.lifter.features import COUNT, HIDDEN_SET, HINT, JOINTS, WINDOW
from .rng import Rng
from .rotations import trunk_axes

Tensor = Any

INDEX = {name: k for k, name in enumerate(JOINTS)}
_BODY = 17
_LIKE_BLAZEPOSE, _BODY_ONLY = 0.65, 0.93  # shares of windows: like BlazePose, body only, then all
_EXACT = 0.6  # of the windows that are not like BlazePose


def _by_joint(default: float, **values: float) -> Tensor:
    """(22,) a value for each joint; sides alike."""
    return torch.tensor([values.get(name.rpartition('_')[2], default) for name in JOINTS])


def _both(**offsets: tuple[float, float, float]) -> Tensor:
    """(22, 3) offsets left, back, up of the left joints, mirrored for the right ones."""
    out = torch.zeros(COUNT, 3)
    for name, (left, back, up) in offsets.items():
        if name in INDEX:
            out[INDEX[name]] = torch.tensor([left, back, up])
            continue
        out[INDEX[f'left_{name}']] = torch.tensor([left, back, up])
        out[INDEX[f'right_{name}']] = torch.tensor([-left, back, up])
    return out


_MEAN = _both(
    hip=(-0.010, -0.052, -0.004),
    shoulder=(-0.010, -0.003, 0.030),
    elbow=(-0.003, -0.010, 0.009),
    toe=(-0.007, -0.030, -0.026),
    ear=(-0.029, -0.031, -0.013),
    nose=(0.0, 0.012, 0.012),
)
"""Metres from the rig's joint to BlazePose's, along the trunk's left, back and up."""

_STEADY = _by_joint(0.011, hip=0.016, shoulder=0.009, ankle=0.013, toe=0.026, ear=0.018, nose=0.018)
"""Metres: offsets that differ between bodies and poses, and stay through a window."""

_WANDER = _by_joint(0.010, hip=0.012, shoulder=0.007, ankle=0.012, toe=0.014)
_WHITE = 0.004
_OUTSIDE = 0.11  # metres: error of joints that are guessed beyond the image's edge

_ARMS = [INDEX[f'{s}_{j}'] for s in ('left', 'right') for j in ('elbow', 'wrist')]
_LEGS = [INDEX[f'{s}_{j}'] for s in ('left', 'right') for j in ('knee', 'ankle', 'toe')]
_LIMBS = [*_ARMS, *_LEGS]
_FALL = torch.tensor([22.0] * len(_ARMS) + [16.0] * len(_LEGS))
"""How fast the logit of confidence falls, per metre behind what hides a joint."""
_FAR = torch.tensor([18.0] * len(_ARMS) + [0.0] * len(_LEGS))
"""The same per metre behind the pelvis: arms on the far side are seldom visible."""

_PARTS = (
    ('left_shoulder', 'left_hip', 0.09), ('right_shoulder', 'right_hip', 0.09),
    ('thorax', 'pelvis', 0.11), ('neck', 'head', 0.09),
    ('left_hip', 'left_knee', 0.07), ('right_hip', 'right_knee', 0.07),
    ('left_knee', 'left_ankle', 0.05), ('right_knee', 'right_ankle', 0.05),
    ('left_shoulder', 'left_elbow', 0.045), ('right_shoulder', 'right_elbow', 0.045),
    ('left_elbow', 'left_wrist', 0.04), ('right_elbow', 'right_wrist', 0.04),
)  # fmt: skip
_FROM = [INDEX[a] for a, _, _ in _PARTS]
_TO = [INDEX[b] for _, b, _ in _PARTS]
_RADIUS = torch.tensor([radius for _, _, radius in _PARTS])


def _here(constant: Tensor) -> Tensor:
    return constant.to(torch.get_default_device())


@dataclass
class Source:
    """The source of 2D joints of each window. amount: (B,) how big its errors are."""

    like_blazepose: Tensor
    body_only: Tensor
    no_toes: Tensor
    amount: Tensor

    @classmethod
    def draw(cls, count: int, rng: Rng) -> Source:
        """Sources for so many windows."""
        drawn = rng.uniform(count)
        like = drawn < _LIKE_BLAZEPOSE
        amount = rng.uniform(count, low=0.0, high=1.2) * ~rng.chance(count, share=_EXACT)
        amount = torch.where(like, rng.uniform(count, low=0.6, high=1.6), amount)
        no_toes = rng.chance(count, share=0.25)
        return cls(like, ~like & (drawn < _BODY_ONLY), no_toes, amount)


def offsets(body: Tensor, source: Source, rng: Rng) -> Tensor:
    """(B, T, 22, 3) metres from the joints of bodies to those of the source."""
    axes = trunk_axes(
        body[:, :, INDEX['left_hip']] - body[:, :, INDEX['right_hip']],
        body[:, :, INDEX['thorax']] - body[:, :, INDEX['pelvis']],
    )
    count = len(body)
    local = rng.normal(count, COUNT, 3) * _here(_STEADY)[:, None] * source.amount[:, None, None]
    # Definitions of joints agree between bodies only so far.
    part = source.like_blazepose * (1 + 0.25 * rng.normal(count))
    local = local + _here(_MEAN) * part[:, None, None]
    return local[:, None] @ axes.transpose(-1, -2)


def behind(body: Tensor) -> Tensor:
    """(B, T, 10) metres that a limb's joint lies behind a part of the body that is over it.

    body: (B, T, 22, 3) metres, camera optical frame; joints in the order of arms, then legs.
    """
    depth = body[..., 2].clamp(min=0.3)
    flat = body[..., :2] / depth[..., None] * depth[..., :1, None]
    a, b = flat[:, :, _FROM], flat[:, :, _TO]
    along = b - a
    points = flat[:, :, _LIMBS, None]
    share = ((points - a[:, :, None]) * along[:, :, None]).sum(-1)
    share = (share / along.square().sum(-1).clamp(min=1e-6)[:, :, None]).clamp(0, 1)
    apart = points - a[:, :, None] - share[..., None] * along[:, :, None]
    over = apart.square().sum(-1) < _here(_RADIUS).square()
    near = torch.lerp(depth[:, :, None, _FROM], depth[:, :, None, _TO], share)
    gap = torch.where(over, depth[:, :, _LIMBS, None] - near, torch.zeros(()))
    own = torch.tensor([[j in (a, b) for a, b in zip(_FROM, _TO)] for j in _LIMBS])
    return torch.where(own, torch.zeros(()), gap).amax(dim=-1).clamp(min=0)


def confidence(body: Tensor, source: Source, rng: Rng) -> Tensor:
    """(B, T, 22) 0..1, the source's confidence in joints of bodies in the camera's frame."""
    count = len(body)
    far = (body[:, :, _LIMBS, 2] - body[:, :, :1, 2] - 0.03).clamp(0, 0.25)
    logit = 4.3 - _here(_FALL) * behind(body).clamp(max=0.35) - _here(_FAR) * far
    logit = logit + rng.normal(count, 1, len(_LIMBS)) + 0.4 * rng.normal(*logit.shape)
    confidences = torch.sigmoid(logit)
    # Other detectors of this type are less extreme.
    confidences = torch.where(
        source.no_toes[:, None, None],
        0.3 + 0.6 * confidences + 0.05 * rng.normal(*confidences.shape),
        confidences,
    ).clamp(0.02, 1.0)
    out = torch.full((count, WINDOW, COUNT), 0.99)
    out[:, :, _LIMBS] = confidences
    other = torch.where(
        source.amount > 0, rng.uniform(count, low=0.5, high=1.2).clamp(max=1), torch.ones(())
    )
    return torch.where(source.like_blazepose[:, None, None], out, other[:, None, None])


def blur(
    rays: Tensor, metre: Tensor, confidences: Tensor, source: Source, rng: Rng
) -> tuple[Tensor, Tensor]:
    """Rays (B, T, 22, 2) with a detector's errors, and confidence (B, T, 22) with it.

    metre: (B, T, 22, 1) what a metre at the joint is in the rays.
    """
    count = len(rays)
    ramp = torch.linspace(0, 1, WINDOW)[None, :, None, None]
    ends = rng.normal(count, 2, COUNT, 2)
    drift = ends[:, :1] * (1 - ramp) + ends[:, 1:] * ramp
    steady = rng.normal(count, 1, COUNT, 2)
    # Errors grow as confidence falls, as measured: 14 mm at 0.98, 45 at 0.6, 70 at 0.2.
    doubt = 0.065 * (1 - confidences.clamp(0, 1))[..., None] ** 0.75
    doubt = torch.where(source.like_blazepose[:, None, None, None], doubt, torch.zeros(()))
    error = drift * _here(_WANDER)[:, None] + (0.8 * steady + 0.6 * drift) * doubt
    white = rng.normal(count, WINDOW, COUNT, 2) * _WHITE
    error = error + white * rng.uniform(count, 1, 1, 1, high=2)
    amount = source.amount[:, None, None, None]
    # Joints far off for a while, at unchanged confidence.
    start = rng.uniform(count, 1, COUNT, low=-0.5)
    inside = (ramp[..., 0] >= start) & (ramp[..., 0] < start + 0.5)
    wrong = inside & rng.chance(count, 1, COUNT, share=0.03) & (amount[..., 0] > 0)
    error = error * amount + wrong[..., None] * rng.normal(count, 1, COUNT, 2) * 0.12
    gone = inside & rng.chance(count, 1, COUNT, share=0.04)
    return rays + error * metre, torch.where(gone, torch.zeros(()), confidences)


def cut(
    rays: Tensor, metre: Tensor, confidences: Tensor, source: Source, rng: Rng
) -> tuple[Tensor, Tensor]:
    """Edges of the image that cut bodies off, mostly the lower one.

    What lies beyond is missing, or guessed badly by sources like BlazePose.
    """
    count = len(rays)
    middle = rays[:, WINDOW // 2]
    low, high = middle.amin(dim=1), middle.amax(dim=1)
    part = rng.uniform(count, 2, low=0.4, high=1.0)
    cropped = rng.uniform(count, 2) < torch.tensor([0.04, 0.2])
    edge = low + torch.where(cropped, part, torch.full_like(part, 9.0)) * (high - low)
    inside = (rays <= edge[:, None, None]).all(dim=-1)
    guesses = source.like_blazepose & ~source.no_toes & rng.chance(count, share=0.85)
    guessed = ~inside & guesses[:, None, None]
    ramp = torch.linspace(0, 1, WINDOW)[None, :, None, None]
    error = rng.normal(count, 1, COUNT, 2) + 0.3 * (ramp - 0.5) * rng.normal(count, 1, COUNT, 2)
    # Guesses of neighbouring joints go wrong together.
    error = 0.7 * error + 0.7 * rng.normal(count, 1, 1, 2)
    error = error * torch.tensor([0.5, 1.0])
    rays = rays + guessed[..., None] * error * _OUTSIDE * metre
    faint = torch.full_like(confidences, HINT)
    return rays, torch.where(inside, confidences, torch.where(guessed, faint, torch.zeros(())))


def available(source: Source) -> Tensor:
    """(B, 22) which joints the source has at all."""
    out = torch.ones(len(source.amount), COUNT)
    out[:, HIDDEN_SET] = torch.where(source.like_blazepose[:, None], 0.0, out[:, HIDDEN_SET])
    out[:, _BODY:] = torch.where(source.body_only[:, None], 0.0, out[:, _BODY:])
    toes = [INDEX['left_toe'], INDEX['right_toe']]
    out[:, toes] = torch.where(source.no_toes[:, None], 0.0, out[:, toes])
    return out
