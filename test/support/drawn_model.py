# SPDX-License-Identifier: Apache-2.0
"""ONNX files that give drawn maps for any image: real files for real runtimes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def write(path: Path, maps: dict[str, np.ndarray], metadata: dict[str, str] | None = None) -> Path:
    """An ONNX network with input `data` (N, 3, H, W) and the maps, repeated N times."""
    initializers = [
        numpy_helper.from_array(values[None], f'constant_{name}') for name, values in maps.items()
    ]
    initializers += [
        numpy_helper.from_array(np.array([k], np.int64), f'number_{k}') for k in (0, 1)
    ]
    initializers.append(numpy_helper.from_array(np.ones(3, np.int64), 'ones'))
    nodes = [
        helper.make_node('Shape', ['data'], ['shape']),
        helper.make_node('Slice', ['shape', 'number_0', 'number_1'], ['count']),
        helper.make_node('Concat', ['count', 'ones'], ['repeats'], axis=0),
    ]
    outputs = []
    for name, values in maps.items():
        nodes.append(helper.make_node('Tile', [f'constant_{name}', 'repeats'], [name]))
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ['n', *values.shape]))
    data = helper.make_tensor_value_info('data', TensorProto.FLOAT, ['n', 3, 'h', 'w'])
    graph = helper.make_graph(nodes, 'drawn', [data], outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)])
    model.ir_version = 9
    for key, value in (metadata or {}).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.save(model, str(path))
    return path
