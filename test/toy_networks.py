# SPDX-License-Identifier: Apache-2.0
"""A network of one layer to convert."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from pose3d_ros.tools.families import Family


class Toy(nn.Module):
    """One convolution at half the size, normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 2, padding=1)
        self.bn = nn.BatchNorm2d(4)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.bn(self.conv(image))
        return x, x.mean(dim=(2, 3))


TOY = Family(
    build=lambda shapes: Toy().eval(),
    examples=lambda module, size, rng: {
        'image': rng.random((1, 3, *(size or (40, 32))[::-1]), np.float32)
    },
    inputs=('image',),
    outputs=('map', 'mean'),
    dynamic={
        'image': {0: 'batch', 2: 'height', 3: 'width'},
        'map': {0: 'batch', 2: 'map_height', 3: 'map_width'},
        'mean': {0: 'batch'},
    },
    ignored=('aux.*', '*.num_batches_tracked'),
    about={'input': 'anything'},
)
FAMILY = TOY


def weights() -> dict[str, torch.Tensor]:
    """Trained ones, as it were."""
    torch.manual_seed(5)
    state = Toy().state_dict()
    state['bn.running_mean'] += 0.2
    return {k: v for k, v in state.items() if not k.endswith('num_batches_tracked')}
