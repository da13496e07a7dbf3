# SPDX-License-Identifier: Apache-2.0
"""Reads checkpoints of research programs, which carry NumPy values beside their tensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch

from ...errors import ModelError


def load_restricted(path: Path) -> Mapping[str, Any]:
    """The content of a file, zip or old pickle stream; nothing in it is executed.

    Raises ModelError if the file is damaged or holds other objects than tensors, containers and
    NumPy values.
    """
    multiarray = getattr(np, '_core', None) or np.core  # moved in NumPy 2
    builders = [multiarray.multiarray._reconstruct, multiarray.multiarray.scalar]
    # Files written under NumPy 1 name the functions by their old place.
    old = [(f, f'numpy.core.multiarray.{f.__name__}') for f in builders]
    types = [np.ndarray, np.dtype, *{type(np.dtype(code)) for code in '?bBiIfdSUO'}]
    types += [type(np.dtype(f'{k}{n}')) for k in 'iuf' for n in (2, 4, 8)]
    try:
        with torch.serialization.safe_globals([*builders, *old, *types]):
            content = torch.load(path, map_location='cpu', weights_only=True)
    except UnpicklingError as error:
        raise ModelError(
            f'{path.name} is damaged, or holds objects that only execution could restore; '
            f'nothing was executed ({str(error).splitlines()[0][:160]})'
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise ModelError(f'{path.name} is no PyTorch checkpoint: {reason}') from error
    if not isinstance(content, Mapping):
        raise ModelError(f'{path.name} holds no state dictionary (tensors by name)')
    return content
