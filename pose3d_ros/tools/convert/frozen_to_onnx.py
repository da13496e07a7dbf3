# SPDX-License-Identifier: Apache-2.0
"""Frozen TensorFlow graphs to ONNX with tf2onnx, for runtimes that read no TensorFlow.

Needs `pip install "pose3d_ros[tensorflow]"`; OpenVINO reads the graphs as they are.
"""

from __future__ import annotations

import os
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ...backends import NetworkSpec, Port, RuntimeOptions, load_network
from ...errors import ModelError
from ...zoo.graphdef import RANDOM_MARK, Node, read_graph

OPSET = 15
TOLERANCE_MM = 0.5
"""Largest difference between the two files on random input. Half precision inside: ten times."""


def convert(source: Path, target: Path) -> float:
    """Write an ONNX file with the graph's result and the volume that it is decoded from.

    Returns the largest difference to the graph itself in OpenVINO, millimetres; NaN if OpenVINO is
    not installed. Raises ModelError; then nothing is left behind.
    """
    missing = [name for name in ('tf2onnx', 'tensorflow') if find_spec(name) is None]
    if missing:
        raise ModelError(
            f'converting {source.name} needs {" and ".join(missing)}: '
            'pip install "pose3d_ros[tensorflow]"'
        )
    nodes = read_graph(source)
    inputs = [name for name, node in nodes.items() if node.op == 'Placeholder']
    results = [name for name in ('output', 'pred') if name in nodes]
    layers = [name for name, node in nodes.items() if node.op == 'BiasAdd']
    if len(inputs) != 1 or not results or not layers:
        raise ModelError(f'{source} has no result named output or pred: not a MeTRo graph')
    try:
        model = _translated(source, f'{inputs[0]}:0', [f'{results[0]}:0', f'{layers[-1]}:0'])
    except Exception as error:
        # tf2onnx and TensorFlow raise whatever comes up.
        raise ModelError(f'{source.name} cannot be converted: {error}') from error
    if RANDOM_MARK in nodes:
        entry = model.metadata_props.add()
        entry.key, entry.value = RANDOM_MARK, 'random'
    try:
        with tempfile.TemporaryDirectory('.part', f'.{target.stem}.', target.parent) as folder:
            part = Path(folder) / target.name
            part.write_bytes(model.SerializeToString())
            error_mm = _difference(source, part, nodes[inputs[0]], results[0])
            half = any(node.op == 'Cast' for node in nodes.values())
            if error_mm > TOLERANCE_MM * (10 if half else 1):
                raise ModelError(f'the conversion of {source.name} is off by {error_mm:.2f} mm')
            part.replace(target)
    except OSError as error:
        raise ModelError(f'cannot write {target}: {error.strerror or error}') from error
    return error_mm


def _translated(source: Path, image: str, outputs: list[str]) -> Any:
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
    import tensorflow as tf
    import tf2onnx

    graph = tf.compat.v1.GraphDef()
    graph.ParseFromString(source.read_bytes())
    model, _ = tf2onnx.convert.from_graph_def(
        graph, input_names=[image], output_names=outputs, opset=OPSET
    )
    return model


def _difference(source: Path, made: Path, image: Node, result: str) -> float:
    """Between the graph in OpenVINO and the ONNX file in ONNX Runtime, or in OpenVINO too."""
    if find_spec('openvino') is None:
        return float('nan')
    shape = tuple(image.shape or ())
    random = np.random.default_rng(0).uniform(0, 1, (2, *(size or 1 for size in shape[1:])))
    results = []
    for path in (source, made):
        port = f'{result}:0' if path is source else ''
        spec = NetworkSpec(path, {'image': Port(shape)}, {'joints': Port((None, None, 3), port)})
        backend = 'onnxruntime' if path is made and find_spec('onnxruntime') else 'openvino'
        device = 'cpu' if backend == 'onnxruntime' else 'CPU'
        options = RuntimeOptions(device=device, allow_random_weights=True)
        network = load_network(spec, options, backend)
        results.append(network({'image': random.astype(np.float32)})['joints'])
    return float(np.abs(results[0] - results[1]).max())
