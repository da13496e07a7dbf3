# SPDX-License-Identifier: Apache-2.0
"""Networks that are Python functions: arrays in, arrays out. For tests.

A function stands in for one model file while `serving` is entered. No setting and no type of file
chooses it, so that it never runs unawares; `EstimatorInfo.backend` is then `fake`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..errors import BackendError
from . import STAND_INS, NetworkSpec, Port, RuntimeOptions, Tensors

Function = Callable[[Mapping[str, NDArray[Any]]], Mapping[str, NDArray[Any]]]
"""Arrays of a spec's inputs by role in, those of its outputs out."""


class FakeNetwork:
    """A function with the interface of a compiled network, its arrays checked as a runtime does."""

    backend = 'fake'

    def __init__(self, spec: NetworkSpec, options: RuntimeOptions, function: Function) -> None:
        self.device, self.precision = options.device, options.precision
        self.metadata: Mapping[str, str] = {}
        self._spec, self._function = spec, function

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> Tensors:
        """Raises BackendError for arrays that are missing or of another shape than the ports'."""
        self._check('input', self._spec.inputs, inputs)
        outputs = dict(self._function(inputs))
        self._check('output', self._spec.outputs, outputs)
        return outputs

    def submit(self, inputs: Mapping[str, NDArray[Any]]) -> Future[Tensors]:
        """Runs at once: the future is done."""
        future: Future[Tensors] = Future()
        try:
            future.set_result(self(inputs))
        except Exception as error:
            future.set_exception(error)
        return future

    def _check(
        self, direction: str, ports: Mapping[str, Port], arrays: Mapping[str, NDArray[Any]]
    ) -> None:
        for role, port in ports.items():
            if role not in arrays or not port.fits(arrays[role].shape):
                shape = list(arrays[role].shape) if role in arrays else 'missing'
                raise BackendError(
                    f'{self._spec.path.name}: {direction} {role} is {shape}, not {list(port.shape)}'
                )


@contextmanager
def serving(path: Path, function: Function) -> Iterator[None]:
    """Within the block, networks loaded from the path are the function; they outlive the block."""
    place = path.resolve()
    before = STAND_INS.get(place)
    STAND_INS[place] = lambda spec, options: FakeNetwork(spec, options, function)
    try:
        yield
    finally:
        if before is None:
            del STAND_INS[place]
        else:
            STAND_INS[place] = before
