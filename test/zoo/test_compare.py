# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest
import toy_tfjs

from pose3d_ros.errors import ModelError
from pose3d_ros.zoo import tfjs
from pose3d_ros.zoo.compare import TOLERANCE, compare


def made(folder: Path, name: str, factor: float = 1.0) -> tuple[Path, Path]:
    """Both files of the toy network, weights of a layer multiplied."""
    model, first, second = toy_tfjs.files()
    weights = (toy_tfjs.DEPTH * factor).astype('float32').tobytes()
    paths = [folder / f'{name}.{end}' for end in ('json', '1.bin', '2.bin', 'pb', 'onnx')]
    for path, content in zip(paths, (model, first, weights + second[len(weights) :])):
        path.write_bytes(content)
    tfjs.convert(paths[0], paths[1:3], paths[3], paths[4])
    return paths[3], paths[4]


def test_the_same_network(tmp_path: Path) -> None:
    pytest.importorskip('onnxruntime')
    assert compare(*made(tmp_path, 'a')) <= TOLERANCE


def test_another_network(tmp_path: Path) -> None:
    pytest.importorskip('onnxruntime')
    graph, _ = made(tmp_path, 'a')
    _, onnx = made(tmp_path, 'b', 1.01)
    with pytest.raises(ModelError, match=r'b.onnx differs from a.pb by .* allowed: 0.001'):
        compare(graph, onnx)


def test_without_both_runtimes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    assert math.isnan(compare(*made(tmp_path, 'a')))
