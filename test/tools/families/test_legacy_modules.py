# SPDX-License-Identifier: Apache-2.0
"""Pickled modules of other programs: read without them, and without executing anything."""

from __future__ import annotations

import pickle
import sys
import types
from pathlib import Path

import pytest

from pose3d_ros.errors import ModelError

torch = pytest.importorskip('torch', reason='the networks are needed for conversion only')

from pose3d_ros.tools.convert.checkpoint import load_strictly, read_checkpoint
from pose3d_ros.tools.families import load_family


class _Alien(torch.nn.Module):
    """Of a program that is not here."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(2, 3, 1)
        self.stages = torch.nn.ModuleList([torch.nn.BatchNorm2d(3)])


@pytest.fixture
def alien_file(tmp_path: Path):
    """Writes pickled modules of a class models.layers.Alien, which is gone afterwards."""

    def write(old: bool) -> tuple[Path, _Alien]:
        package = types.ModuleType('models.layers')
        kind = type('Alien', (_Alien,), {'__module__': 'models.layers', '__qualname__': 'Alien'})
        package.Alien = kind
        sys.modules['models'], sys.modules['models.layers'] = types.ModuleType('models'), package
        try:
            module = kind()
            path = tmp_path / 'alien.pth'
            torch.save(module, path, _use_new_zipfile_serialization=not old)
        finally:
            del sys.modules['models'], sys.modules['models.layers']
        return path, module

    return write


@pytest.mark.parametrize('old', [False, True], ids=['zip', 'old container'])
def test_pickled_modules_are_read_without_their_program(alien_file, old: bool) -> None:
    from pose3d_ros.tools.families.legacy_modules import read_module

    path, module = alien_file(old)
    found = read_module(path, ('models',))
    expected = module.state_dict()
    assert set(found) == set(expected)
    for key, value in expected.items():
        assert torch.equal(found[key], value)
    with pytest.raises(ModelError, match=r'names models.layers.Alien, which is not allowed'):
        read_module(path, ())
    family = load_family('pose_hg_3d_hourglass')
    with pytest.raises(ModelError, match='another network'):
        load_strictly(family, read_checkpoint(family, path))


class _Harm:
    def __reduce__(self):
        return (exec, ("raise SystemExit('executed')",))


@pytest.mark.parametrize('old', [False, True], ids=['zip', 'old container'])
def test_nothing_is_executed(tmp_path: Path, old: bool) -> None:
    from pose3d_ros.tools.families.legacy_modules import read_module

    path = tmp_path / 'harm.pth'
    torch.save({'state_dict': _Harm()}, path, _use_new_zipfile_serialization=not old)
    with pytest.raises(ModelError, match=r'exec, which is not allowed'):
        read_module(path, ('models',))
    path.write_bytes(pickle.dumps(_Harm()))
    with pytest.raises(ModelError, match=r'harm\.pth'):
        read_module(path, ('models',))
    path.write_bytes(b'nonsense')
    with pytest.raises(ModelError, match=r'harm\.pth'):
        read_module(path, ('models',))
