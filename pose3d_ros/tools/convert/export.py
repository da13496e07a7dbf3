# SPDX-License-Identifier: Apache-2.0
"""Writes a network as ONNX and OpenVINO IR, and compares both with PyTorch."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from ...backends import NetworkSpec, Port, RuntimeOptions, load_network
from ...errors import ConfigError, ModelError
from ..families import Family, load_family
from .checkpoint import load_strictly, random_weights, read_checkpoint

FORMATS = ('onnx', 'xml')
PRECISIONS = ('f32', 'f16')
WEIGHTS_KEY = 'pose3d.weights'
RANDOM = 'random'
OPSET = 17
# Largest difference to PyTorch in standard deviations of an output. Half precision rounds weights.
TOLERANCE = {'f32': 1e-3, 'f16': 5e-2}


@dataclass
class Converted:
    """What was written. errors: by file, output and compared size, in standard deviations."""

    files: list[Path]
    metadata: dict[str, str]
    errors: dict[str, float] = field(default_factory=dict)


def convert(
    family: str,
    checkpoint: Path | None,
    target: Path,
    *,
    member: str = '',
    formats: Sequence[str] = FORMATS,
    precision: str = 'f32',
    size: tuple[int, int] | None = None,
    seed: int | None = None,
) -> Converted:
    """Write `target`.onnx, .xml, .bin from a checkpoint, or from random weights with a seed.

    member: see read_checkpoint. precision: of the stored weights. size: fixed width and height of
    the input; None: any. Files of random weights say so in their metadata.

    Raises ConfigError, ModelError; then nothing is left behind.
    """
    for name in formats:
        if name not in FORMATS:
            raise ConfigError(f'format must be one of {", ".join(FORMATS)}, not {name!r}')
    if precision not in PRECISIONS:
        raise ConfigError(f'precision must be one of {", ".join(PRECISIONS)}, not {precision!r}')
    if (checkpoint is None) == (seed is None):
        raise ConfigError('either a checkpoint or a seed for random weights is needed')
    architecture = load_family(family)
    metadata = {f'pose3d.{key}': value for key, value in architecture.about.items()}
    metadata['pose3d.family'] = family
    if checkpoint is None:
        module = architecture.build({})
        shapes = [(key, tuple(value.shape)) for key, value in module.state_dict().items()]
        module.load_state_dict(random_weights(shapes, seed or 0, architecture.gain))
        metadata[WEIGHTS_KEY] = RANDOM
    else:
        module = load_strictly(
            architecture, read_checkpoint(architecture, checkpoint, member), checkpoint.name
        )
    return export(architecture, module, target, metadata, formats, precision, size)


def export(
    family: Family,
    module: nn.Module,
    target: Path,
    metadata: Mapping[str, str],
    formats: Sequence[str] = FORMATS,
    precision: str = 'f32',
    size: tuple[int, int] | None = None,
) -> Converted:
    """Write and verify a module that has its weights; see `convert`."""
    rng = np.random.default_rng(0)
    example = family.examples(module, size, rng)
    network = target.with_name(target.name + '.onnx')
    done = Converted([], dict(metadata))
    try:
        _write_onnx(family, module, network, example, metadata, precision, size)
        done.files.append(network)
        if 'xml' in formats:
            done.files += _write_ir(network, metadata, precision)
        _verify(family, module, done, size, precision, example, rng)
        if 'onnx' not in formats:
            network.unlink()
            done.files.remove(network)
    except BaseException:
        for path in (network, network.with_suffix('.xml'), network.with_suffix('.bin')):
            path.unlink(missing_ok=True)
        raise
    return done


class _Half(nn.Module):
    """Half precision inside, single precision outside."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: torch.Tensor) -> Any:
        outputs = self.module(*(x.half() if x.is_floating_point() else x for x in inputs))
        return tuple(x.float() for x in outputs) if isinstance(outputs, tuple) else outputs.float()


def _write_onnx(
    family: Family,
    module: nn.Module,
    path: Path,
    example: Mapping[str, Any],
    metadata: Mapping[str, str],
    precision: str,
    size: tuple[int, int] | None,
) -> None:
    axes = {
        name: {
            axis: label
            for axis, label in free.items()
            # All of an image's axes are fixed with its size, and those of maps follow from it.
            if size is None or not label.endswith(('height', 'width'))
        }
        for name, free in family.dynamic.items()
    }
    inputs = tuple(torch.from_numpy(np.asarray(example[name])) for name in family.inputs)
    traced: nn.Module = module
    if precision == 'f16':
        import copy

        traced = _Half(copy.deepcopy(module).half()).eval()
    with warnings.catch_warnings(), torch.no_grad():
        # The exporter warns about itself and about shapes that are constants on purpose.
        warnings.simplefilter('ignore')
        logging.getLogger('torch.onnx').setLevel(logging.ERROR)
        torch.onnx.export(
            traced,
            inputs,
            str(path),
            input_names=list(family.inputs),
            output_names=list(family.outputs),
            dynamic_axes={name: free for name, free in axes.items() if free},
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load(str(path))
    for key, value in metadata.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _write_ir(network: Path, metadata: Mapping[str, str], precision: str) -> list[Path]:
    import openvino as ov

    model = ov.Core().read_model(str(network))
    for key, value in metadata.items():
        model.set_rt_info(value, ['pose3d', key.removeprefix('pose3d.')])
    path = network.with_suffix('.xml')
    ov.save_model(model, str(path), compress_to_fp16=precision == 'f16')
    return [path, path.with_suffix('.bin')]


def _verify(
    family: Family,
    module: nn.Module,
    done: Converted,
    size: tuple[int, int] | None,
    precision: str,
    example: Mapping[str, Any],
    rng: np.random.Generator,
) -> None:
    """Compare every file in every runtime that is here with PyTorch, on random input."""
    cases = [dict(example)]
    if size is None and any('height' in free.values() for free in family.dynamic.values()):
        cases.append(family.examples(module, (160, 128), rng))
    for case in cases:
        with torch.no_grad():
            outputs = module(*(torch.from_numpy(np.asarray(case[name])) for name in family.inputs))
        expected = [x.numpy() for x in (outputs if isinstance(outputs, tuple) else (outputs,))]
        for path in done.files:
            for backend, suffixes in (('openvino', ('.xml', '.onnx')), ('onnxruntime', ('.onnx',))):
                if path.suffix not in suffixes or find_spec(backend) is None:
                    continue
                outputs = _run(family, path, backend, case, expected)
                for name, wanted in zip(family.outputs, expected):
                    error = float(np.abs(outputs[name] - wanted).max() / max(wanted.std(), 1e-9))
                    label = f'{path.name} {backend} {name}'
                    done.errors[label] = max(error, done.errors.get(label, 0.0))
                    if not error <= TOLERANCE[precision]:
                        raise ModelError(
                            f'the conversion went wrong: {label} differs from PyTorch by '
                            f'{error:.2g} standard deviations, allowed: {TOLERANCE[precision]:g}'
                        )


def _run(
    family: Family,
    path: Path,
    backend: str,
    case: Mapping[str, Any],
    expected: Sequence[Any],
) -> dict[str, Any]:
    spec = NetworkSpec(
        path,
        {name: Port((None,) * case[name].ndim, name) for name in family.inputs},
        {name: Port((None,) * x.ndim, name) for name, x in zip(family.outputs, expected)},
        batched=all(0 in family.dynamic.get(name, {}) for name in family.inputs),
    )
    device = 'CPU' if backend == 'openvino' else 'cpu'
    options = RuntimeOptions(device=device, precision='f32', allow_random_weights=True)
    return load_network(spec, options, backend)(case)
