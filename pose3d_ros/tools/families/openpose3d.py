# SPDX-License-Identifier: Apache-2.0
"""Open Model Zoo's human-pose-estimation-3d-0001, with the state-dict keys of its checkpoint.

A MobileNet backbone, Lightweight OpenPose's two stages (arXiv 1811.12004), and a 3D stage whose
maps are read at the joints (arXiv 1712.03453).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from . import Family, Shape

HEATMAPS, PAFS, FEATURES = 19, 38, 57
NOMINAL = (448, 256)


def _conv(
    inputs: int,
    outputs: int,
    size: int = 3,
    *,
    bn: bool = False,
    relu: bool = True,
    dilation: int = 1,
) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, size, padding=dilation * (size // 2), dilation=dilation)
    ]
    if bn:
        layers.append(nn.BatchNorm2d(outputs))
    if relu:
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


def _separable(inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(
            inputs,
            inputs,
            3,
            stride,
            padding=dilation,
            dilation=dilation,
            groups=inputs,
            bias=False,
        ),
        nn.BatchNorm2d(inputs),
        nn.ReLU(),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def _separable_elu(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
        nn.ELU(),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.ELU(),
    )


class _Cpm(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.align = _conv(inputs, outputs, 1)
        self.trunk = nn.Sequential(*(_separable_elu(outputs) for _ in range(3)))
        self.conv = _conv(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.align(x)
        return self.conv(x + self.trunk(x))


def _head(inputs: int, inner: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(_conv(inputs, inner, 1), _conv(inner, outputs, 1, relu=False))


class _Stage(nn.Module):
    """A trunk and the heads of heat maps and PAFs."""

    def __init__(self, trunk: nn.Sequential, inner: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.heatmaps = _head(128, inner, HEATMAPS)
        self.pafs = _head(128, inner, PAFS)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.trunk(x)
        return self.heatmaps(x), self.pafs(x)


class _RefinementBlock(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.initial = _conv(inputs, 128, 1)
        self.trunk = nn.Sequential(_conv(128, 128, bn=True), _conv(128, 128, bn=True, dilation=2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.initial(x)
        return x + self.trunk(x)


class _ResidualBlock(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        width = inputs // 2
        self.align = _conv(inputs, 128, 1, bn=True) if inputs != 128 else nn.Identity()
        self.bottleneck = nn.Sequential(
            _conv(inputs, width, 1, bn=True),
            _conv(width, width, 3, bn=True),
            _conv(width, 128, 1, bn=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.align(x) + self.bottleneck(x)


class _Prediction(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(_RefinementBlock(128), _RefinementBlock(128))
        self.feature_maps = _head(128, 128, FEATURES)

    def forward(self, x: Tensor) -> Tensor:
        return self.feature_maps(self.trunk(x))


class _Pose3D(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(_ResidualBlock(inputs), *(_ResidualBlock(128) for _ in range(4)))
        self.prediction = _Prediction()

    def forward(self, x: Tensor) -> Tensor:
        return self.prediction(self.stem(x))


class Network(nn.Module):
    """Raw pixels (N, 3, H, W) BGR 0..255 to `features`, `heatmaps`, `pafs` at an eighth of it."""

    def __init__(self) -> None:
        super().__init__()
        # inputs, outputs, stride, dilation of the depth-wise separable stages
        stages = [(32, 64, 1, 1), (64, 128, 2, 1), (128, 128, 1, 1), (128, 256, 2, 1)]
        stages += [(256, 256, 1, 1), (256, 512, 1, 1), (512, 512, 1, 2)]
        stages += [(512, 512, 1, 1)] * 4
        first = nn.Sequential(
            nn.Conv2d(3, 32, 3, 2, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU()
        )
        self.model = nn.Sequential(first, *(_separable(*stage) for stage in stages))
        self.cpm = _Cpm(512, 128)
        self.initial_stage = _Stage(nn.Sequential(*(_conv(128, 128) for _ in range(3))), 512)
        wide = 128 + HEATMAPS + PAFS
        blocks = [_RefinementBlock(wide), *(_RefinementBlock(128) for _ in range(4))]
        self.refinement_stages = nn.ModuleList([_Stage(nn.Sequential(*blocks), 128)])
        self.Pose3D = _Pose3D(wide)

    def forward(self, data: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The three maps, raw."""
        backbone = self.cpm(self.model((data - 128.0) * (1 / 255)))
        heatmaps, pafs = self.initial_stage(backbone)
        for stage in self.refinement_stages:
            heatmaps, pafs = stage(torch.cat([backbone, heatmaps, pafs], dim=1))
        features = self.Pose3D(torch.cat([backbone, heatmaps, pafs], dim=1))
        return features, heatmaps, pafs


def _build(shapes: Mapping[str, Shape]) -> nn.Module:
    return Network().eval()


def _examples(
    module: nn.Module, size: tuple[int, int] | None, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    width, height = size or NOMINAL
    return {'data': rng.uniform(0, 255, (1, 3, height, width)).astype(np.float32)}


_MAPS = {0: 'batch', 2: 'map_height', 3: 'map_width'}

FAMILY = Family(
    build=_build,
    examples=_examples,
    inputs=('data',),
    outputs=('features', 'heatmaps', 'pafs'),
    dynamic={
        'data': {0: 'batch', 2: 'height', 3: 'width'},
        **dict.fromkeys(('features', 'heatmaps', 'pafs'), _MAPS),
    },
    ignored=('fake_conv_heatmaps.weight', 'fake_conv_pafs.weight', '*.num_batches_tracked'),
    about={'input': 'raw BGR 0..255'},
)
