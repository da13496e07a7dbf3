# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime: ONNX files through its execution providers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from ..errors import BackendError, ModelError
from . import NetworkSpec, RuntimeOptions, Tensors, check_weights, match_ports

log = logging.getLogger(__name__)

# Device of the setting -> execution provider, and the options that set a precision there.
PROVIDERS: dict[str, str] = {
    'cpu': 'CPUExecutionProvider',
    'cuda': 'CUDAExecutionProvider',
    'tensorrt': 'TensorrtExecutionProvider',
    'openvino': 'OpenVINOExecutionProvider',
    'rocm': 'ROCMExecutionProvider',
    'coreml': 'CoreMLExecutionProvider',
    'dml': 'DmlExecutionProvider',
}
_PRECISION: dict[tuple[str, str], dict[str, Any]] = {
    ('tensorrt', 'f16'): {'trt_fp16_enable': True},
    ('tensorrt', 'bf16'): {'trt_bf16_enable': True},
    ('tensorrt', 'int8'): {'trt_int8_enable': True},
    ('openvino', 'f16'): {'precision': 'FP16'},
    ('openvino', 'f32'): {'precision': 'FP32'},
    ('cuda', 'f32'): {'use_tf32': 0},
}
_TYPES = {
    'tensor(float)': np.float32,
    'tensor(float16)': np.float16,
    'tensor(int32)': np.int32,
    'tensor(int64)': np.int64,
    'tensor(uint8)': np.uint8,
}


def load(spec: NetworkSpec, options: RuntimeOptions) -> _OnnxRuntimeNetwork:
    """Make a session of a file; see `backends.load_network`."""
    device = _device(options)
    # This runtime lowers no precision by itself, so `mixed` is as exact as f32.
    precision = 'f32' if options.precision == 'mixed' else options.precision
    extra = _PRECISION.get((device, precision), {})
    if precision != 'f32' and not extra:
        able = sorted({p for d, p in _PRECISION if d == device} | {'f32'})
        raise BackendError(
            f'ONNX Runtime on {device} does not compute in {precision}; it offers {", ".join(able)}'
        )
    settings = ort.SessionOptions()
    settings.log_severity_level = 3
    if options.threads:
        settings.intra_op_num_threads = options.threads
    if options.cache_dir is not None and device == 'tensorrt':
        extra = {
            **extra,
            'trt_engine_cache_enable': True,
            'trt_engine_cache_path': str(options.cache_dir),
        }
    providers: list[Any] = [(PROVIDERS[device], extra)]
    if device != 'cpu':
        providers.append(PROVIDERS['cpu'])
    try:
        session = ort.InferenceSession(str(spec.path), settings, providers=providers)
    except Exception as error:
        # The runtime has a family of exceptions without a common base of its own.
        raise ModelError(
            f'{spec.path} cannot be loaded by ONNX Runtime (damaged or not an ONNX file): '
            f'{str(error).splitlines()[0][:300]}'
        ) from error
    if PROVIDERS[device] not in session.get_providers():
        text = f'device {options.device} failed to start in ONNX Runtime'
        if not options.device_fallback:
            raise BackendError(f'{text}; its libraries are missing or do not match')
        log.warning('%s; using cpu', text)
        device = 'cpu'
    check_weights(spec, options, session.get_modelmeta().custom_metadata_map)
    return _OnnxRuntimeNetwork(spec, session, device, precision)


def ports(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Shapes of inputs and outputs by name; see `backends.ports_of`."""
    try:
        session = ort.InferenceSession(str(path), providers=[PROVIDERS['cpu']])
    except Exception as error:
        raise ModelError(f'{path} cannot be read: {str(error).splitlines()[0][:300]}') from error
    inputs = {port.name: tuple(_shape(port)) for port in session.get_inputs()}
    return inputs, {port.name: tuple(_shape(port)) for port in session.get_outputs()}


class _OnnxRuntimeNetwork:
    """A session, its ports known by role."""

    backend = 'onnxruntime'

    def __init__(self, spec: NetworkSpec, session: Any, device: str, precision: str) -> None:
        self.device, self.precision = device, precision
        self._spec, self._session = spec, session
        metadata = session.get_modelmeta().custom_metadata_map
        self.metadata: Mapping[str, str] = {
            key: value for key, value in metadata.items() if key.startswith('pose3d.')
        }
        wanted = {role: port.in_file for role, port in spec.inputs.items()}
        self._inputs = match_ports(spec, wanted, session.get_inputs(), _described, 'input')
        self._outputs = match_ports(spec, spec.outputs, session.get_outputs(), _described, 'output')
        self._names = [port.name for port in self._outputs.values()]
        first = next(iter(self._inputs.values()))
        self._one_by_one = spec.batched and first.shape[0] == 1
        self._threads = ThreadPoolExecutor(4, thread_name_prefix=spec.path.stem)

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> Tensors:
        count = len(next(iter(inputs.values())))
        if not self._one_by_one or count == 1:
            return self._run(inputs)
        # The file fixes the batch at one; its items are run in turn.
        parts = [self._run({k: v[i : i + 1] for k, v in inputs.items()}) for i in range(count)]
        return {role: np.concatenate([part[role] for part in parts]) for role in self._outputs}

    def submit(self, inputs: Mapping[str, NDArray[Any]]) -> Future[Tensors]:
        return self._threads.submit(self, inputs)

    def _as_stored(self, role: str, array: NDArray[Any]) -> NDArray[Any]:
        """An input as the file wants it; images come as BGR bytes."""
        pixels = self._spec.inputs[role].image
        if pixels is None:
            return array
        if pixels.rgb:
            array = array[..., ::-1]
        if pixels.planar:
            array = array.transpose(0, 3, 1, 2)
        array = array.astype(np.float32)
        if (pixels.mean, pixels.scale) != (0.0, 1.0):
            array = (array - pixels.mean) / pixels.scale
        return array

    def _run(self, inputs: Mapping[str, NDArray[Any]]) -> Tensors:
        feed = {
            port.name: np.ascontiguousarray(
                self._as_stored(role, inputs[role]), dtype=_TYPES.get(port.type, np.float32)
            )
            for role, port in self._inputs.items()
        }
        try:
            outputs = self._session.run(self._names, feed)
        except Exception as error:
            raise BackendError(
                f'inference of {self._spec.path.name} on {self.device} failed: '
                f'{str(error).splitlines()[0][:300]}'
            ) from error
        return dict(zip(self._outputs, outputs))


def input_shapes(path: Path) -> dict[str, list[int | None]]:
    """Shape of each input of a file; see `backends.input_shapes`."""
    return {port.name: _shape(port) for port in _opened(path).get_inputs()}


def metadata_of(path: Path) -> dict[str, str]:
    """What a file says of itself; see `backends.metadata_of`."""
    entries = _opened(path).get_modelmeta().custom_metadata_map
    return {key: value for key, value in entries.items() if key.startswith('pose3d.')}


def _opened(path: Path) -> Any:
    """A session to inspect a file, not to run it."""
    settings = ort.SessionOptions()
    settings.log_severity_level = 3
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return ort.InferenceSession(str(path), settings, providers=[PROVIDERS['cpu']])
    except Exception as error:
        raise ModelError(
            f'{path} cannot be loaded by ONNX Runtime (damaged or not an ONNX file): '
            f'{str(error).splitlines()[0][:300]}'
        ) from error


def devices() -> list[str]:
    """Devices that this build of ONNX Runtime offers."""
    present = ort.get_available_providers()
    return [name for name, provider in PROVIDERS.items() if provider in present]


def _device(options: RuntimeOptions) -> str:
    device, present = options.device.lower(), devices()
    if device in present:
        return device
    text = (
        f'device {options.device} is not available to ONNX Runtime; available: {", ".join(present)}'
    )
    if not options.device_fallback:
        raise BackendError(text)
    log.warning('%s; using cpu', text)
    return 'cpu'


def _described(port: Any) -> tuple[list[str], list[int | None]]:
    return [port.name], _shape(port)


def _shape(port: Any) -> list[int | None]:
    return [size if isinstance(size, int) else None for size in port.shape]
