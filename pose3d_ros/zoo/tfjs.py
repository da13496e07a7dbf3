# SPDX-License-Identifier: Apache-2.0
"""TensorFlow.js graph models become frozen graphs and ONNX files, without TensorFlow.

model.json holds a GraphDef as JSON (`modelTopology`) and a list of the weights (`weightsManifest`),
which lie one after the other in .bin files and belong into the constants of the same names.
Format: github.com/tensorflow/tfjs, tfjs-converter and tfjs-core/src/io/types.ts.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from . import graph_to_onnx, graphdef

# Operations with their bias and activation in one, which OpenVINO's reader does not take.
_FUSED = {'_FusedConv2D': 'Conv2D', 'FusedDepthwiseConv2dNative': 'DepthwiseConv2dNative'}
_CONVOLUTION = ('T', 'strides', 'padding', 'data_format', 'dilations', 'explicit_paddings')
_ACTIVATIONS = ('Relu', 'Relu6')
_DTYPES = {'float32': np.float32, 'int32': np.int32, 'bool': np.bool_}
_CODES = {
    'DT_FLOAT': graphdef.FLOAT, 'DT_DOUBLE': graphdef.DOUBLE, 'DT_INT32': graphdef.INT32,
    'DT_STRING': graphdef.STRING, 'DT_INT64': graphdef.INT64, 'DT_BOOL': graphdef.BOOL,
    'DT_HALF': graphdef.HALF,
}  # fmt: skip


def convert(model: Path, weights: Sequence[Path], graph: Path, onnx: Path) -> None:
    """Write the frozen graph and the ONNX file of a model.json and its .bin files, in order.

    Raises ModelError if the files do not belong together or hold what is not known here, OSError.
    """
    try:
        content = json.loads(model.read_text(encoding='utf-8'))
        arrays = _weights(content['weightsManifest'], b''.join(p.read_bytes() for p in weights))
        nodes = {node.name: node for node in _nodes(content['modelTopology']['node'], arrays)}
        signature = content['signature']['outputs'].values()
        results = {
            str(port['name']).partition(':')[0]: _shape(port['tensorShape']) for port in signature
        }
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise ModelError(
            f'{model.name} cannot be read as a TensorFlow.js graph model: '
            f'{type(error).__name__} {error}'
        ) from error
    graphdef.write_graph(graph, nodes.values())
    graph_to_onnx.convert(nodes, onnx, dict(sorted(results.items())))


def _shape(raw: Mapping[str, Any]) -> list[int | None]:
    sizes = [int(dim['size']) for dim in raw.get('dim', ())]
    return [None if size < 0 else size for size in sizes]


def _weights(manifest: Sequence[Mapping[str, Any]], data: bytes) -> dict[str, NDArray[Any]]:
    """Arrays by name."""
    arrays, place = {}, 0
    for group in manifest:
        for item in group['weights']:
            dtype = np.dtype(_DTYPES[item['dtype']])
            quantization = item.get('quantization', {})
            stored = np.dtype(quantization.get('dtype', dtype)).newbyteorder('<')
            count = int(np.prod(item['shape'], dtype=np.int64))
            array = np.frombuffer(data, stored, count, place)
            place += array.nbytes
            if 'scale' in quantization:
                array = array * np.float32(quantization['scale']) + np.float32(quantization['min'])
            arrays[item['name']] = array.astype(dtype).reshape(item['shape'])
    if place != len(data):
        raise ValueError(f'the weights have {len(data)} bytes, the manifest {place}')
    return arrays


def _nodes(
    topology: Sequence[Mapping[str, Any]], arrays: Mapping[str, NDArray[Any]]
) -> Iterator[graphdef.Node]:
    for item in topology:
        name, op = str(item['name']), str(item['op'])
        raw = item.get('attr', {})
        if op == 'Const':
            dtype = graphdef.TYPES[_CODES[raw['dtype']['type']]]
            # The format has no integers of eight bytes and stores them as four.
            yield graphdef.constant(name, arrays[name].astype(dtype))
            continue
        attributes = {key: _attribute(value) for key, value in raw.items()}
        node = graphdef.Node(name, op, tuple(item.get('input', ())), attributes)
        if op in _FUSED:
            yield from _split(node, [base64.b64decode(s) for s in raw['fused_ops']['list']['s']])
        else:
            yield node


def _split(node: graphdef.Node, fused: Sequence[bytes]) -> Iterator[graphdef.Node]:
    """A fused convolution in its parts; the last one has its name."""
    steps = [step.decode() for step in fused]
    if steps[:1] != ['BiasAdd'] or len(steps) > 2 or not set(steps[1:]) <= set(_ACTIVATIONS):
        raise ValueError(f'{node.name}: unknown fused operations {", ".join(steps)}')
    image, kernel, bias = node.inputs
    kept = {key: node.attributes[key] for key in _CONVOLUTION if key in node.attributes}
    dtype, layout = kept['T'], kept['data_format']
    convolved, biased = f'{node.name}/convolution', f'{node.name}/bias'
    yield graphdef.Node(convolved, _FUSED[node.op], (image, kernel), kept)
    attributes = {'T': dtype, 'data_format': layout}
    if len(steps) == 1:
        yield graphdef.Node(node.name, 'BiasAdd', (convolved, bias), attributes)
    else:
        yield graphdef.Node(biased, 'BiasAdd', (convolved, bias), attributes)
        yield graphdef.Node(node.name, steps[1], (biased,), {'T': dtype})


def _attribute(value: Mapping[str, Any]) -> bytes:
    """AttrValue of its JSON form."""
    ((field, content),) = value.items()
    if field == 'type':
        return graphdef.of_type(_CODES[content])
    if field == 'i':
        return graphdef.of_integer(int(content))
    if field == 'f':
        return graphdef.of_number(float(content))
    if field == 'b':
        return graphdef.of_flag(bool(content))
    if field == 's':
        return graphdef.of_text(base64.b64decode(content))
    if field == 'shape':
        return graphdef.of_shape([-1 if s is None else s for s in _shape(content)])
    if field == 'list' and set(content) <= {'i'}:
        return graphdef.of_integers([int(i) for i in content.get('i', ())])
    if field == 'list' and set(content) == {'s'}:
        return graphdef.of_texts([base64.b64decode(s) for s in content['s']])
    raise ValueError(f'unknown attribute {field} {content!r}')
