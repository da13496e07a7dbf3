# SPDX-License-Identifier: Apache-2.0
"""What the processor of this machine can do, found by trying."""

from __future__ import annotations

import numpy as np
import openvino as ov
from openvino import opset8 as ops


def has_bf16() -> bool:
    """Whether a convolution compiles in bfloat16: not without AVX-512, and not if that is off."""
    core = ov.Core()
    if 'BF16' not in core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES'):
        return False
    image = ops.parameter([1, 8, 16, 16], np.float32)
    kernel = np.ones((8, 8, 3, 3), np.float32)
    out = ops.convolution(image, kernel, [1, 1], [0, 0], [0, 0], [1, 1])
    try:
        core.compile_model(ov.Model([out], [image]), 'CPU', {'INFERENCE_PRECISION_HINT': 'bf16'})
    except RuntimeError:
        return False
    return True
