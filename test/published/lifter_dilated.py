# SPDX-License-Identifier: Apache-2.0
"""Temporal convolutions as the published programs run them over whole clips: dilated."""

from __future__ import annotations

from typing import Any


def clip(lifter: Any, x: Any) -> tuple[Any, ...]:
    """(B, 2 J, T) to (B, columns, 3 J), and (B, columns, 3) of the trajectory if there is one."""
    return tuple(head.conv(_body(body, x)).transpose(1, 2) for body, head in lifter._parts())


def _body(body: Any, x: Any) -> Any:
    """(B, 2 J, T) to (B, C, T - receptive field + 1)."""
    x = _layer(body.expand_conv, x)
    dilation = body.kernels[0]
    for kernel, block in zip(body.kernels[1:], body.tcn_blocks):
        pad = (kernel - 1) * dilation // 2
        shift = (kernel // 2) * dilation if body.causal else 0
        y = _layer(block.conv2[0], _layer(block.conv1[0], x, dilation))
        x = x[:, :, pad + shift : x.shape[2] - pad + shift] + y
        dilation *= kernel
    return x


def _layer(layer: Any, x: Any, dilation: int = 1) -> Any:
    import torch

    return torch.relu(layer.bn(torch.nn.functional.conv1d(x, layer.conv.weight, dilation=dilation)))


def clip_norms(body: Any, limit: float) -> None:
    """Scale down each convolution whose norm is over the limit, as training did each time."""
    import torch

    with torch.no_grad():
        for module in body.modules():
            if isinstance(module, torch.nn.Conv1d):
                norm = module.weight.norm()
                if norm > limit:
                    module.weight.mul_(limit / (norm + 1e-6))
