# SPDX-License-Identifier: Apache-2.0
"""What openpose3d's network would give for drawn people: to measure without its weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backends import WEIGHTS, Network, Tensors
from ..errors import ModelError
from ..estimators.openpose3d.estimator import Estimator
from ..geometry import yaw
from ..networks.openpose3d import GROUPS, RIGHT_SLOTS, SLOTS
from ..networks.openpose3d_people import JOINTS, LIMBS
from ..types import Array

# A standing person of unit height in CMU's order; x to the image's right, y down, z away.
_SIDE = {3: (0.11, -0.30), 4: (0.14, -0.13), 5: (0.15, 0.02), 6: (0.06, 0.0), 7: (0.06, 0.24)}
_SIDE |= {8: (0.06, 0.48), 15: (0.02, -0.43), 16: (0.045, -0.42)}
_OTHER = {3: 9, 4: 10, 5: 11, 6: 12, 7: 13, 8: 14, 15: 17, 16: 18}


def standing() -> Array:
    """(19, 3) in body heights from the middle of the hips, facing the camera."""
    body = np.zeros((SLOTS, 3))
    body[0], body[1] = (0, -0.30, 0), (0, -0.41, -0.06)
    for left, (x, y) in _SIDE.items():
        body[left], body[_OTHER[left]] = (x, y, 0), (-x, y, 0)
    return body


@dataclass(frozen=True)
class Scene:
    """maps: features, heatmaps, pafs. relative: (P, 19, 3) body heights, cells: (P, 19, 2)."""

    maps: dict[str, Array]
    relative: Array
    cells: Array


def draw(
    count: int, size: tuple[int, int] = (56, 32), *, hidden: tuple[int, ...] = (), seed: int = 0
) -> Scene:
    """Maps of people who stand in rows. size: columns and rows of cells. hidden: slots left out."""
    rng = np.random.default_rng(seed)
    columns, rows = size
    relative, cells = np.zeros((count, SLOTS, 3)), np.zeros((count, SLOTS, 2))
    per_row = max(math.ceil(math.sqrt(count * columns / rows * 0.5)), 1)
    lines = max(math.ceil(count / per_row), 1)
    height = rows / lines * 0.8
    for k in range(count):
        relative[k] = yaw(standing(), rng.uniform(-0.6, 0.6))
        centre = ((k % per_row + 0.5) * columns / per_row, (k // per_row + 0.48) * rows / lines)
        jitter = rng.uniform(-0.3, 0.3, 2)
        cells[k] = np.add(centre, jitter) + relative[k, :, :2] * height
    maps = {
        'features': rng.normal(0, 0.003, (3 * SLOTS, rows, columns)).astype(np.float32),
        'heatmaps': rng.normal(0, 0.006, (JOINTS + 1, rows, columns)).astype(np.float32),
        'pafs': rng.normal(0, 0.006, (38, rows, columns)).astype(np.float32),
    }
    y, x = np.mgrid[0:rows, 0:columns] + 0.5
    sigma = min(1.0, height / 12)
    slots = RIGHT_SLOTS
    for k in range(count):
        for joint in range(JOINTS):
            if slots[joint] in hidden:
                continue
            u, v = cells[k, slots[joint]]
            blob = 0.75 * np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * sigma**2))
            np.maximum(maps['heatmaps'][joint], blob, out=maps['heatmaps'][joint])
        for a, b, channel in LIMBS:
            start, end = cells[k, slots[a]], cells[k, slots[b]]
            length = max(float(np.hypot(*(end - start))), 1e-6)
            unit = (end - start) / length
            along = (x - start[0]) * unit[0] + (y - start[1]) * unit[1]
            across = np.abs((x - start[0]) * unit[1] - (y - start[1]) * unit[0])
            on = (along > -1.0) & (along < length + 1.0) & (across < max(0.9, 0.04 * height))
            maps['pafs'][channel][on] = unit[0]
            maps['pafs'][channel + 1][on] = unit[1]
        # The neck holds the whole body, each joint of a limb that limb.
        readings = [(0, tuple(range(SLOTS)))]
        readings += [(slot, group) for group in GROUPS for slot in group]
        for slot, group in readings:
            u, v = np.floor(cells[k, slot]).astype(int)
            if 0 <= u < columns and 0 <= v < rows:
                for joint in group:
                    maps['features'][3 * joint : 3 * joint + 3, v, u] = relative[k, joint]
    return Scene(maps, relative, cells)


@dataclass
class _Rehearsed:
    """A network that runs, and gives the maps of drawn people in place of its own."""

    network: Network
    people: int
    scenes: dict[tuple[int, int], dict[str, Array]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.backend, self.device = self.network.backend, self.network.device
        self.precision, self.metadata = self.network.precision, self.network.metadata

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> Tensors:
        """See Network."""
        return self._drawn(self.network(inputs))

    def submit(self, inputs: Mapping[str, NDArray[Any]]) -> Future[Tensors]:
        """See Network."""
        rehearsed: Future[Tensors] = Future()

        def finish(done: Future[Tensors]) -> None:
            try:
                rehearsed.set_result(self._drawn(done.result()))
            except Exception as error:  # whoever waits gets it
                rehearsed.set_exception(error)

        self.network.submit(inputs).add_done_callback(finish)
        return rehearsed

    def _drawn(self, maps: Tensors) -> Tensors:
        count, _, rows, columns = maps['heatmaps'].shape
        if (columns, rows) not in self.scenes:
            self.scenes[columns, rows] = draw(self.people, (columns, rows)).maps
        scene = self.scenes[columns, rows]
        return {n: np.broadcast_to(values, (count, *values.shape)) for n, values in scene.items()}


class Rehearsal:
    """An estimator's networks of random weights that show as many drawn people as are asked for."""

    def __init__(self, estimator: Estimator) -> None:
        self._estimator, self._networks = estimator, estimator.networks
        self._rehearsed: dict[tuple[int, int], _Rehearsed] = {}
        self._people = 0

    def show(self, people: int) -> None:
        """From now on the estimator decodes so many people. The networks still run."""
        self._people = people
        self._estimator.networks = self

    def of(self, size: tuple[int, int]) -> Network:
        """See Networks; ModelError if the weights are not random."""
        network = self._networks.of(size)
        if network.metadata.get(WEIGHTS) != 'random':
            name = self._estimator.info.model
            raise ModelError(f'{name} is a real model; there is nothing to rehearse')
        key = (self._people, id(network))
        return self._rehearsed.setdefault(key, _Rehearsed(network, self._people))
