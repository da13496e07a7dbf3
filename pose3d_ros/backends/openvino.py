# SPDX-License-Identifier: Apache-2.0
"""OpenVINO: TensorFlow Lite, ONNX, IR and frozen TensorFlow graphs on CPU, GPU and NPU."""

from __future__ import annotations

import logging
import os
import queue
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset8 as ops
from openvino.preprocess import ColorFormat, PrePostProcessor

from ..errors import BackendError, ModelError
from . import NetworkSpec, RuntimeOptions, Tensors, check_weights, match_ports

log = logging.getLogger(__name__)

_PRECISION = {'f32': 'f32', 'bf16': 'bf16', 'f16': 'f16', 'int8': 'f32'}
_CAPABILITY = {'bf16': 'BF16', 'f16': 'FP16', 'int8': 'INT8'}
_WITHOUT_LOW_PRECISION = ('sse41', 'avx', 'avx2', 'avx2_vnni')
_WEIGHTED = ('Convolution', 'GroupConvolution', 'MatMul')
_SMALL = 1 << 17  # weights of a matrix below which eight bits save nothing worth an error
_GROUP = 32  # values that share a scale, of what is multiplied with weights of eight bits
_COMPOUND = ('AUTO', 'HETERO', 'MULTI', 'BATCH')


@lru_cache(maxsize=1)
def _core() -> Any:
    return ov.Core()


def load(spec: NetworkSpec, options: RuntimeOptions) -> _OpenVINONetwork:
    """Compile a file for a device; see `backends.load_network`."""
    device = _device(options)
    precision = _precision(device, options.precision)
    model = _read(spec)
    metadata = check_weights(spec, options, _metadata(model))
    model = _with_pixels(spec, model)
    inputs = match_ports(spec, spec.inputs, model.inputs, _described, 'input')
    _fix_sizes(spec, model, inputs)
    if precision == 'int8' and 'CPU' in device:
        _in_eight_bits(model)
    outputs = match_ports(spec, spec.outputs, model.outputs, _described, 'output')
    sources = _sources(spec, outputs)
    lowered = precision in ('bf16', 'f16')
    try:
        if options.precision == 'mixed' and lowered and spec.heads:
            stages = _split(spec, model, inputs, sources, precision)
        else:
            graph = ov.Model(list(sources.values()), model.get_parameters(), spec.path.stem)
            stages = [_Stage(graph, list(inputs), list(sources), precision)]
        for stage in stages:
            stage.compile(device, options, spec.batched)
    except RuntimeError as error:
        raise BackendError(
            f'{spec.path.name} cannot be compiled for {device} in {precision}: {_first_line(error)}'
        ) from error
    reported = 'mixed' if len(stages) > 1 else precision
    return _OpenVINONetwork(spec, stages, device, reported, metadata)


def ports(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Shapes of inputs and outputs by name; see `backends.ports_of`."""
    model = _read(NetworkSpec(path, {}, {}))
    inputs = {port.any_name: tuple(_shape(port)) for port in model.inputs}
    return inputs, {port.any_name: tuple(_shape(port)) for port in model.outputs}


class _Stage:
    """A part of a network, compiled in one precision; roles in the order of its ports.

    compiled: for a single item, and for any number of them. A free batch size costs a CPU up to a
    millisecond per run, so that one person, the usual case, has a program of its own.
    """

    def __init__(self, model: Any, inputs: list[str], outputs: list[str], precision: str) -> None:
        self.model, self.inputs, self.outputs, self.precision = model, inputs, outputs, precision
        self.types = [port.get_element_type().to_dtype() for port in model.inputs]
        self.compiled: dict[bool, Any] = {}

    def compile(self, device: str, options: RuntimeOptions, batched: bool) -> None:
        settings: dict[str, Any] = {
            'INFERENCE_PRECISION_HINT': _PRECISION[self.precision],
            'PERFORMANCE_HINT': 'LATENCY',
        }
        # Compound devices take only what all of their parts know.
        if device == 'CPU':
            # Threads that are tied to a core wait for whoever else is busy there.
            settings['ENABLE_CPU_PINNING'] = False
            if options.threads:
                settings['INFERENCE_NUM_THREADS'] = options.threads
        if self.precision == 'int8' and device == 'CPU':
            settings['DYNAMIC_QUANTIZATION_GROUP_SIZE'] = _GROUP
        if options.cache_dir is not None:
            settings['CACHE_DIR'] = str(options.cache_dir)
        for many in (False, True) if batched else (False,):
            if batched:
                for parameter in self.model.get_parameters():
                    shape = ov.PartialShape(parameter.get_partial_shape())
                    shape[0] = ov.Dimension() if many else ov.Dimension(1)
                    parameter.set_partial_shape(shape)
                self.model.validate_nodes_and_infer_types()
            self.compiled[many] = _core().compile_model(self.model, device, settings)


class _OpenVINONetwork:
    """One or two compiled stages run one after the other."""

    backend = 'openvino'

    def __init__(
        self,
        spec: NetworkSpec,
        stages: list[_Stage],
        device: str,
        precision: str,
        metadata: Mapping[str, str],
    ) -> None:
        self.device, self.precision, self.metadata = device, precision, metadata
        self._spec, self._stages = spec, stages
        # One set of requests per call under way, kept apart for single items and batches.
        self._idle: dict[bool, queue.SimpleQueue[list[Any]]] = {
            many: queue.SimpleQueue() for many in stages[0].compiled
        }
        self._threads = ThreadPoolExecutor(4, thread_name_prefix=spec.path.stem)

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> Tensors:
        many = self._spec.batched and len(next(iter(inputs.values()))) > 1
        try:
            requests = self._idle[many].get_nowait()
        except queue.Empty:
            requests = [stage.compiled[many].create_infer_request() for stage in self._stages]
        tensors: dict[str, NDArray[Any]] = dict(inputs)
        try:
            for stage, request in zip(self._stages, requests):
                fed = self._feed(stage, request, tensors)
                request.infer()
                del fed  # the runtime reads these arrays where they are, until here
                self._collect(stage, request, tensors)
        except RuntimeError as error:
            raise BackendError(
                f'inference of {self._spec.path.name} on {self.device} failed: {_first_line(error)}'
            ) from error
        self._idle[many].put(requests)
        return {role: tensors[role] for role in (*self._spec.outputs, *self._spec.inner)}

    def submit(self, inputs: Mapping[str, NDArray[Any]]) -> Future[Tensors]:
        # The runtime lets go of the interpreter lock while it computes, so a thread is enough.
        return self._threads.submit(self, inputs)

    @staticmethod
    def _feed(
        stage: _Stage, request: Any, tensors: Mapping[str, NDArray[Any]]
    ) -> list[NDArray[Any]]:
        """Hand over the inputs without a copy; what is returned must live as long as the run."""
        arrays = [
            np.ascontiguousarray(tensors[role], dtype=dtype)
            for role, dtype in zip(stage.inputs, stage.types)
        ]
        for index, array in enumerate(arrays):
            request.set_input_tensor(index, ov.Tensor(array, shared_memory=True))
        return arrays

    @staticmethod
    def _collect(stage: _Stage, request: Any, tensors: dict[str, NDArray[Any]]) -> None:
        for index, role in enumerate(stage.outputs):
            tensors[role] = request.get_output_tensor(index).data.copy()


def _read(spec: NetworkSpec) -> Any:
    try:
        return _core().read_model(str(spec.path))
    except RuntimeError as error:
        raise ModelError(
            f'{spec.path} cannot be read as a model (damaged or not a '
            f'{spec.path.suffix} file): {_first_line(error)}'
        ) from error


def input_shapes(path: Path) -> dict[str, list[int | None]]:
    """Shape of each input of a file; see `backends.input_shapes`."""
    ports = _read(NetworkSpec(path, {}, {})).inputs
    return {port.any_name if port.names else str(k): _shape(port) for k, port in enumerate(ports)}


def metadata_of(path: Path) -> dict[str, str]:
    """What a file says of itself; see `backends.metadata_of`."""
    return _metadata(_read(NetworkSpec(path, {}, {})))


def _metadata(model: Any) -> dict[str, str]:
    """Our own entries, of an IR or of an ONNX file."""
    metadata = {}
    for section, prefix in (('framework', ''), ('pose3d', 'pose3d.')):
        if model.has_rt_info(section):
            for key in model.get_rt_info(section).astype(dict):
                if (prefix + key).startswith('pose3d.'):
                    metadata[prefix + key] = model.get_rt_info([section, key]).astype(str)
    return metadata


def _fix_sizes(spec: NetworkSpec, model: Any, inputs: Mapping[str, Any]) -> None:
    """Give open axes the sizes that the estimator named: fixed sizes compile to faster code."""
    shapes = {}
    for role, port in inputs.items():
        shape = ov.PartialShape(port.get_partial_shape())
        wanted = spec.inputs[role].shape
        if shape.rank.is_dynamic or all(size is None for size in wanted):
            continue
        for axis, size in enumerate(wanted):
            if size is not None:
                shape[axis] = ov.Dimension(size)
        shapes[port] = shape
    if any(port.get_partial_shape() != shape for port, shape in shapes.items()):
        model.reshape(shapes)


def _in_eight_bits(model: Any) -> None:
    """Store the weights of matrix products as eight bits and a scale for each output.

    Products of few rows wait for their weights to be read from memory. Files that somebody has
    quantised are left as they are.
    """
    nodes = model.get_ops()
    if any(node.get_type_name() == 'FakeQuantize' for node in nodes):
        return
    for node in nodes:
        if node.get_type_name() != 'MatMul':
            continue
        source = node.input_value(1).get_node()
        if source.get_type_name() == 'Convert':
            source = source.input_value(0).get_node()
        if source.get_type_name() != 'Constant':
            continue
        element_type = source.get_element_type()
        if element_type not in (ov.Type.f32, ov.Type.f16) or len(source.shape) != 2:
            continue
        weights = np.asarray(source.data, np.float32)
        if weights.size < _SMALL:
            continue
        axis = 1 if node.get_attributes()['transpose_b'] else 0
        scale = np.maximum(np.abs(weights).max(axis=axis, keepdims=True), 1e-12) / 127
        integers = ops.convert(ops.constant(np.rint(weights / scale).astype(np.int8)), 'f32')
        scaled = ops.multiply(integers, ops.constant(scale.astype(np.float32)))
        node.input(1).replace_source_output(scaled.output(0))


def _with_pixels(spec: NetworkSpec, model: Any) -> Any:
    """The model with its image inputs made of bytes, which its first layers then read."""
    images = {role: port for role, port in spec.inputs.items() if port.image}
    if not images:
        return model
    ports = match_ports(
        spec, {r: port.in_file for r, port in images.items()}, model.inputs, _described, 'input'
    )
    steps = PrePostProcessor(model)
    for role, port in images.items():
        assert port.image is not None
        item = steps.input(model.inputs.index(ports[role]))
        item.tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout('NHWC'))
        item.tensor().set_color_format(ColorFormat.BGR)
        item.model().set_layout(ov.Layout('NCHW' if port.image.planar else 'NHWC'))
        if port.image.rgb:
            item.preprocess().convert_color(ColorFormat.RGB)
        item.preprocess().convert_element_type(ov.Type.f32)
        if (port.image.mean, port.image.scale) != (0.0, 1.0):
            item.preprocess().mean(port.image.mean).scale(port.image.scale)
    return steps.build()


def _described(port: Any) -> tuple[list[str], list[int | None]]:
    return sorted(port.get_names()), _shape(port)


def _shape(port: Any) -> list[int | None]:
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic:
        return []
    return [None if size.is_dynamic else size.get_length() for size in shape]


def _sources(spec: NetworkSpec, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Where each role's tensor comes from, those inside the network too."""
    sources = {role: port.get_node().input_value(0) for role, port in outputs.items()}
    for role, output in spec.inner.items():
        layer = _last_weighted(spec, role, sources[output].get_node())
        users = [target.get_node() for target in layer.output(0).get_target_inputs()]
        biased = len(users) == 1 and users[0].get_type_name() == 'Add'
        sources[role] = (users[0] if biased else layer).output(0)
    return sources


def _split(
    spec: NetworkSpec, model: Any, inputs: Mapping[str, Any], sources: dict[str, Any], low: str
) -> list[_Stage]:
    """Front in low precision, the last weighted layer of each head in f32.

    The activations at the cut leave the front unrounded, which is what saves the heads.
    """
    cuts: dict[str, Any] = {}
    roles: dict[str, str] = {}
    exact = [*spec.heads, *(role for role, output in spec.inner.items() if output in spec.heads)]
    for role in exact:
        activation = _last_weighted(spec, role, sources[role].get_node()).input_value(0)
        name = activation.get_node().get_friendly_name()
        cuts[name], roles[role] = activation, name
    rest = [role for role in sources if role not in exact]
    front = ov.Model(
        [*cuts.values(), *(sources[role] for role in rest)],
        model.get_parameters(),
        f'{spec.path.stem}_front',
    )
    # A second reading, because one graph cannot serve two models once it is cut.
    other = _read(spec)
    again = _sources(spec, match_ports(spec, spec.outputs, other.outputs, _described, 'output'))
    parameters: dict[str, Any] = {}
    heads = []
    for role in exact:
        source = again[role]
        layer = _last_weighted(spec, role, source.get_node())
        name = roles[role]
        if name not in parameters:
            shape = layer.input_value(0).get_partial_shape()
            parameters[name] = ops.parameter(shape, np.float32, name=name)
        layer.input(0).replace_source_output(parameters[name].output(0))
        heads.append(source)
    back = ov.Model(heads, list(parameters.values()), f'{spec.path.stem}_heads')
    return [
        _Stage(front, list(inputs), [*cuts, *rest], low),
        _Stage(back, list(parameters), exact, 'f32'),
    ]


def _last_weighted(spec: NetworkSpec, role: str, node: Any) -> Any:
    while node.get_type_name() not in _WEIGHTED:
        if node.get_type_name() in ('Parameter', 'Constant') or not node.inputs():
            raise ModelError(f'{spec.path.name}: {role} has no weighted layer to keep in f32')
        node = node.input_value(0).get_node()
    return node


def devices() -> list[str]:
    """Devices that this machine offers."""
    return [str(name) for name in _core().available_devices]


def _device(options: RuntimeOptions) -> str:
    """The device in OpenVINO's spelling; BackendError lists the available ones."""
    device = options.device.upper().replace('VPU', 'NPU')
    plugin, _, parts = device.partition(':')
    present = devices()
    if plugin in _COMPOUND:
        missing = [p for p in parts.split(',') if p and not _present(p.split('(')[0], present)]
        if plugin in ('HETERO', 'MULTI') and not parts:
            raise BackendError(f'device {options.device}: name its parts, as in {plugin}:GPU,CPU')
    else:
        missing = [] if _present(device, present) else [device]
    if not missing:
        return device
    text = f'device {options.device} is not available to OpenVINO; available: {", ".join(present)}'
    if not options.device_fallback:
        raise BackendError(text)
    log.warning('%s; using CPU', text)
    return 'CPU'


def _present(device: str, present: Sequence[str]) -> bool:
    return any(device in (name, name.split('.')[0]) for name in present)


def _precision(device: str, wanted: str) -> str:
    """What to compute in; `mixed` becomes the low precision of the device, f32 if it has none."""
    first = device.split(':')[-1].split(',')[0] if ':' in device else device
    first = 'CPU' if first == 'AUTO' else first
    able = _capabilities(first)
    if wanted == 'mixed':
        return next((low for low in ('bf16', 'f16') if _CAPABILITY[low] in able), 'f32')
    if wanted != 'f32' and _CAPABILITY[wanted] not in able:
        raise BackendError(
            f'device {device} does not compute in {wanted}; it offers {", ".join(able)}'
        )
    return wanted


def _capabilities(device: str) -> list[str]:
    """Number formats that a device computes in, in OpenVINO's words."""
    try:
        able = list(_core().get_property(device, 'OPTIMIZATION_CAPABILITIES'))
    except RuntimeError:
        return ['FP32']
    # The CPU's kernels keep to this variable of oneDNN's; what OpenVINO lists does not.
    limit = os.environ.get('ONEDNN_MAX_CPU_ISA') or os.environ.get('DNNL_MAX_CPU_ISA', '')
    if device == 'CPU' and limit.lower() in _WITHOUT_LOW_PRECISION:
        able = [name for name in able if name not in ('BF16', 'FP16')]
    return able


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    details = [line for line in lines if not line.startswith(('Exception from', 'Check '))]
    return (details or lines or [type(error).__name__])[0][:300]
