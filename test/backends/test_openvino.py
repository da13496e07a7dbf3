# SPDX-License-Identifier: Apache-2.0
"""OpenVINO on small networks made here."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

ov = pytest.importorskip('openvino')
from openvino import opset8 as ops
from support.processor import has_bf16

from pose3d_ros.backends import (
    NetworkSpec,
    Pixels,
    Port,
    RuntimeOptions,
    cache_folder,
    load_network,
)
from pose3d_ros.backends.openvino import devices
from pose3d_ros.errors import BackendError, ModelError

RNG = np.random.default_rng(0)
IMAGE = RNG.uniform(0, 1, (1, 3, 16, 16)).astype(np.float32)


@pytest.fixture
def spec(tmp_path: Path) -> NetworkSpec:
    """A backbone with two heads and a mask that nobody wants."""
    image = ops.parameter([1, 3, 16, 16], np.float32, name='image')
    kernel = RNG.normal(size=(64, 3, 16, 16)).astype(np.float32)
    features = ops.relu(
        ops.convolution(image, ops.constant(kernel), [1, 1], [0, 0], [0, 0], [1, 1])
    )

    def head(size: int) -> ov.Node:
        weights = RNG.normal(size=(size, 64, 1, 1)).astype(np.float32)
        out = ops.convolution(features, ops.constant(weights), [1, 1], [0, 0], [0, 0], [1, 1])
        return ops.reshape(out, np.array([-1, size]), False)

    mask = ops.relu(image)
    path = tmp_path / 'toy.xml'
    ov.save_model(ov.Model([head(5), mask, head(7)], [image], 'toy'), path, compress_to_fp16=False)
    ports = {'five': Port((None, 5)), 'seven': Port((None, 7))}
    return NetworkSpec(path, {'image': Port((None, 3, 16, 16))}, ports, heads=('five', 'seven'))


def test_roles_are_found_by_shape_and_the_rest_is_pruned(spec: NetworkSpec) -> None:
    found = load_network(spec, RuntimeOptions())({'image': IMAGE})
    assert {role: out.shape for role, out in found.items()} == {'five': (1, 5), 'seven': (1, 7)}


def test_arrays_in_another_order_or_type_are_read_while_they_live(tmp_path: Path) -> None:
    # Large enough that a freed copy is given back to the system and used again.
    image = ops.parameter([-1, 3, 256, 256], np.float32, name='image')
    path = tmp_path / 'sum.xml'
    ov.save_model(ov.Model([ops.reduce_mean(image, np.array([2, 3]), False)], [image], 'sum'), path)
    network = load_network(
        NetworkSpec(path, {'image': Port((None, 3, 256, 256))}, {'mean': Port((None, 3))}),
        RuntimeOptions(),
    )
    images = RNG.uniform(0, 1, (2, 256, 256, 3))
    for array in (np.moveaxis(images.astype(np.float32), 3, 1), np.moveaxis(images, 3, 1)):
        for _ in range(5):
            found = network({'image': array})['mean']
            assert np.abs(found - images.mean(axis=(1, 2))).max() < 1e-4


def test_tensors_inside_the_network_are_delivered(spec: NetworkSpec) -> None:
    wanted = replace(spec, inner={'before': 'seven'})
    for precision in ('f32', 'mixed'):
        found = load_network(wanted, RuntimeOptions(precision=precision))({'image': IMAGE})
        assert found['before'].shape == (1, 7, 1, 1)
        assert np.abs(found['before'][:, :, 0, 0] - found['seven']).max() < 1e-5


def test_batches_equal_single_runs(spec: NetworkSpec) -> None:
    network = load_network(spec, RuntimeOptions())
    images = RNG.uniform(0, 1, (5, 3, 16, 16)).astype(np.float32)
    together = network({'image': images})
    alone = [network({'image': images[k : k + 1]}) for k in range(5)]
    for role in ('five', 'seven'):
        joined = np.concatenate([out[role] for out in alone])
        np.testing.assert_allclose(together[role], joined, rtol=1e-4, atol=1e-3)


def test_results_belong_to_the_caller(spec: NetworkSpec) -> None:
    network = load_network(spec, RuntimeOptions())
    first = network({'image': IMAGE})['five']
    kept = first.copy()
    network({'image': IMAGE * 3})
    np.testing.assert_array_equal(first, kept)


def test_inputs_of_any_layout_and_type(spec: NetworkSpec) -> None:
    network = load_network(spec, RuntimeOptions())
    turned = np.asfortranarray(IMAGE[..., ::-1].astype(np.float64))
    plain = np.ascontiguousarray(turned, dtype=np.float32)
    expected = network({'image': plain})['five']
    np.testing.assert_array_equal(network({'image': turned})['five'], expected)


def test_images_are_made_of_bytes(spec: NetworkSpec, tmp_path: Path) -> None:
    image = ops.parameter([1, 4, 4, 3], np.float32, name='image')
    path = tmp_path / 'colours.xml'
    ov.save_model(ov.Model([ops.relu(image)], [image], 'colours'), path)
    port = Port((None, 4, 4, 3), image=Pixels(10.0, 2.0))
    seen = NetworkSpec(path, {'image': port}, {'out': Port((None, 4, 4, 3))})
    network = load_network(seen, RuntimeOptions())
    for batch in (1, 2):
        pixels = RNG.integers(10, 255, (batch, 4, 4, 3), dtype=np.uint8)
        found = network({'image': pixels})['out']
        np.testing.assert_allclose(found, (pixels[..., ::-1].astype(float) - 10) / 2)


def test_planar_images(tmp_path: Path) -> None:
    data = ops.parameter([-1, 3, 4, 6], np.float32, name='data')
    path = tmp_path / 'planes.xml'
    ov.save_model(ov.Model([ops.relu(data)], [data], 'planes'), path)
    pixels = RNG.integers(10, 255, (2, 4, 6, 3), dtype=np.uint8)
    planes = pixels.transpose(0, 3, 1, 2).astype(float)
    for image, expected in (
        (Pixels(rgb=False, planar=True), planes),
        (Pixels(10.0, 2.0, planar=True), (planes[:, ::-1] - 10) / 2),
    ):
        port = Port((None, 4, 6, 3), image=image)
        seen = NetworkSpec(path, {'data': port}, {'out': Port((None, 3, 4, 6))})
        network = load_network(seen, RuntimeOptions())
        np.testing.assert_allclose(network({'data': pixels})['out'], expected)
        np.testing.assert_allclose(network({'data': pixels[:1]})['out'], expected[:1])


def test_several_submitted_at_once(spec: NetworkSpec) -> None:
    network = load_network(spec, RuntimeOptions())
    images = [IMAGE * k for k in range(8)]
    futures = [network.submit({'image': image}) for image in images]
    for image, future in zip(images, futures):
        expected = network({'image': image})['seven']
        np.testing.assert_allclose(future.result(10)['seven'], expected, rtol=1e-4, atol=1e-3)


def test_mixed_keeps_the_heads_exact(spec: NetworkSpec) -> None:
    """The last layers run in f32: their output is as exact as the rounding before allows."""
    exact = load_network(spec, RuntimeOptions())
    mixed = load_network(spec, replace(RuntimeOptions(), precision='mixed'))
    assert exact.precision == 'f32'
    assert mixed.precision == ('mixed' if has_bf16() else 'f32')
    for batch in (1, 3):
        images = np.repeat(IMAGE, batch, axis=0)
        a, b = exact({'image': images}), mixed({'image': images})
        for role in ('five', 'seven'):
            assert a[role].shape == b[role].shape
            assert np.abs(a[role] - b[role]).max() < 0.02 * np.abs(a[role]).max()


def test_another_network_is_named(spec: NetworkSpec) -> None:
    wrong = replace(spec, outputs={'nine': Port((None, 9))})
    with pytest.raises(ModelError, match=r'toy\.xml is another network.*nine'):
        load_network(wrong, RuntimeOptions())
    wrong = replace(spec, inputs={'image': Port((None, 3, 32, 32))})
    with pytest.raises(ModelError, match='input'):
        load_network(wrong, RuntimeOptions())


@pytest.mark.parametrize('name', ['broken.xml', 'broken.onnx', 'broken.tflite', 'broken.pb'])
@pytest.mark.parametrize('content', [b'', b'\x00\x01 no model', b'<net'])
def test_damaged_files(spec: NetworkSpec, tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ModelError, match='broken'):
        load_network(replace(spec, path=path), RuntimeOptions(), 'openvino')


def test_unknown_device_lists_the_known(spec: NetworkSpec) -> None:
    for device in ('TPU', 'HETERO:TPU,CPU', 'MULTI', 'GPU.7'):
        with pytest.raises(BackendError) as error:
            load_network(spec, replace(RuntimeOptions(), device=device))
        assert device.split(':')[0] in str(error.value)
    assert 'CPU' in str(error.value)


def test_fallback_warns_and_runs(spec: NetworkSpec, caplog: pytest.LogCaptureFixture) -> None:
    options = replace(RuntimeOptions(), device='VPU', device_fallback=True)
    if 'NPU' in devices():
        pytest.skip('this machine has an NPU')
    network = load_network(spec, options)
    assert network.device == 'CPU'
    assert 'VPU' in caplog.text
    assert network({'image': IMAGE})['five'].shape == (1, 5)


@pytest.mark.parametrize('device', ['cpu', 'AUTO', 'AUTO:CPU', 'HETERO:CPU'])
def test_devices_in_any_spelling(spec: NetworkSpec, device: str) -> None:
    network = load_network(spec, replace(RuntimeOptions(), device=device, threads=1))
    assert network({'image': IMAGE})['five'].shape == (1, 5)


def test_precision_that_the_device_lacks(spec: NetworkSpec) -> None:
    able = ov.Core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES')
    if 'FP16' in able:
        pytest.skip('this CPU computes in f16')
    with pytest.raises(BackendError, match='f16'):
        load_network(spec, replace(RuntimeOptions(), precision='f16'))


@pytest.mark.parametrize('variable', ['ONEDNN_MAX_CPU_ISA', 'DNNL_MAX_CPU_ISA'])
def test_a_limited_processor(
    spec: NetworkSpec, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.delenv('ONEDNN_MAX_CPU_ISA', raising=False)
    monkeypatch.setenv(variable, 'AVX2')
    assert load_network(spec, RuntimeOptions(precision='mixed')).precision == 'f32'
    with pytest.raises(BackendError, match='bf16'):
        load_network(spec, RuntimeOptions(precision='bf16'))


@pytest.mark.skipif(
    os.environ.get('ONEDNN_MAX_CPU_ISA', '').upper() == 'AVX2',
    reason='OpenVINO asks for VNNI if the processor has it, and the limited oneDNN cannot',
)
@pytest.mark.parametrize('stored', ['f32', 'f16'])
@pytest.mark.parametrize('transposed', [False, True])
def test_weights_of_matrix_products_in_eight_bits(
    tmp_path: Path, stored: str, transposed: bool
) -> None:
    """Close to f32, but not it; small matrices stay as they are."""
    x = ops.parameter([-1, 512], np.float32, name='x')
    # Rows of very different sizes: each output has a scale of its own.
    big = RNG.normal(size=(512, 512)).astype(np.float32) * np.logspace(-3, 3, 512)
    small = RNG.normal(size=(512, 4)).astype(np.float32)
    big = big.astype(np.float32)
    wide = ops.matmul(x, ops.constant(big.T.copy() if transposed else big), False, transposed)
    thin = ops.matmul(x, ops.constant(small), False, False)
    path = tmp_path / 'toy.xml'
    ov.save_model(ov.Model([wide, thin], [x], 'toy'), path, compress_to_fp16=stored == 'f16')
    spec = NetworkSpec(
        path, {'x': Port((None, 512))}, {'wide': Port((None, 512)), 'thin': Port((None, 4))}
    )
    given = {'x': RNG.normal(size=(3, 512)).astype(np.float32)}
    exact = load_network(spec, RuntimeOptions())(given)
    network = load_network(spec, RuntimeOptions(precision='int8'))
    assert network.precision == 'int8'
    found = network(given)
    np.testing.assert_allclose(found['thin'], exact['thin'], atol=1e-4)
    error = np.abs(found['wide'] - exact['wide']).max(axis=0) / np.abs(exact['wide']).max(axis=0)
    assert 1e-5 < np.median(error) < 0.02


def test_compiled_models_are_cached(spec: NetworkSpec, tmp_path: Path) -> None:
    folder = tmp_path / 'cache'
    load_network(spec, replace(RuntimeOptions(), cache_dir=folder))
    assert list(folder.iterdir())


def test_cache_folder_moves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv('POSE3D_CACHE', str(tmp_path / 'here'))
    assert cache_folder() == tmp_path / 'here' / 'compiled'
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('POSE3D_CACHE', str(tmp_path / 'file'))
    assert cache_folder() is None
