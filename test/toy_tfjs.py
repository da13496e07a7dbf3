# SPDX-License-Identifier: Apache-2.0
"""A small TensorFlow.js graph model, with what real ones have, and what it computes."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np

RNG = np.random.default_rng(1)
KERNEL = RNG.normal(0, 0.02, (1, 1, 3, 4)).astype(np.float16)
BIAS = RNG.normal(size=4).astype(np.float32)
DEPTH = RNG.uniform(0.5, 1.5, (1, 1, 4, 1)).astype(np.float32)
SCALE, LOW = 0.01, -1.0
STEPS = np.array([0, 50, 100, 250], np.uint8)  # of the second bias, eight bits each
WEIGHTS = (KERNEL, BIAS, DEPTH, STEPS, np.array([1, -1, 4], np.int32))


def text(value: str) -> dict[str, str]:
    return {'s': base64.b64encode(value.encode()).decode()}


def convolution(op: str, name: str, inputs: list[str], fused: list[str]) -> dict[str, Any]:
    return {
        'name': name,
        'op': op,
        'input': inputs,
        'device': '/device:CPU:0',
        'attr': {
            'T': {'type': 'DT_FLOAT'},
            'strides': {'list': {'i': ['1', '1', '1', '1']}},
            'dilations': {'list': {'i': ['1', '1', '1', '1']}},
            'explicit_paddings': {'list': {}},
            'padding': text('SAME'),
            'data_format': text('NHWC'),
            'epsilon': {'f': 0.001},
            'use_cudnn_on_gpu': {'b': True},
            'num_args': {'i': '1'},
            'fused_ops': {'list': {'s': [text(step)['s'] for step in fused]}},
        },
    }


def constant(name: str, kind: str) -> dict[str, Any]:
    tensor = {'tensor': {'dtype': kind, 'tensorShape': {}}}
    return {'name': name, 'op': 'Const', 'attr': {'dtype': {'type': kind}, 'value': tensor}}


def model() -> dict[str, Any]:
    """model.json; the network takes (1, any, any, 3) int32."""
    any_size = {'dim': [{'size': '1'}, {'size': '-1'}, {'size': '-1'}, {'size': '3'}]}
    kinds = {'SrcT': {'type': 'DT_INT32'}, 'DstT': {'type': 'DT_FLOAT'}}
    wide = {'T': {'type': 'DT_FLOAT'}, 'Tshape': {'type': 'DT_INT64'}}
    nodes = [
        {
            'name': 'input',
            'op': 'Placeholder',
            'attr': {'dtype': {'type': 'DT_INT32'}, 'shape': {'shape': any_size}},
        },
        constant('kernel', 'DT_FLOAT'),
        constant('bias', 'DT_FLOAT'),
        constant('depth', 'DT_FLOAT'),
        constant('steps', 'DT_FLOAT'),
        constant('shape', 'DT_INT64'),
        {'name': 'cast', 'op': 'Cast', 'input': ['input'], 'attr': kinds},
        convolution('_FusedConv2D', 'a', ['cast', 'kernel', 'bias'], ['BiasAdd', 'Relu6']),
        convolution(
            'FusedDepthwiseConv2dNative', 'b', ['a', 'depth', 'steps'], ['BiasAdd', 'Relu']
        ),
        {'name': 'result', 'op': 'Reshape', 'input': ['b', 'shape'], 'attr': wide},
    ]
    weights = [
        {'name': 'kernel', 'shape': [1, 1, 3, 4], 'dtype': 'float32',
         'quantization': {'dtype': 'float16', 'original_dtype': 'float32'}},
        {'name': 'bias', 'shape': [4], 'dtype': 'float32'},
        {'name': 'depth', 'shape': [1, 1, 4, 1], 'dtype': 'float32'},
        {'name': 'steps', 'shape': [4], 'dtype': 'float32',
         'quantization': {'dtype': 'uint8', 'scale': SCALE, 'min': LOW}},
        {'name': 'shape', 'shape': [3], 'dtype': 'int32'},
    ]  # fmt: skip
    port = {'name': 'result:0', 'tensorShape': {'dim': [{'size': s} for s in ('1', '-1', '4')]}}
    return {
        'format': 'graph-model',
        'modelTopology': {'node': nodes, 'library': {}, 'versions': {}},
        'weightsManifest': [
            {'paths': ['a.bin'], 'weights': weights[:2]},
            {'paths': ['b.bin'], 'weights': weights[2:]},
        ],
        'signature': {'outputs': {'result:0': port}},
    }


def files() -> tuple[bytes, bytes, bytes]:
    """model.json and its two .bin files."""
    first = b''.join(w.tobytes() for w in WEIGHTS[:2])
    second = b''.join(w.tobytes() for w in WEIGHTS[2:])
    return json.dumps(model()).encode(), first, second


def result(image: np.ndarray) -> np.ndarray:
    """What the network makes of an image (1, H, W, 3)."""
    a = np.clip(image.astype(np.float32) @ KERNEL[0, 0].astype(np.float32) + BIAS, 0, 6)
    b = np.maximum(a * DEPTH[0, 0, :, 0] + (STEPS * np.float32(SCALE) + np.float32(LOW)), 0)
    return np.asarray(b.reshape(1, -1, 4))
