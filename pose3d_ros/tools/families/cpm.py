# SPDX-License-Identifier: Apache-2.0
"""Convolutional Pose Machines (arXiv 1602.00134) of Lifting from the Deep: person and pose.

Keys of the state dictionary are TensorFlow's variable names with dots for slashes; weights are
(out, in, kh, kw).
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
from .tf_checkpoint import read_variables

_POOLED = ('conv1_2', 'conv2_2', 'conv3_4')


class _Layer(nn.Module):
    """A convolution under the names that TensorFlow gave."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(outputs, inputs, kernel, kernel))
        self.biases = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Of the input's size."""
        return functional.conv2d(x, self.weights, self.biases, padding=self.weights.shape[2] // 2)


class _Machine(nn.Module):
    """Features G, a first map, and stages that take the last maps, G and what else there is."""

    def __init__(
        self, trunk: list[tuple[str, int]], head: str, maps: int, stages: int, extra: int
    ) -> None:
        super().__init__()
        self.trunk, self.head, self.stages = [name for name, _ in trunk], head, stages
        channels = 3
        for name, outputs in trunk:
            setattr(self, name, _Layer(channels, outputs, 3))
            channels = outputs
        setattr(self, f'{head}_1_CPM', _Layer(channels, 512, 1))
        setattr(self, f'{head}_2_CPM', _Layer(512, maps, 1))
        for stage in range(2, stages + 1):
            width = maps + channels + extra
            for k in range(1, 6):
                setattr(self, f'Mconv{k}_stage{stage}', _Layer(width, 128, 7))
                width = 128
            setattr(self, f'Mconv6_stage{stage}', _Layer(128, 128, 1))
            setattr(self, f'Mconv7_stage{stage}', _Layer(128, maps, 1))

    def run(self, image: Tensor, extra: tuple[Tensor, ...]) -> list[Tensor]:
        """The maps of every stage."""
        x = image
        for name in self.trunk:
            x = torch.relu(getattr(self, name)(x))
            if name in _POOLED:
                x = functional.max_pool2d(x, 2)
        first = torch.relu(getattr(self, f'{self.head}_1_CPM')(x))
        out = [getattr(self, f'{self.head}_2_CPM')(first)]
        for stage in range(2, self.stages + 1):
            y = torch.cat([out[-1], x, *extra], dim=1)
            for k in range(1, 7):
                y = torch.relu(getattr(self, f'Mconv{k}_stage{stage}')(y))
            out.append(getattr(self, f'Mconv7_stage{stage}')(y))
        return out


_TRUNK = [
    ('conv1_1', 64), ('conv1_2', 64), ('conv2_1', 128), ('conv2_2', 128),
    *((f'conv3_{k}', 256) for k in range(1, 5)),
]  # fmt: skip


class Person(_Machine):
    """(N, 3, H, W) RGB / 255 - 0.5 -> (N, 1, H/8, W/8) where people are."""

    def __init__(self) -> None:
        more = [*((f'conv4_{k}', 512) for k in range(1, 5)), ('conv5_1', 512), ('conv5_2_CPM', 128)]
        super().__init__(_TRUNK + more, 'conv6', 1, 4, 0)

    def forward(self, image: Tensor) -> Tensor:
        """The map of the last stage."""
        return self.run(image, ())[-1]


class Pose(_Machine):
    """(N, 3, 368, 368) RGB / 255 - 0.5 and a centre map -> joints, background (N, 15, 46, 46)."""

    def __init__(self) -> None:
        more = [('conv4_1', 512), ('conv4_2', 512)]
        more += [(f'conv4_{k}_CPM', 256) for k in range(3, 7)] + [('conv4_7_CPM', 128)]
        super().__init__(_TRUNK + more, 'conv5', 15, 6, 1)

    def forward(self, image: Tensor, centre_map: Tensor) -> tuple[Tensor, Tensor]:
        """The maps of the first and the last stage."""
        maps = self.run(image, (pooled(centre_map),))
        return maps[0], maps[-1]


def pooled(centre_map: Tensor) -> Tensor:
    """(N, 1, h, w) means of 9x9 every 8 pixels; what is outside does not count."""
    x = functional.pad(centre_map, (0, 1, 0, 1))
    inside = functional.pad(torch.ones_like(centre_map), (0, 1, 0, 1))
    return functional.avg_pool2d(x, 9, 8) / functional.avg_pool2d(inside, 9, 8)


def state_of(variables: Mapping[str, np.ndarray], network: str) -> dict[str, Any]:
    """State dictionary of CPM/<network>/ out of TensorFlow's variables, without optimiser slots."""
    prefix = f'CPM/{network}/'
    state = {}
    for name, value in variables.items():
        if not name.startswith(prefix) or name.rpartition('/')[2] not in ('weights', 'biases'):
            continue
        array = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value
        key = name.removeprefix(prefix).replace('/', '.')
        state[key] = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
    if not state:
        raise ModelError(f'the checkpoint has no variables {prefix}...')
    return state


def _family(network: str, module_class: type[_Machine]) -> Family:
    pose = module_class is Pose

    def build(shapes: Mapping[str, Shape]) -> nn.Module:
        return (Pose if pose else Person)().eval()

    def read(path: Path) -> dict[str, Any]:
        return state_of(read_variables(path), network)

    def examples(
        module: nn.Module, size: tuple[int, int] | None, rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        width, height = (size or (368, 368)) if not pose else (368, 368)
        inputs = {'image': rng.uniform(-0.5, 0.5, (1, 3, height, width)).astype(np.float32)}
        if pose:
            inputs['centre_map'] = rng.uniform(0, 1, (1, 1, height, width)).astype(np.float32)
        return inputs

    if pose:
        outputs: tuple[str, ...] = ('first', 'maps')
        names = ('image', 'centre_map', *outputs)
        dynamic: dict[str, Mapping[int, str]] = {name: {0: 'batch'} for name in names}
    else:
        outputs = ('people',)
        dynamic = {
            'image': {0: 'batch', 2: 'height', 3: 'width'},
            'people': {0: 'batch', 2: 'map_height', 3: 'map_width'},
        }
    return Family(
        build=build,
        examples=examples,
        inputs=('image', 'centre_map') if pose else ('image',),
        outputs=outputs,
        dynamic=dynamic,
        read=read,
        prefixes=(),
        about={'input': 'RGB / 255 - 0.5'},
    )


PERSON, POSE = _family('PersonNet', Person), _family('PoseNet', Pose)
