# SPDX-License-Identifier: Apache-2.0
"""Reads checkpoints without executing them, and loads them without a tensor left to chance."""

from __future__ import annotations

import tarfile
import tempfile
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch

from ...errors import ModelError
from ..families import Family

State = dict[str, Any]
_LISTED = 8


def read_checkpoint(family: Family, path: Path, member: str = '') -> State:
    """The state dictionary of a file: tensors by key, without what the family ignores.

    member: the checkpoint's path in the file, if that is an archive (tar, zip). PyTorch's own
    files are read by its restricted unpickler, which builds tensors and containers and calls
    nothing else.

    Raises ModelError if the file is missing, damaged, or would have to be executed.
    """
    if not path.is_file():
        raise ModelError(f'checkpoint {path} does not exist')
    if member and not _is_pytorch(path):
        with tempfile.TemporaryDirectory(prefix='pose3d_') as folder:
            return read_checkpoint(family, _extract(path, member, Path(folder)))
    content = family.read(path) if family.read else _load(path)
    for key in family.layouts:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not any(
        isinstance(value, torch.Tensor) for value in content.values()
    ):
        raise ModelError(f'{path.name} holds no state dictionary (tensors by name)')
    state: State = {}
    for key, value in content.items():
        for prefix in family.prefixes:
            key = key.removeprefix(prefix)
        if isinstance(value, torch.Tensor) and not _ignored(family, key):
            state[key] = value
    return state


def load_strictly(family: Family, state: State, name: str = 'the checkpoint') -> Any:
    """The network with these weights, in evaluation mode.

    Raises ModelError that lists what is missing, unexpected or misshapen.
    """
    module = family.build({key: tuple(value.shape) for key, value in state.items()})
    expected = {
        key: value for key, value in module.state_dict().items() if not _ignored(family, key)
    }
    missing = [key for key in expected if key not in state]
    unexpected = [key for key in state if key not in expected]
    misshapen = [
        f'{key} is {_shape(state[key])}, not {_shape(expected[key])}'
        for key in expected
        if key in state and state[key].shape != expected[key].shape
    ]
    if missing or unexpected or misshapen:
        problems = [
            _list('missing', missing),
            _list('unexpected', unexpected),
            _list('misshapen', misshapen),
        ]
        raise ModelError(
            f'{name} is of another network: ' + '; '.join(part for part in problems if part)
        )
    broken = [key for key, value in state.items() if not bool(torch.isfinite(value).all())]
    if broken:
        raise ModelError(f'{name} is damaged: {_list("not finite", broken)}')
    module.load_state_dict(state, strict=False)  # what is ignored keeps its initial value
    return module.eval()


def random_weights(
    shapes: Iterable[tuple[str, tuple[int, ...]]], seed: int, gain: float = 2.0
) -> State:
    """Reproducible weights that keep activations in range, for benchmarks and tests.

    gain: by how much a layer multiplies the variance; 2 makes up for what a ReLU takes away.
    """
    rng = np.random.RandomState(seed)
    state: State = {}
    for key, shape in shapes:
        if key.endswith('num_batches_tracked'):
            state[key] = torch.zeros(shape, dtype=torch.int64)
            continue
        z = rng.standard_normal(shape)
        if key.endswith('running_var'):
            value = 1 + 0.1 * np.abs(z)
        elif key.endswith('running_mean'):
            value = 0.1 * z
        elif len(shape) == 1 and key.endswith('weight'):
            value = 1 + 0.1 * z
        elif len(shape) <= 1:
            value = 0.05 * z
        else:
            value = z * np.sqrt(gain / np.prod(shape[1:]))
        state[key] = torch.from_numpy(np.asarray(value, np.float32))
    return state


def _load(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # about protocols of pickles, which are refused anyhow
            return torch.load(path, map_location='cpu', weights_only=True)
    except UnpicklingError as error:
        raise ModelError(
            f'{path.name} is damaged, or holds objects that only execution could restore '
            f'({_objection(error)}); nothing was executed'
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError) as error:
        raise ModelError(f'{path.name} is no PyTorch checkpoint: {_first_line(error)}') from error


def _is_pytorch(path: Path) -> bool:
    """Whether a file is a checkpoint itself; PyTorch's format is a zip archive too."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith('data.pkl') for name in archive.namelist())
    except zipfile.BadZipFile:
        return not tarfile.is_tarfile(path)


def _extract(path: Path, member: str, folder: Path) -> Path:
    """Copy one file out of an archive; its path is matched from the end."""
    target = folder / Path(member).name
    try:
        if tarfile.is_tarfile(path):
            with tarfile.open(path) as archive:
                info = _one(path, member, [m.name for m in archive.getmembers() if m.isfile()])
                stream = archive.extractfile(info)
                assert stream is not None  # it is a file
                target.write_bytes(stream.read())
        else:
            with zipfile.ZipFile(path) as zipped:
                target.write_bytes(zipped.read(_one(path, member, zipped.namelist())))
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise ModelError(f'{path.name} is a damaged archive: {_first_line(error)}') from error
    return target


def _one(path: Path, member: str, names: list[str]) -> str:
    matches = [name for name in names if name == member or name.endswith('/' + member)]
    if len(matches) != 1:
        raise ModelError(
            f'{path.name} holds {len(matches)} files {member}, one is needed; it has '
            + ', '.join(names[:_LISTED])
        )
    return matches[0]


def _ignored(family: Family, key: str) -> bool:
    return any(fnmatchcase(key, pattern) for pattern in family.ignored)


def _shape(value: Any) -> str:
    return 'x'.join(str(size) for size in value.shape) or 'a number'


def _list(label: str, items: list[str]) -> str:
    if not items:
        return ''
    more = f' and {len(items) - _LISTED} more' if len(items) > _LISTED else ''
    return f'{len(items)} {label}: {", ".join(items[:_LISTED])}{more}'


def _objection(error: UnpicklingError) -> str:
    """What the restricted unpickler met; the rest of its message says how to get round it."""
    text = str(error)
    detail = text.partition('WeightsUnpickler error:')[2] or text.partition('\n')[2]
    line = next((line.strip() for line in detail.splitlines() if line.strip()), 'no tensors')
    return line.partition('. ')[0].rstrip('.')[:200]


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), '')[:200]
