# SPDX-License-Identifier: Apache-2.0
"""Which runtime reads which file, and what is said when none does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pose3d_ros import backends
from pose3d_ros.backends import NetworkSpec, Port, RuntimeOptions, load_network
from pose3d_ros.errors import BackendError, ModelError


def spec(path: Path) -> NetworkSpec:
    path.write_bytes(b'x')
    return NetworkSpec(path, {}, {})


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r'none\.onnx does not exist'):
        load_network(NetworkSpec(tmp_path / 'none.onnx', {}, {}), RuntimeOptions())


def test_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"'\.h5'.*\.tflite"):
        load_network(spec(tmp_path / 'a.h5'), RuntimeOptions())


def test_runtime_that_does_not_read_the_format(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match='use openvino'):
        load_network(spec(tmp_path / 'a.tflite'), RuntimeOptions(), 'onnxruntime')


def test_no_runtime_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ('openvino', 'onnxruntime'):
        monkeypatch.setitem(sys.modules, package, None)
    assert backends.available() == []
    with pytest.raises(BackendError, match='pip install'):
        load_network(spec(tmp_path / 'a.tflite'), RuntimeOptions())
    with pytest.raises(BackendError, match=r'pose3d_ros\[onnxruntime\]'):
        load_network(spec(tmp_path / 'a.onnx'), RuntimeOptions(), 'onnxruntime')


def test_ports_fit() -> None:
    port = Port((None, 3, 8))
    assert port.fits([1, 3, 8])
    assert port.fits([None, None, 8])
    assert not port.fits([1, 4, 8])
    assert not port.fits([1, 3])
