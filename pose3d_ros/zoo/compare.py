# SPDX-License-Identifier: Apache-2.0
"""Whether two files of one network say the same, each in the runtime that it is meant for."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..backends import NetworkSpec, Port, RuntimeOptions, available, load_network, ports_of
from ..errors import ModelError

TOLERANCE = 1e-3
"""Largest difference, in standard deviations of an output; MoveNet 1e-6, NanoDet 3e-5 measured."""
MAY_DIFFER = 0.05
"""Share of the numbers that may differ more: of two equal peaks, each runtime may take another."""
_SIZE = {1: 192, 2: 256}  # of an image whose size is free, by its axis


def compare(graph: Path, onnx: Path) -> float:
    """Compare a frozen graph in OpenVINO with its ONNX file in ONNX Runtime, on one random image.

    Returns the largest difference of those that may not differ; NaN where one of the runtimes is
    not installed. Raises ModelError if it is over the tolerance.
    """
    if not {'openvino', 'onnxruntime'} <= set(available()):
        return float('nan')
    inputs, outputs = ports_of(graph)
    ((name, shape),) = inputs.items()
    fixed = tuple(size or _SIZE.get(axis, 1) for axis, size in enumerate(shape))
    coarse = np.random.default_rng(0).uniform(0, 255, [-(-size // 8) for size in fixed[1:]])
    image = np.kron(coarse, np.ones((8, 8, 8)))[None][tuple(slice(size) for size in fixed)]
    if fixed[1] == 3:  # planes are normalised ones, by the habit of networks
        image = (image - 127.5) / 60
    results = []
    for path, backend, device in ((graph, 'openvino', 'CPU'), (onnx, 'onnxruntime', 'cpu')):
        spec = NetworkSpec(
            path,
            {'image': Port(fixed, name)},
            {output: Port(tuple(sizes), output) for output, sizes in outputs.items()},
            batched=False,
        )
        network = load_network(spec, RuntimeOptions(device=device), backend)
        results.append(network({'image': image.astype(np.float32)}))
    errors = [
        np.quantile(np.abs(results[1][output] - value), 1 - MAY_DIFFER) / max(value.std(), 1e-9)
        for output, value in results[0].items()
    ]
    worst = float(max(errors))
    if not worst <= TOLERANCE:
        raise ModelError(
            f'{onnx.name} differs from {graph.name} by {worst:.2g} standard deviations, allowed: '
            f'{TOLERANCE:g}'
        )
    return worst
