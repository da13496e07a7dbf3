# SPDX-License-Identifier: Apache-2.0
"""Tensors out of whole pickled PyTorch modules, without the program that wrote them.

An unpickler builds nothing but containers, tensors and hollow modules: the classes of that program
become empty ones, and any name that is not on the list ends the reading.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from ...errors import ModelError

_TENSORS = {
    ('torch._utils', '_rebuild_tensor'),
    ('torch._utils', '_rebuild_tensor_v2'),
    ('torch._utils', '_rebuild_parameter'),
    ('torch.nn.parameter', 'Parameter'),
    ('torch', 'Size'),
}
_STORAGES = {
    f'{dtype}Storage'
    for dtype in ('Float', 'Double', 'Half', 'Long', 'Int', 'Short', 'Byte', 'Bool')
}


class _Hollow(nn.Module):
    """Stands for a class of the program that wrote the file."""


def _nothing() -> None:
    """Stands for the table of functions that modules of PyTorch 0.1 carry."""


def read_module(path: Path, packages: Sequence[str]) -> dict[str, Any]:
    """Tensors by name of a file that holds a module, or a state dictionary.

    packages: top-level names whose classes may stand in the file. ModelError if it is damaged or
    holds anything else.
    """
    unpickler = _restricted(packages)

    def load(file: Any, **settings: Any) -> Any:
        return unpickler(file, **settings).load()

    tools = SimpleNamespace(
        Unpickler=unpickler, load=load, UnpicklingError=pickle.UnpicklingError, __name__='pickle'
    )
    try:
        content = torch.load(
            path, map_location='cpu', pickle_module=tools, weights_only=False, encoding='latin1'
        )
        return dict(_tensors(content))
    except pickle.UnpicklingError as error:
        raise ModelError(f'{path.name} cannot be read safely: {error}') from error
    except (
        RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, AttributeError,
        TypeError, ImportError, UnicodeDecodeError, AssertionError, RecursionError,
    ) as error:  # fmt: skip
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(f'{path.name} is no PyTorch checkpoint: {lines[0][:200]}') from error


def _restricted(packages: Sequence[str]) -> type[pickle.Unpickler]:
    class Restricted(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if module.partition('.')[0] in packages:
                return _Hollow
            if (module, name) == ('collections', 'OrderedDict'):
                return OrderedDict
            if module in ('builtins', '__builtin__') and name == 'set':
                return set
            if module.startswith('torch.nn.backends'):
                return _nothing
            if (module, name) in _TENSORS:
                return getattr(import_module(module), name)
            if module in ('torch', 'torch.storage') and name in _STORAGES:
                return getattr(torch, name)
            if module.startswith('torch.nn.modules.'):
                layer = getattr(import_module(module), name, None)
                if isinstance(layer, type) and issubclass(layer, nn.Module):
                    return _Hollow
            raise pickle.UnpicklingError(f'it names {module}.{name}, which is not allowed')

    return Restricted


def _tensors(content: Any, prefix: str = '') -> Iterator[tuple[str, Any]]:
    """Parameters and buffers of a module's parts, by the names of its state dictionary."""
    if isinstance(content, Mapping):
        inner = content.get('state_dict', content)
        yield from ((str(key), value) for key, value in inner.items())
        return
    if not isinstance(content, nn.Module):
        return
    own = content.__dict__
    for group in ('_parameters', '_buffers'):
        for name, value in (own.get(group) or {}).items():
            if isinstance(value, torch.Tensor):
                yield prefix + name, value.detach()
    for name, module in (own.get('_modules') or {}).items():
        yield from _tensors(module, f'{prefix}{name}.')
