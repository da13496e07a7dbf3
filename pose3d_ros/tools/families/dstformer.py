# SPDX-License-Identifier: Apache-2.0
"""MotionBERT's DSTformer (Zhu et al., ICCV 2023): attention over joints and over time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

Shape = tuple[int, ...]
HEADS = 8


class _Attention(nn.Module):
    """Over the second to last axis of (..., N, D)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (width // heads) ** -0.5
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, N, D) to (B, N, D)."""
        batch, count, width = x.shape
        qkv = self.qkv(x).reshape(batch, count, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        weights = torch.softmax((q * self.scale) @ k.transpose(-1, -2), dim=-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(batch, count, width))


class _Block(nn.Module):
    """Attention and a small network over joints (s) and over frames (t)."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        for axis in ('s', 't'):
            self.add_module(f'norm1_{axis}', nn.LayerNorm(width, eps=1e-6))
            self.add_module(f'norm2_{axis}', nn.LayerNorm(width, eps=1e-6))
            self.add_module(f'attn_{axis}', _Attention(width, heads))
            mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
            self.add_module(f'mlp_{axis}', mlp)

    def over(self, axis: str, x: torch.Tensor) -> torch.Tensor:
        part = self._modules
        attention, norm1 = part[f'attn_{axis}'], part[f'norm1_{axis}']
        mlp, norm2 = part[f'mlp_{axis}'], part[f'norm2_{axis}']
        assert attention is not None
        assert norm1 is not None
        assert mlp is not None
        assert norm2 is not None
        _batch, _frames, _joints, width = x.shape
        y = x if axis == 's' else x.transpose(1, 2)
        shape = y.shape
        y = y.reshape(-1, shape[2], width)
        y = y + attention(norm1(y))
        y = y + mlp(norm2(y))
        y = y.reshape(shape)
        return y if axis == 's' else y.transpose(1, 2)


class _Backbone(nn.Module):
    def __init__(
        self, width: int, depth: int, heads: int, hidden: int, frames: int, joints: int, fuse: bool
    ) -> None:
        super().__init__()
        self.joints_embed = nn.Linear(3, width)
        self.temp_embed = nn.Parameter(torch.zeros(1, frames, 1, width))
        self.spat_embed = nn.Parameter(torch.zeros(1, joints, width))
        self.blocks_st = nn.ModuleList(_Block(width, heads, hidden) for _ in range(depth))
        self.blocks_ts = nn.ModuleList(_Block(width, heads, hidden) for _ in range(depth))
        self.fuse = fuse
        if fuse:
            self.attn_regress = nn.ModuleList(nn.Linear(2 * width, 2) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, F, J, 3) to (B, F, J, D)."""
        x = self.joints_embed(x) + self.spat_embed[:, None] + self.temp_embed[:, : x.shape[1]]
        for level, (first, second) in enumerate(zip(self.blocks_st, self.blocks_ts)):
            assert isinstance(first, _Block)
            assert isinstance(second, _Block)
            a = first.over('t', first.over('s', x))
            b = second.over('s', second.over('t', x))
            if self.fuse:
                share = torch.softmax(self.attn_regress[level](torch.cat([a, b], dim=-1)), dim=-1)
                x = a * share[..., :1] + b * share[..., 1:]
            else:
                x = (a + b) / 2
        normed: torch.Tensor = self.norm(x)
        return normed


class _Head(nn.Module):
    def __init__(self, width: int, representation: int) -> None:
        super().__init__()
        self.pre_logits = nn.Sequential()
        self.pre_logits.add_module('fc', nn.Linear(width, representation))
        self.fc = nn.Linear(representation, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.fc(torch.tanh(self.pre_logits(x)))
        return out


class DSTformer(nn.Module):
    """(B, F, 17, 3) x, y, confidence to (B, F, 17, 3)."""

    def __init__(
        self,
        width: int = 512,
        depth: int = 5,
        heads: int = HEADS,
        hidden: int = 1024,
        representation: int = 512,
        frames: int = 243,
        joints: int = 17,
        fuse: bool = True,
    ) -> None:
        super().__init__()
        self.backbone = _Backbone(width, depth, heads, hidden, frames, joints, fuse)
        self.head = _Head(width, representation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        out: torch.Tensor = self.head(self.backbone(x))
        return out


def build(shapes: Mapping[str, Shape], heads: int = HEADS) -> DSTformer:
    """From the shapes of a checkpoint; the number of heads does not show in them."""
    if not shapes:
        return DSTformer().eval()
    depth = 1 + max(
        int(key.split('.')[2]) for key in shapes if key.startswith('backbone.blocks_st.')
    )
    return DSTformer(
        width=shapes['backbone.joints_embed.weight'][0],
        depth=depth,
        heads=heads,
        hidden=shapes['backbone.blocks_st.0.mlp_s.0.weight'][0],
        representation=shapes['head.fc.weight'][1],
        frames=shapes['backbone.temp_embed'][1],
        joints=shapes['backbone.spat_embed'][1],
        fuse='backbone.attn_regress.0.weight' in shapes,
    ).eval()


def renamed(state: Mapping[str, Any]) -> dict[str, Any]:
    """Keys as MMPose writes them, from those of the authors' own program."""
    out = {}
    for key, value in state.items():
        key = key.removeprefix('module.')
        if not key.startswith(('backbone.', 'head.pre_logits.', 'head.fc.', 'data_preprocessor.')):
            if key.startswith('head.'):
                key = 'head.fc.' + key.removeprefix('head.')
            elif key.startswith('pre_logits.'):
                key = f'head.{key}'
            else:
                for old, new in (
                    ('pos_embed', 'spat_embed'),
                    ('ts_attn.', 'attn_regress.'),
                    ('mlp_s.fc1.', 'mlp_s.0.'),
                    ('mlp_s.fc2.', 'mlp_s.2.'),
                    ('mlp_t.fc1.', 'mlp_t.0.'),
                    ('mlp_t.fc2.', 'mlp_t.2.'),
                ):
                    key = key.replace(old, new)
                key = f'backbone.{key}'
        out[key] = value
    return out


def read(path: Path) -> dict[str, Any]:
    """Tensors of a file of MMPose or of the authors' program."""
    from .restricted import load_restricted

    content = load_restricted(path)
    return renamed(content.get('model_pos', content.get('state_dict', content)))
