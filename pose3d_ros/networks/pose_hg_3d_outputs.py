# SPDX-License-Identifier: Apache-2.0
"""Which outputs of a pose-hg-3d file are heatmaps and depth, whoever exported it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..backends import Port, ports_of
from ..errors import ModelError
from . import pose_hg_3d as parts

MAPS = (None, parts.JOINTS, parts.CELLS, parts.CELLS)
NUMBERS = (None, parts.JOINTS)
_HEATMAPS = ('heatmaps', 'heatmap', 'hm')
_DEPTH = ('depth', 'depths', 'reg')


def find_outputs(path: Path, named: str = '') -> dict[str, Port]:
    """Ports of `heatmaps` and `depth`: maps (a ResNet) or a number for each joint (an hourglass).

    named: the setting `outputs`, heatmaps first; empty: by usual names, else by shape. Raises
    ModelError with what the file has, BackendError.
    """
    shapes = ports_of(path)[1]
    maps = [name for name, shape in shapes.items() if Port(MAPS).fits(shape)]
    numbers = [name for name, shape in shapes.items() if Port(NUMBERS).fits(shape)]
    depths = numbers or maps
    has = f'it has {", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())}'
    wanted = f'heatmaps {list(MAPS)} and depth, such maps or {list(NUMBERS)}'
    if named:
        heatmaps, _, depth = (part.strip() for part in named.partition(','))
        if heatmaps not in maps or depth not in {*maps, *numbers} - {heatmaps}:
            raise ModelError(f'{path.name}: outputs {named!r} are not {wanted}; {has}')
    else:
        heatmaps = next((name for name in _HEATMAPS if name in maps), '')
        depth = next((name for name in _DEPTH if name in depths), '')
        heatmaps = heatmaps or _only(maps, depth)
        depth = depth or _only(depths, heatmaps)
    if not heatmaps or not depth:
        if maps and len(maps) + len(numbers) > 1:
            raise ModelError(
                f'{path.name} does not tell which outputs are heatmaps and depth: set '
                f'pose_hg_3d.outputs to their names, as in {maps[0]},{depths[-1]}; {has}'
            )
        raise ModelError(f'{path.name} is another network: {wanted} are needed; {has}')
    shape = NUMBERS if depth in numbers else MAPS
    return {'heatmaps': Port(MAPS, heatmaps), 'depth': Port(shape, depth)}


def _only(names: Sequence[str], taken: str) -> str:
    """The one that is left, if it is one."""
    rest = [name for name in names if name != taken]
    return rest[0] if len(rest) == 1 else ''
