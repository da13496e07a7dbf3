# SPDX-License-Identifier: Apache-2.0
"""Input and output of the package's own lifter, alike in training and in use.

A window of 9 frames of one person, 0.1 s apart. Points are rays x/z, y/z of a camera; the network
sees them from a virtual camera that looks straight at the person, divided by the person's extent,
so that neither the place in the image nor the distance changes the picture, and is told where the
person was (bearing, extent, and whether the focal length is known).
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from ...skeleton import SKELETONS

WINDOW = 9
RATE = 10.0
BODY = SKELETONS['cmu_22']
JOINTS = BODY.names
COUNT = len(JOINTS)
MEANINGS = tuple(BODY.by_meaning)
HIDDEN_SET = [0, 7, 8, 9, 10]
"""Joints that detectors of COCO's kind do not give: pelvis, spine, thorax, neck, head."""
CHANNELS = 3 * COUNT + 4
OUTPUTS = 6 * COUNT
MIRROR = list(BODY.mirror)
"""Joint on the other side of each."""
HINT = 0.03
"""Confidence of joints that a source guesses beyond the image's edge, or hardly believes in."""
_LIMIT = 4.0
_SEEN = 0.1  # confidence from which on a joint says where a person is


def encode(
    rays: Any, confidence: Any, calibrated: Any, xp: ModuleType = np
) -> tuple[Any, Any, Any]:
    """Features (B, T, 70), rotation (B, 3, 3) into the virtual camera, and usable (B,).

    rays: (B, T, 22, 2), anything where unseen. confidence: (B, T, 22), 0: unseen. calibrated:
    (B,) 1 where the camera is. xp: numpy or torch, whose arrays these are.
    """
    rays = xp.where(confidence[..., None] > 0, rays, xp.zeros_like(rays))
    middle = xp.where(
        confidence[:, WINDOW // 2] >= _SEEN, xp.ones_like(confidence[:, 0]), 0 * confidence[:, 0]
    )
    count = middle.sum(-1)
    total = xp.where(count < 1, xp.ones_like(count), count)
    centre = (rays[:, WINDOW // 2] * middle[..., None]).sum(-2) / total[:, None]
    turn = look_at(centre, xp)
    # Directions seen from the virtual camera; the mask keeps those behind it out.
    x, y = rays[..., 0], rays[..., 1]
    t = [[turn[:, i, j, None, None] for j in range(3)] for i in range(3)]
    z = t[2][0] * x + t[2][1] * y + t[2][2]
    front = confidence * (z > 0.05)
    z = xp.where(z > 0.05, z, xp.ones_like(z))
    u = (t[0][0] * x + t[0][1] * y + t[0][2]) / z * (front > 0)
    v = (t[1][0] * x + t[1][1] * y + t[1][2]) / z * (front > 0)
    square = ((u[:, WINDOW // 2] ** 2 + v[:, WINDOW // 2] ** 2) * middle).sum(-1) / total
    extent = xp.sqrt(xp.clip(square, 1e-6, None))
    scale = extent[:, None, None]
    points = xp.stack([u / scale, v / scale], -1)
    points = xp.clip(points, -_LIMIT, _LIMIT)
    batch, frames = rays.shape[:2]
    scalars = xp.stack([centre[:, 0], centre[:, 1], xp.log(extent) + 2.5, calibrated], -1)
    scalars = xp.broadcast_to(scalars[:, None], (batch, frames, 4))
    flat = points.reshape(batch, frames, 2 * COUNT)
    features = xp.concatenate([flat, front, scalars], -1)
    return features, turn, count >= 4


def look_at(centre: Any, xp: ModuleType = np) -> Any:
    """(B, 3, 3) rotation from a camera to one that looks along rays (B, 2) without rolling."""
    cx, cy = centre[:, 0], centre[:, 1]
    one, zero = xp.ones_like(cx), xp.zeros_like(cx)
    flat = xp.sqrt(cx**2 + one)
    length = xp.sqrt(cx**2 + cy**2 + one)
    x = xp.stack([one / flat, zero, -cx / flat], -1)
    z = xp.stack([cx / length, cy / length, one / length], -1)
    y = xp.stack([-cx * cy / (flat * length), flat / length, -cy / (flat * length)], -1)
    return xp.stack([x, y, z], -2)


def decode(output: Any, turn: Any) -> tuple[Any, Any]:
    """Network output (B, 132) to joints (B, 22, 3) metres about the pelvis in the camera's axes,
    and their covariance (B, 22, 3, 3) square metres. NumPy only.
    """
    output = np.asarray(output, float).reshape(len(output), 2, COUNT, 3)
    xyz = output[:, 0] - output[:, 0, :1]
    variance = np.exp(2 * output[:, 1])
    joints = xyz @ turn
    covariance = np.einsum('bia,bji,bic->bjac', turn, variance, turn)
    return joints, covariance


def with_mirror(rays: Any, confidence: Any) -> tuple[Any, Any]:
    """Windows (B, T, 22, 2) and (B, T, 22), followed by their mirror images. NumPy only."""
    flipped = rays[:, :, MIRROR] * np.array([-1.0, 1.0])
    return np.concatenate([rays, flipped]), np.concatenate([confidence, confidence[:, :, MIRROR]])


def without_mirror(joints: Any, covariance: Any) -> tuple[Any, Any]:
    """(B, 22, 3) and (B, 22, 3, 3), means of (2 B, ...) as `with_mirror` orders them."""
    half = len(joints) // 2
    sign = np.array([-1.0, 1.0, 1.0])
    other = joints[half:, MIRROR] * sign
    spread = covariance[half:, MIRROR] * sign[:, None] * sign
    return (joints[:half] + other) / 2, (covariance[:half] + spread) / 2


def with_rolls(rays: Any, confidence: Any) -> tuple[Any, Any]:
    """Windows (B, T, 22, 2) and (B, T, 22) as cameras rolled to either side see them, (2 B, ...).

    NumPy only.
    """
    turned = [rays @ roll[:2, :2].T for roll in _ROLLS]
    return np.concatenate(turned), np.concatenate([confidence, confidence])


def without_rolls(joints: Any, covariance: Any) -> tuple[Any, Any]:
    """(B, 22, 3) and (B, 22, 3, 3), means of (2 B, ...) as `with_rolls` orders them."""
    half = len(joints) // 2
    parts = [(roll, slice(k * half, (k + 1) * half)) for k, roll in enumerate(_ROLLS)]
    mean = sum(joints[part] @ roll for roll, part in parts) / len(parts)
    spread = sum(roll.T @ covariance[part] @ roll for roll, part in parts) / len(parts)
    return mean, spread


def _roll(degrees: float) -> Any:
    """(3, 3) rotation about the optical axis."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


_ROLLS = (_roll(8.0), _roll(-8.0))
"""Views whose mean errs less than one."""
