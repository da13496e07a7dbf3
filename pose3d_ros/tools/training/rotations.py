# SPDX-License-Identifier: Apache-2.0
"""Rotations and axes of bodies for batches of PyTorch tensors."""

from __future__ import annotations

from typing import Any

import torch

Tensor = Any


def trunk_axes(across: Tensor, up: Tensor) -> Tensor:
    """(..., 3, 3) columns left, back, up of a trunk; across points from right to left."""
    left = torch.nn.functional.normalize(across, dim=-1)
    back = torch.nn.functional.normalize(torch.linalg.cross(up, left), dim=-1)
    return torch.stack([left, back, torch.linalg.cross(left, back)], dim=-1)


def rotation(vector: Tensor) -> Tensor:
    """(B, 3, 3) rotation matrices of (B, 3) rotation vectors (Rodrigues)."""
    angle = vector.norm(dim=-1, keepdim=True).clamp(min=1e-8)
    x, y, z = (vector / angle).unbind(-1)
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).reshape(-1, 3, 3)
    angle = angle[..., None]
    return torch.eye(3) + angle.sin() * skew + (1 - angle.cos()) * (skew @ skew)
