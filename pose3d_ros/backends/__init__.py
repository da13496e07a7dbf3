# SPDX-License-Identifier: Apache-2.0
"""Inference runtimes: they know devices, precision and tensors, and never a joint."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from numpy.typing import NDArray
from platformdirs import user_cache_path

from ..errors import BackendError, ModelError

Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Pixels:
    """A (N, H, W, 3) uint8 BGR image becomes floats (v - mean) / scale inside the network.

    rgb: the file wants RGB, not BGR. planar: it wants (N, 3, H, W).
    """

    mean: float = 0.0
    scale: float = 1.0
    rgb: bool = True
    planar: bool = False


@dataclass(frozen=True)
class Port:
    """What is expected of a network's input or output.

    shape: None where any size is fine, the batch included. name: the tensor's name; empty: the one
    tensor of that shape is meant (files differ in names and order more than in shapes).
    image: for inputs that are pictures, how to make them of BGR bytes.
    """

    shape: tuple[int | None, ...]
    name: str = ''
    image: Pixels | None = None

    @property
    def in_file(self) -> Port:
        """The port as the file has it, before images are made of bytes."""
        if self.image is None or not self.image.planar:
            return self
        count, height, width, channels = self.shape
        return Port((count, channels, height, width), self.name)

    def fits(self, shape: Sequence[int | None]) -> bool:
        """Whether a tensor of that shape, None for dynamic, can be the one."""
        return len(shape) == len(self.shape) and all(
            wanted is None or size is None or wanted == size
            for wanted, size in zip(self.shape, shape)
        )


@dataclass(frozen=True)
class NetworkSpec:
    """What an estimator wants of a runtime.

    inputs, outputs: by role, the names that the estimator uses. Other outputs are pruned.
    heads: roles of the outputs whose last layers stay in f32 in `mixed` precision.
    batched: the first axis of inputs and outputs is a batch of any size.
    inner: roles of tensors that are no outputs, and of which output each is the last weighted
    layer's result; a runtime that cannot read inner tensors leaves them out.

    Sizes that an input's port names are fixed when the file leaves them open.
    """

    path: Path
    inputs: Mapping[str, Port]
    outputs: Mapping[str, Port]
    heads: tuple[str, ...] = ()
    batched: bool = True
    inner: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RuntimeOptions:
    """Device settings; precision is never `auto` here. cache_dir: compiled models, None: none.

    allow_random_weights: compile files that are marked as random; else they are refused.
    """

    device: str = 'CPU'
    device_fallback: bool = False
    precision: str = 'f32'
    threads: int = 0
    cache_dir: Path | None = None
    allow_random_weights: bool = False


class Network(Protocol):
    """A compiled network."""

    backend: str
    device: str
    precision: str
    metadata: Mapping[str, str]
    """What the file says of itself: keys `pose3d.<name>`."""

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> Tensors:
        """Run once; tensors by role. The arrays belong to the caller."""

    def submit(self, inputs: Mapping[str, NDArray[Any]]) -> Future[Tensors]:
        """Start and return at once; several may be under way."""


def match_ports(
    spec: NetworkSpec,
    wanted: Mapping[str, Port],
    ports: Sequence[Any],
    described: Callable[[Any], tuple[Sequence[str], Sequence[int | None]]],
    direction: str,
) -> dict[str, Any]:
    """The runtime's port of each role, by name where the role has one, else by shape.

    described: names and shape of a port of the runtime. Raises ModelError.
    """
    about = [(port, *described(port)) for port in ports]
    matched = {}
    for role, want in wanted.items():
        fitting = [p for p, names, shape in about if want.fits(shape) and want.name in ('', *names)]
        if len(fitting) != 1:
            listed = ', '.join(f'{(*names, "?")[0]} {shape}' for _, names, shape in about)
            raise ModelError(
                f'{spec.path.name} is another network: {len(fitting)} {direction}s fit '
                f'{role} {want.name} {list(want.shape)}; it has {listed}'
            )
        matched[role] = fitting[0]
    return matched


WEIGHTS = 'pose3d.weights'
"""Metadata key of what a file's weights are; `random` marks files without training."""


def check_weights(
    spec: NetworkSpec, options: RuntimeOptions, metadata: Mapping[str, str]
) -> Mapping[str, str]:
    """The metadata; ModelError for random weights, unless they are wanted."""
    if metadata.get(WEIGHTS) == 'random' and not options.allow_random_weights:
        raise ModelError(
            f'{spec.path} holds random weights, made to measure speed, and finds nobody; '
            'set allow_random_weights to run it all the same'
        )
    return metadata


Loader = Callable[[NetworkSpec, RuntimeOptions], Network]

# Name, module to import, file types it reads; the first usable one serves `auto`.
BACKENDS: dict[str, tuple[str, tuple[str, ...]]] = {
    'openvino': ('openvino', ('.tflite', '.onnx', '.xml', '.pb')),
    'onnxruntime': ('onnxruntime', ('.onnx',)),
}

STAND_INS: dict[Path, Loader] = {}
"""Loaders that tests put in the place of model files; `fake.serving` alone writes here."""


def cache_folder() -> Path | None:
    """Where compiled models are kept ($POSE3D_CACHE or the user's cache); None if not writable."""
    folder = Path(os.environ.get('POSE3D_CACHE') or user_cache_path('pose3d_ros')) / 'compiled'
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


def available() -> list[str]:
    """The installed runtimes."""
    return [name for name, (module, _) in BACKENDS.items() if find_spec(module)]


def load_network(spec: NetworkSpec, options: RuntimeOptions, backend: str = 'auto') -> Network:
    """Compile a model file.

    Raises ModelError for a file that is missing, damaged or of another network, BackendError for
    a runtime or device that is not there.
    """
    stand_in = STAND_INS.get(spec.path.resolve()) if STAND_INS else None
    if stand_in is not None:
        return stand_in(spec, options)
    loader: Loader = _module(spec.path, backend).load
    return loader(spec, options)


def input_shapes(path: Path, backend: str = 'auto') -> dict[str, list[int | None]]:
    """Shape of each input of a model file, None for sizes that are open; raises as load_network."""
    shapes: dict[str, list[int | None]] = _module(path, backend).input_shapes(path)
    return shapes


def metadata_of(path: Path, backend: str = 'auto') -> dict[str, str]:
    """What a model file says of itself, keys `pose3d.<name>`; raises as load_network."""
    metadata: dict[str, str] = _module(path, backend).metadata_of(path)
    return metadata


Shapes = dict[str, tuple[int | None, ...]]


def ports_of(path: Path) -> tuple[Shapes, Shapes]:
    """Shapes of a file's inputs and outputs by name, None for sizes that are free.

    For files of the user's, of which only the format is known. Raises ModelError, BackendError.
    """
    ports: tuple[Shapes, Shapes] = _module(path, 'auto').ports(path)
    return ports


def _module(path: Path, backend: str) -> ModuleType:
    """The runtime that reads the file; raises as load_network."""
    if not path.is_file():
        raise ModelError(f'model file {path} does not exist')
    suffix = path.suffix.lower()
    readers = [name for name, (_, suffixes) in BACKENDS.items() if suffix in suffixes]
    if not readers:
        readable = sorted({s for _, suffixes in BACKENDS.values() for s in suffixes})
        raise ModelError(
            f'{path.name}: unknown model format {suffix!r}; known: {", ".join(readable)}'
        )
    if backend == 'auto':
        usable = [name for name in readers if name in available()]
        if not usable:
            raise BackendError(
                f'{path.name} needs {" or ".join(readers)}, and none of them is installed: '
                f'pip install "pose3d_ros[{readers[0]}]"'
            )
        backend = usable[0]
    if backend not in readers:
        raise BackendError(
            f'backend {backend} does not read {suffix} files ({path.name}); '
            f'use {" or ".join(readers)}'
        )
    if backend not in available():
        raise BackendError(
            f'backend {backend} is not installed: pip install "pose3d_ros[{backend}]"'
        )
    return import_module(f'.{backend}', __name__)
