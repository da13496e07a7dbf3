# SPDX-License-Identifier: Apache-2.0
"""VideoPose3D (Pavllo et al., CVPR 2019) and MMPose's SimpleBaseline3D: temporal convolutions.

One set of weights, three ways to run it: `forward` takes single windows (strided), `clip` whole
clips (dilated), `step` one new frame with the columns that came before.
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

    def run(self, x: torch.Tensor, stride: int = 1, dilation: int = 1) -> torch.Tensor:
        y = nn.functional.conv1d(x, self.conv.weight, stride=stride, dilation=dilation)
        return torch.relu(self.bn(y))


class _Block(nn.Module):
    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        # The published files count the parts of a sequence.
        self.conv1 = nn.Sequential(_ConvNorm(width, width, kernel))
        self.conv2 = nn.Sequential(_ConvNorm(width, width, 1))

    def run(self, x: torch.Tensor, stride: int = 1, dilation: int = 1) -> torch.Tensor:
        first, second = self.conv1[0], self.conv2[0]
        assert isinstance(first, _ConvNorm)
        assert isinstance(second, _ConvNorm)
        return second.run(first.run(x, stride, dilation))


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

    def clip_norms(self, limit: float) -> None:
        """Scale down each convolution whose norm is over the limit, as training did each time."""
        with torch.no_grad():
            for module in self.modules():
                if isinstance(module, nn.Conv1d):
                    norm = module.weight.norm()
                    if norm > limit:
                        module.weight.mul_(limit / (norm + 1e-6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 2 J, receptive field) to (B, C, 1)."""
        x = self.expand_conv.run(x, stride=self.kernels[0])
        for kernel, block in zip(self.kernels[1:], self.tcn_blocks):
            assert isinstance(block, _Block)
            first = 2 * (kernel // 2) if self.causal else kernel // 2
            x = x[:, :, first::kernel] + block.run(x, stride=kernel)
        return x

    def clip(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 2 J, T) to (B, C, T - receptive field + 1)."""
        x = self.expand_conv.run(x)
        dilation = self.kernels[0]
        for kernel, block in zip(self.kernels[1:], self.tcn_blocks):
            assert isinstance(block, _Block)
            pad = (kernel - 1) * dilation // 2
            shift = (kernel // 2) * dilation if self.causal else 0
            y = block.run(x, dilation=dilation)
            x = x[:, :, pad + shift : x.shape[2] - pad + shift] + y
            dilation *= kernel
        return x

    def step(
        self, frames: torch.Tensor, past: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The newest column of `clip`, (B, C), and what to remember.

        frames: (B, 2 J, k0), the newest last. past: for each block the columns (B, C, k - 1) of
        its input that its kernel touches beside the newest. Returned: that newest column, (B, C).
        """
        x = self.expand_conv.run(frames)
        new = []
        for kernel, block, before in zip(self.kernels[1:], self.tcn_blocks, past):
            assert isinstance(block, _Block)
            new.append(x[:, :, 0])
            columns = torch.cat([before, x], dim=2)
            middle = columns[:, :, -1:] if self.causal else columns[:, :, kernel // 2][:, :, None]
            x = middle + block.run(columns)
        return x[:, :, 0], new


class _Head(nn.Module):
    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, outputs, 1)


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
        out = tuple(head.conv(body(window))[:, :, 0] for body, head in self._parts())
        return out if self.trajectory else out[0]

    def clip(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, 2 J, T) to (B, columns, 3 J), and (B, columns, 3)."""
        return tuple(head.conv(body.clip(x)).transpose(1, 2) for body, head in self._parts())


class StepLifter(Lifter):
    """A lifter whose forward is one step: inputs frames and past_k, outputs joints, (root), new_k.

    Its weights keep their names.
    """

    def forward(self, frames: torch.Tensor, *past: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """frames: (B, 2 J, k0); past_k: (B, C, k - 1)."""
        outputs, columns, given = [], [], list(past)
        for body, head in self._parts():
            blocks = len(body.tcn_blocks)
            x, new = body.step(frames, given[:blocks])
            del given[:blocks]
            outputs.append(head.conv(x[:, :, None])[:, :, 0])
            columns += new
        return (*outputs, *columns)


def build(shapes: Mapping[str, Shape], causal: bool = False, kind: type[Lifter] = Lifter) -> Lifter:
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
    return kind(stem[1], stem[0], kernels, outputs, trajectory, causal).eval()


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
            kind, number, rest = key.split('.', 2)
            block, part = divmod(int(number), 2)
            inner = 'conv' if kind == 'layers_conv' else 'bn'
            key = f'{prefix}backbone.tcn_blocks.{block}.conv{part + 1}.0.{inner}.{rest}'
        out[key] = value
    return out


def read(path: Path) -> dict[str, Any]:
    """Tensors of a file of MMPose 0.x or 1.x, or of the authors' program with its trajectory."""
    from ._files import load_restricted

    content = load_restricted(path)
    if 'model_pos' in content:
        state = renamed(content['model_pos'])
        if content.get('model_traj') is not None:
            state.update(renamed(content['model_traj'], 'traj_'))
        return state
    return renamed(content.get('state_dict', content))


IGNORED = ('*.num_batches_tracked', 'data_preprocessor.*')
