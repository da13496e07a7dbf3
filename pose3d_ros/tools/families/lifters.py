# SPDX-License-Identifier: Apache-2.0
"""Families of the 2D-to-3D lifters: VideoPose3D, SimpleBaseline3D, MotionBERT.

Each VideoPose3D has two: its strided form for single windows, and a step for streams.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import Family, Shape, dstformer, temporal

_WIDTH = 1024


def _videopose3d(
    kernels: Sequence[int],
    *,
    trajectory: bool = False,
    causal: bool = False,
    step: bool = False,
    joints: int = 17,
) -> Family:
    blocks = (len(kernels) - 1) * (2 if trajectory else 1)
    pasts = tuple(f'past_{k}' for k in range(blocks)) if step else ()
    heads = ('joints', 'root') if trajectory else ('joints',)
    inputs = ('frames', *pasts) if step else ('window',)
    outputs = (*heads, *(f'new_{k}' for k in range(blocks))) if step else heads

    def build(shapes: Mapping[str, Shape]) -> Any:
        lifter_class = temporal.StepLifter if step else temporal.Lifter
        # Only the width and the joints come from the file: another depth is another model.
        width, channels = shapes.get('backbone.expand_conv.conv.weight', (_WIDTH, 34, 3))[:2]
        outputs = shapes.get('head.conv.weight', (3 * joints,))[0]
        return lifter_class(channels, width, kernels, outputs, trajectory, causal).eval()

    def examples(module: Any, size: tuple[int, int] | None, rng: Any) -> dict[str, Any]:
        body = module.backbone
        channels = body.expand_conv.conv.weight.shape[1]
        first, width = kernels[0], body.expand_conv.conv.weight.shape[0]
        # Two new frames, since the tracing of one would not show that it follows their number.
        shape = (1, first + 1, channels) if step else (1, channels, body.receptive_field)
        made = {inputs[0]: rng.normal(0, 0.3, shape).astype(np.float32)}
        for name, kernel in zip(pasts, list(kernels[1:]) * 2):
            past = np.abs(rng.normal(0, 0.3, (1, 2 * (kernel - 1), width)))
            made[name] = past.astype(np.float32)
        return made

    free: dict[str, dict[int, str]] = {name: {0: 'batch'} for name in (*inputs, *outputs)}
    if step:
        free['frames'][1] = 'frames'
        for name in pasts:
            free[name][1] = name
        for name in outputs:
            free[name][1] = 'columns'

    return Family(
        build=build,
        examples=examples,
        inputs=inputs,
        outputs=outputs,
        dynamic=free,
        ignored=temporal.IGNORED,
        read=temporal.read,
        about={'kernels': ','.join(map(str, kernels)), 'causal': str(causal).lower()},
    )


def _motionbert_examples(module: Any, size: tuple[int, int] | None, rng: Any) -> dict[str, Any]:
    frames, joints = 27, module.backbone.spat_embed.shape[1]
    points = rng.normal(0, 0.4, (1, frames, joints, 3)).astype(np.float32)
    return {'window': points}


MOTIONBERT = Family(
    build=dstformer.build,
    examples=_motionbert_examples,
    inputs=('window',),
    outputs=('joints',),
    dynamic={'window': {0: 'batch', 1: 'frames'}, 'joints': {0: 'batch', 1: 'frames'}},
    ignored=('data_preprocessor.*',),
    read=dstformer.read,
)
SIMPLEBASELINE3D = _videopose3d((1, 1, 1), joints=16)
VIDEOPOSE3D_1 = _videopose3d((1,) * 5)
VIDEOPOSE3D_27 = _videopose3d((3,) * 3)
VIDEOPOSE3D_27_STEP = _videopose3d((3,) * 3, step=True)
VIDEOPOSE3D_27_SEMI = _videopose3d((3,) * 3, trajectory=True)
VIDEOPOSE3D_27_SEMI_STEP = _videopose3d((3,) * 3, trajectory=True, step=True)
VIDEOPOSE3D_81 = _videopose3d((3,) * 4)
VIDEOPOSE3D_81_STEP = _videopose3d((3,) * 4, step=True)
VIDEOPOSE3D_243 = _videopose3d((3,) * 5)
VIDEOPOSE3D_243_STEP = _videopose3d((3,) * 5, step=True)
VIDEOPOSE3D_243_CAUSAL = _videopose3d((3,) * 5, causal=True)
VIDEOPOSE3D_243_CAUSAL_STEP = _videopose3d((3,) * 5, causal=True, step=True)
