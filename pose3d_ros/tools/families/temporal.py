# SPDX-License-Identifier: Apache-2.0
"""VideoPose3D (Pavllo et al., CVPR 2019) and MMPose's SimpleBaseline3D: temporal convolutions.

One set of weights, two ways to run it: `forward` takes single windows (strided), `step` a few new
frames with the columns that came before. Both are made of matrix products with the batch norms
folded in: runtimes are quicker at them than at convolutions of one line, and can store such weights
in eight bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

Shape = tuple[int, ...]


class _ConvNorm(nn.Module):
    """Convolution without bias and batch norm; the ReLU is the caller's."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, bias=False)
        self.bn = nn.BatchNorm1d(outputs)

    def product(self, x: torch.Tensor) -> torch.Tensor:
        """(B, columns, kernel * inputs), the oldest first, to (B, columns, outputs)."""
        weight, bn = self.conv.weight, self.bn
        assert bn.running_mean is not None
        assert bn.running_var is not None
        scale = bn.weight / torch.sqrt(bn.running_var + bn.eps)
        matrix = (weight * scale[:, None, None]).permute(2, 1, 0).reshape(-1, weight.shape[0])
        out = torch.matmul(x, matrix) + (bn.bias - bn.running_mean * scale)
        # A ReLU by another name: OpenVINO takes the faster of its two products, by a third with
        # few rows, only where no ReLU follows that could be part of it.
        return torch.maximum(out, torch.zeros(1))


class _Block(nn.Module):
    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        # The published files count the parts of a sequence.
        self.conv1 = nn.Sequential(_ConvNorm(width, width, kernel))
        self.conv2 = nn.Sequential(_ConvNorm(width, width, 1))

    def product(self, x: torch.Tensor) -> torch.Tensor:
        """(B, columns, kernel * C) to (B, columns, C)."""
        first, second = self._parts()
        return second.product(first.product(x))

    def _parts(self) -> tuple[_ConvNorm, _ConvNorm]:
        first, second = self.conv1[0], self.conv2[0]
        assert isinstance(first, _ConvNorm)
        assert isinstance(second, _ConvNorm)
        return first, second


class Temporal(nn.Module):
    """The body: (B, 2 J, T) to (B, C, columns)."""

    def __init__(
        self, inputs: int, width: int, kernels: Sequence[int], causal: bool = False
    ) -> None:
        super().__init__()
        self.kernels, self.causal = tuple(kernels), causal
        self.expand_conv = _ConvNorm(inputs, width, kernels[0])
        self.tcn_blocks = nn.ModuleList(_Block(width, k) for k in kernels[1:])

    @property
    def receptive_field(self) -> int:
        """Frames that one output sees."""
        field = 1
        for kernel in self.kernels:
            field *= kernel
        return field

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 2 J, receptive field) to (B, C)."""
        columns = self.receptive_field // self.kernels[0]
        width = self.expand_conv.conv.weight.shape[0]
        x = x.transpose(1, 2).reshape(-1, columns, self.kernels[0] * x.shape[1])
        x = self.expand_conv.product(x)
        for kernel, block in zip(self.kernels[1:], self.tcn_blocks):
            assert isinstance(block, _Block)
            columns //= kernel
            taps = x.reshape(-1, columns, kernel * width)
            first = width * (2 * (kernel // 2) if self.causal else kernel // 2)
            x = taps[:, :, first : first + width] + block.product(taps)
        return x[:, 0]

    def step(
        self, frames: torch.Tensor, past: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The newest n columns of the whole clip, (B, n, C), and what to remember.

        frames: (B, k0 - 1 + n, 2 J), the newest last. past: for each block the older columns
        (B, (k - 1) m, C) of its input that its kernel touches, m = min(n, dilation) for each tap
        but the newest, the oldest first. Returned: its newest columns, (B, n, C) each.
        """
        count = frames.shape[1] - self.kernels[0] + 1
        x = torch.cat([frames[:, k : k + count] for k in range(self.kernels[0])], dim=2)
        x = self.expand_conv.product(x)
        new = []
        for kernel, block, before in zip(self.kernels[1:], self.tcn_blocks, past):
            assert isinstance(block, _Block)
            new.append(x)
            step = before.shape[1] // (kernel - 1)
            columns = torch.cat([before, x], dim=1)
            taps = [columns[:, k * step : k * step + count] for k in range(kernel)]
            x = taps[-1 if self.causal else kernel // 2] + block.product(torch.cat(taps, dim=2))
        return x, new


class _Head(nn.Module):
    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, outputs, 1)

    def product(self, x: torch.Tensor) -> torch.Tensor:
        """(..., C) to (..., outputs)."""
        assert self.conv.bias is not None
        return torch.matmul(x, self.conv.weight[:, :, 0].T) + self.conv.bias


class Lifter(nn.Module):
    """Body and head, and a second pair for the trajectory where the file has one."""

    def __init__(
        self,
        inputs: int,
        width: int,
        kernels: Sequence[int],
        outputs: int,
        trajectory: bool = False,
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = Temporal(inputs, width, kernels, causal)
        self.head = _Head(width, outputs)
        self.trajectory = trajectory
        if trajectory:
            self.traj_backbone = Temporal(inputs, width, kernels, causal)
            self.traj_head = _Head(width, 3)

    def _parts(self) -> list[tuple[Temporal, _Head]]:
        parts = [(self.backbone, self.head)]
        return [*parts, (self.traj_backbone, self.traj_head)] if self.trajectory else parts

    def forward(self, window: torch.Tensor) -> Any:
        """(B, 2 J, receptive field) to joints (B, 3 J), and the root (B, 3) if there is one."""
        out = tuple(head.product(body(window)) for body, head in self._parts())
        return out if self.trajectory else out[0]


class StepLifter(Lifter):
    """A lifter whose forward is a step: inputs frames and past_k, outputs joints, (root), new_k.

    Its weights keep their names.
    """

    def forward(self, frames: torch.Tensor, *past: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Frames and past_k as in Temporal.step; joints (B, n, 3 J), root (B, n, 3)."""
        outputs, columns, states = [], [], list(past)
        for body, head in self._parts():
            blocks = len(body.tcn_blocks)
            x, new = body.step(frames, states[:blocks])
            del states[:blocks]
            outputs.append(head.product(x))
            columns += new
        return (*outputs, *columns)


def build(
    shapes: Mapping[str, Shape], causal: bool = False, lifter_class: type[Lifter] = Lifter
) -> Lifter:
    """From the shapes of a checkpoint; without any, 243 frames of 17 joints, 1024 wide."""
    prefix = 'backbone.'
    stem = shapes.get(f'{prefix}expand_conv.conv.weight', (1024, 34, 3))
    kernels = [stem[2]]
    k = 0
    while f'{prefix}tcn_blocks.{k}.conv1.0.conv.weight' in shapes:
        kernels.append(shapes[f'{prefix}tcn_blocks.{k}.conv1.0.conv.weight'][2])
        k += 1
    if not shapes:
        kernels = [3] * 5
    outputs = shapes.get('head.conv.weight', (51,))[0]
    trajectory = 'traj_head.conv.weight' in shapes
    return lifter_class(stem[1], stem[0], kernels, outputs, trajectory, causal).eval()


def renamed(state: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
    """Keys as MMPose 1.x writes them, from those of 0.x or of the authors' own program."""
    out = {}
    for key, value in state.items():
        key = key.removeprefix('module.')
        if key.startswith('keypoint_head.'):
            key = 'head.' + key.removeprefix('keypoint_head.')
        elif key.startswith('shrink.'):
            key = f'{prefix}head.conv.' + key.removeprefix('shrink.')
        elif key.startswith('expand_bn.'):
            key = f'{prefix}backbone.expand_conv.bn.' + key.removeprefix('expand_bn.')
        elif key.startswith('expand_conv.'):
            key = f'{prefix}backbone.expand_conv.conv.' + key.removeprefix('expand_conv.')
        elif key.startswith(('layers_conv.', 'layers_bn.')):
            layer, number, rest = key.split('.', 2)
            block, part = divmod(int(number), 2)
            inner = 'conv' if layer == 'layers_conv' else 'bn'
            key = f'{prefix}backbone.tcn_blocks.{block}.conv{part + 1}.0.{inner}.{rest}'
        out[key] = value
    return out


def read(path: Path) -> dict[str, Any]:
    """Tensors of a file of MMPose 0.x or 1.x, or of the authors' program with its trajectory."""
    from .restricted import load_restricted

    content = load_restricted(path)
    if 'model_pos' in content:
        state = renamed(content['model_pos'])
        if content.get('model_traj') is not None:
            state.update(renamed(content['model_traj'], 'traj_'))
        return state
    return renamed(content.get('state_dict', content))


IGNORED = ('*.num_batches_tracked', 'data_preprocessor.*')
