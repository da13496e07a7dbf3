# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='PyTorch is an extra: pose3d_ros[convert]')
onnx = pytest.importorskip('onnx', reason='onnx is an extra: pose3d_ros[convert]')

from toy_networks import TOY, weights

from pose3d_ros.backends import NetworkSpec, Port, RuntimeOptions, load_network
from pose3d_ros.errors import ConfigError, ModelError
from pose3d_ros.tools.convert.checkpoint import load_strictly
from pose3d_ros.tools.convert.export import convert, export
from pose3d_ros.tools.families import Family

pytestmark = pytest.mark.slow


def spec(path: Path, size: tuple[int | None, int | None] = (None, None)) -> NetworkSpec:
    return NetworkSpec(
        path,
        {'image': Port((None, 3, *size), 'image')},
        {'map': Port((None, 4, None, None), 'map'), 'mean': Port((None, 4), 'mean')},
    )


def test_files_any_size_and_batch(tmp_path: Path) -> None:
    done = export(TOY, load_strictly(TOY, weights()), tmp_path / 'net', {'pose3d.family': 'toy'})
    assert [path.name for path in done.files] == ['net.onnx', 'net.xml', 'net.bin']
    assert max(done.errors.values()) < 1e-4
    assert {label.split()[1] for label in done.errors} >= {'openvino'}
    image = np.random.default_rng(1).random((2, 3, 24, 16), np.float32)
    expected = load_strictly(TOY, weights())(torch.from_numpy(image))[0].detach().numpy()
    for path in done.files[:2]:
        network = load_network(spec(path), RuntimeOptions())
        assert network.metadata == {'pose3d.family': 'toy'}
        np.testing.assert_allclose(network({'image': image})['map'], expected, atol=1e-5)
        # Sizes that the caller names are fixed.
        fixed = load_network(spec(path, (24, 16)), RuntimeOptions())
        np.testing.assert_allclose(fixed({'image': image})['map'], expected, atol=1e-5)


def test_fixed_size_and_half_precision(tmp_path: Path) -> None:
    module = load_strictly(TOY, weights())
    done = export(TOY, module, tmp_path / 'net', {}, precision='f16', size=(64, 32))
    shape = onnx.load(str(done.files[0])).graph.input[0].type.tensor_type.shape
    assert [d.dim_value for d in shape.dim][1:] == [3, 32, 64]
    kinds = {t.data_type for t in onnx.load(str(done.files[0])).graph.initializer}
    assert onnx.TensorProto.FLOAT16 in kinds
    assert next(module.parameters()).dtype == torch.float32
    assert 1e-6 < max(done.errors.values()) < 5e-2


def test_random_weights_are_marked_and_refused(tmp_path: Path) -> None:
    done = export(TOY, load_strictly(TOY, weights()), tmp_path / 'n', {'pose3d.weights': 'random'})
    for path in done.files[:2]:
        with pytest.raises(ModelError, match='random weights.*set allow_random_weights'):
            load_network(spec(path), RuntimeOptions())
        load_network(spec(path), RuntimeOptions(allow_random_weights=True))
    pytest.importorskip('onnxruntime')
    with pytest.raises(ModelError, match='random weights'):
        load_network(spec(done.files[0]), RuntimeOptions(device='cpu'), 'onnxruntime')


def test_a_conversion_that_changes_values_is_not_kept(tmp_path: Path) -> None:
    class Moody(torch.nn.Module):
        """Computes something else while it is exported."""

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image * (2.0 if torch.onnx.is_in_onnx_export() else 3.0)

    family = Family(
        build=lambda shapes: Moody(),
        examples=TOY.examples,
        inputs=('image',),
        outputs=('y',),
        dynamic={},
    )
    with pytest.raises(ModelError, match='the conversion went wrong: net.onnx openvino y differs'):
        export(family, Moody().eval(), tmp_path / 'net', {})
    assert list(tmp_path.iterdir()) == []


def test_settings(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="format must be one of onnx, xml, not 'pb'"):
        convert('openpose3d', None, tmp_path / 'x', formats=('pb',), seed=1)
    with pytest.raises(ConfigError, match="precision must be one of f32, f16, not 'int8'"):
        convert('openpose3d', None, tmp_path / 'x', precision='int8', seed=1)
    with pytest.raises(ConfigError, match='either a checkpoint or a seed'):
        convert('openpose3d', None, tmp_path / 'x')
