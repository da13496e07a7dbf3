# SPDX-License-Identifier: Apache-2.0
"""pose-hg-3d as in its paper (arXiv 1704.02447): two stacked hourglasses and a depth regression.

The published checkpoint is a pickled module; see `legacy_modules.read_module`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ...errors import ModelError
from . import Family, Shape
from .legacy_modules import read_module

SIDE = 256
JOINTS = 16
_STACKS, _DEPTH, _MODULES, _WIDTH = 2, 4, 2, 256


class _Residual(nn.Module):
    """Pre-activated bottleneck; the shortcut takes the raw input."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        self.bn, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, half, 1)
        self.bn1, self.conv2 = nn.BatchNorm2d(half), nn.Conv2d(half, half, 3, padding=1)
        self.bn2, self.conv3 = nn.BatchNorm2d(half), nn.Conv2d(half, outputs, 1)
        self.conv4 = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        """Of the input's size."""
        y = self.conv1(torch.relu(self.bn(x)))
        y = self.conv2(torch.relu(self.bn1(y)))
        y = self.conv3(torch.relu(self.bn2(y)))
        return y + (x if self.conv4 is None else self.conv4(x))


def _residuals() -> nn.ModuleList:
    return nn.ModuleList([_Residual(_WIDTH, _WIDTH) for _ in range(_MODULES)])


def _through(modules: nn.ModuleList, x: Tensor) -> Tensor:
    for module in modules:
        x = module(x)
    return x


class _Hourglass(nn.Module):
    def __init__(self, depth: int) -> None:
        super().__init__()
        self.innermost = depth == 1
        self.up1_, self.low1_ = _residuals(), _residuals()
        if self.innermost:
            self.low2_ = _residuals()
        else:
            self.low2 = _Hourglass(depth - 1)
        self.low3_ = _residuals()

    def forward(self, x: Tensor) -> Tensor:
        low = _through(self.low1_, functional.max_pool2d(x, 2))
        low = _through(self.low2_, low) if self.innermost else self.low2(low)
        low = _through(self.low3_, low)
        return _through(self.up1_, x) + functional.interpolate(low, scale_factor=2, mode='nearest')


class Network(nn.Module):
    """(N, 3, 256, 256) BGR / 256 -> heatmaps of both stacks (N, 16, 64, 64), depth (N, 16)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1_ = nn.Conv2d(3, 64, 7, 2, 3)
        self.bn1 = nn.BatchNorm2d(64)
        self.r1, self.r4 = _Residual(64, 128), _Residual(128, 128)
        self.r5 = _Residual(128, _WIDTH)
        self.hourglass = nn.ModuleList([_Hourglass(_DEPTH) for _ in range(_STACKS)])
        count = _STACKS * _MODULES
        self.Residual = nn.ModuleList([_Residual(_WIDTH, _WIDTH) for _ in range(count)])
        self.lin_ = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(_WIDTH, _WIDTH, 1), nn.BatchNorm2d(_WIDTH), nn.ReLU())
                for _ in range(_STACKS)
            ]
        )
        self.tmpOut = nn.ModuleList([nn.Conv2d(_WIDTH, JOINTS, 1) for _ in range(_STACKS)])
        self.ll_ = nn.ModuleList([nn.Conv2d(_WIDTH, _WIDTH, 1) for _ in range(_STACKS)])
        self.tmpOut_ = nn.ModuleList([nn.Conv2d(JOINTS, _WIDTH, 1) for _ in range(_STACKS)])
        self.reg_ = nn.ModuleList([_Residual(_WIDTH, _WIDTH) for _ in range(4 * _MODULES)])
        self.reg = nn.Linear(16 * _WIDTH, JOINTS)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Heatmaps of the first and the last stack, depths in -1..1."""
        x = self.r1(torch.relu(self.bn1(self.conv1_(image))))
        x = self.r5(self.r4(functional.max_pool2d(x, 2)))
        maps = []
        for k in range(_STACKS):
            y = self.hourglass[k](x)
            for module in range(_MODULES):
                y = self.Residual[k * _MODULES + module](y)
            y = self.lin_[k](y)
            maps.append(self.tmpOut[k](y))
            x = x + self.ll_[k](y) + self.tmpOut_[k](maps[-1])
        for k, module in enumerate(self.reg_):
            x = module(x)
            if k % _MODULES == _MODULES - 1:
                x = functional.max_pool2d(x, 2)
        return maps[0], maps[1], self.reg(x.flatten(1))


def _build(shapes: Mapping[str, Shape]) -> nn.Module:
    if 'tmpOut.0.weight' in shapes and 'reg.weight' not in shapes:
        raise ModelError(
            'the checkpoint has no depth head (reg.weight): it is a 2D hourglass; '
            'the one for 3D is hgreg-3d.pth'
        )
    return Network().eval()


def _examples(
    module: nn.Module, size: tuple[int, int] | None, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    return {'image': rng.uniform(0, 1, (1, 3, SIDE, SIDE)).astype(np.float32)}


def _read(path: Path) -> dict[str, Any]:
    return read_module(path, ('models',))


FAMILY = Family(
    build=_build,
    examples=_examples,
    inputs=('image',),
    outputs=('heatmaps1', 'heatmaps', 'depth'),
    dynamic={name: {0: 'batch'} for name in ('image', 'heatmaps1', 'heatmaps', 'depth')},
    ignored=('*.num_batches_tracked',),
    read=_read,
    about={'input': 'BGR / 256'},
)
