# SPDX-License-Identifier: Apache-2.0
"""pose-hg-3d, the variant with a ResNet (arXiv 1512.03385) and three deconvolutions (1804.06208).

Two 1x1 heads give heatmaps and depth maps of the 16 joints of MPII.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from ...errors import ModelError
from . import Family, Shape

SIDE = 256
JOINTS = 16
# Depth of the ResNet -> blocks of its four layers; bottlenecks from 50 on.
LAYERS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)


class _Block(nn.Module):
    """Residual block of two 3x3 convolutions, or of a 3x3 between two 1x1."""

    def __init__(self, inputs: int, width: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        outputs = width * (4 if bottleneck else 1)
        self.bottleneck = bottleneck
        if bottleneck:
            self.conv1, self.conv2 = _conv(inputs, width, 1), _conv(width, width, 3, stride)
            self.conv3, self.bn3 = _conv(width, outputs, 1), nn.BatchNorm2d(outputs)
        else:
            self.conv1, self.conv2 = _conv(inputs, width, 3, stride), _conv(width, width, 3)
        self.bn1, self.bn2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            shortcut = _conv(inputs, outputs, 1, stride)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Of the input's size over the stride."""
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.bottleneck:
            y = self.bn3(self.conv3(torch.relu(y)))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class Network(nn.Module):
    """(N, 3, 256, 256) normalised BGR -> heatmaps, depth maps, both (N, 16, 64, 64)."""

    def __init__(self, depth: int = 50) -> None:
        super().__init__()
        bottleneck = depth >= 50
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        channels = 64
        for k, count in enumerate(LAYERS[depth]):
            width = 64 << k
            blocks = []
            for index in range(count):
                stride = 2 if k and not index else 1
                blocks.append(_Block(channels, width, stride, bottleneck))
                channels = width * (4 if bottleneck else 1)
            setattr(self, f'layer{k + 1}', nn.Sequential(*blocks))
        layers: list[nn.Module] = []
        for _ in range(3):
            layers += [
                nn.ConvTranspose2d(channels, 256, 4, 2, 1, bias=False),
                nn.BatchNorm2d(256),
                nn.ReLU(),
            ]
            channels = 256
        self.deconv_layers = nn.Sequential(*layers)
        self.hm = nn.Conv2d(256, JOINTS, 1)
        self.depth = nn.Conv2d(256, JOINTS, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Both maps, without activation."""
        x = self.maxpool(torch.relu(self.bn1(self.conv1(image))))
        for k in range(1, 5):
            x = getattr(self, f'layer{k}')(x)
        x = self.deconv_layers(x)
        return self.hm(x), self.depth(x)


def resnet_of(shapes: Mapping[str, Shape]) -> int:
    """Depth of the ResNet that a checkpoint was made with; 50 where nothing tells."""
    blocks = tuple(
        len({key.split('.')[1] for key in shapes if key.startswith(f'layer{k}.')})
        for k in range(1, 5)
    )
    bottleneck = 'layer1.0.conv3.weight' in shapes
    for depth, layers in LAYERS.items():
        if layers == blocks and (depth >= 50) == bottleneck:
            return depth
    return 50


def _build(shapes: Mapping[str, Shape]) -> nn.Module:
    if 'hm.weight' in shapes and 'depth.weight' not in shapes:
        raise ModelError(
            'the checkpoint has no depth head (depth.weight): it is of the first stage of the '
            'training, 2D only; the final one is fusion_3d_var.pth'
        )
    return Network(resnet_of(shapes)).eval()


def examples(
    module: nn.Module, size: tuple[int, int] | None, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Input of the one size that the network has."""
    return {'image': rng.uniform(-2, 2, (1, 3, SIDE, SIDE)).astype(np.float32)}


FAMILY = Family(
    build=_build,
    examples=examples,
    inputs=('image',),
    outputs=('heatmaps', 'depth'),
    dynamic={name: {0: 'batch'} for name in ('image', 'heatmaps', 'depth')},
    ignored=('*.num_batches_tracked',),
    about={'input': 'BGR / 255, less (0.485, 0.456, 0.406), over (0.229, 0.224, 0.225)'},
)
