# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys

import pytest

from pose3d_ros.errors import ConfigError, ModelError
from pose3d_ros.tools.families import FAMILIES, load_family
from pose3d_ros.zoo import load_registry


def test_unknown() -> None:
    with pytest.raises(ConfigError, match="'openpose' is unknown; did you mean 'openpose3d'"):
        load_family('openpose')


def test_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ('torch', 'onnx'):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        ModelError, match=r'needs torch and onnx: pip install "pose3d_ros\[convert\]"'
    ):
        load_family('openpose3d')


def test_the_registry_names_known_families() -> None:
    for entry in load_registry().values():
        for item in entry.converted.values():
            assert item.family in FAMILIES


@pytest.mark.slow
@pytest.mark.parametrize('name', FAMILIES.table)
def test_every_family(name: str) -> None:
    torch = pytest.importorskip('torch', reason='PyTorch is an extra: pose3d_ros[convert]')
    family = load_family(name)
    assert set(family.dynamic) <= {*family.inputs, *family.outputs}
    assert isinstance(family.build({}), torch.nn.Module)
