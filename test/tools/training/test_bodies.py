# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

pytest.importorskip('torch')

import torch
from support.motion import standing

from pose3d_ros.tools.training.bodies import carry, vary
from pose3d_ros.tools.training.detector import INDEX
from pose3d_ros.tools.training.rng import Rng


def upright(count: int) -> torch.Tensor:
    """(B, T, 22, 3) z up, facing +y, left at -x."""
    body = standing(count) - torch.tensor([0, 0, 4.0])
    return torch.stack([-body[..., 0], -body[..., 2], -body[..., 1]], dim=-1)


def bones(body: torch.Tensor, a: str, b: str) -> torch.Tensor:
    return (body[:, :, INDEX[a]] - body[:, :, INDEX[b]]).norm(dim=-1)


def test_varied_bones_keep_their_length_in_a_window_and_match_in_both_sides() -> None:
    body = vary(upright(64), Rng(2))
    for a, b in (('hip', 'knee'), ('knee', 'ankle'), ('shoulder', 'elbow'), ('elbow', 'wrist')):
        left, right = (bones(body, f'{s}_{a}', f'{s}_{b}') for s in ('left', 'right'))
        assert float((left - left[:, :1]).abs().max()) < 1e-5
        assert float((left - right).abs().max()) < 1e-5
    lengths = bones(body, 'left_hip', 'left_knee')[:, 0]
    assert 0.03 < float(lengths.std() / lengths.mean()) < 0.2


def test_trunks_lean_forward_and_legs_stay() -> None:
    body = upright(4000)
    straight = torch.arange(4000) % 2 == 0
    out = carry(body, straight, Rng(1))
    legs = [INDEX[f'{s}_{j}'] for s in ('left', 'right') for j in ('hip', 'knee', 'ankle', 'toe')]
    assert torch.equal(out[:, :, legs], body[:, :, legs])
    forward = out[:, 0, INDEX['thorax'], 1]
    assert float(forward[straight].mean()) == pytest.approx(0, abs=0.005)
    assert float(forward[~straight].mean()) == pytest.approx(0.48 * 0.11, abs=0.006)
    ahead = (out[:, 0, INDEX['nose']] - out[:, 0, INDEX['thorax']])[:, 1]
    assert float(ahead[~straight].mean() - ahead[straight].mean()) > 0.02
