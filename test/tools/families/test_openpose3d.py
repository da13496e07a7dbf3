# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from shared import Recorded, parity_files

torch = pytest.importorskip('torch', reason='PyTorch is an extra: pose3d_ros[convert]')
pytest.importorskip('onnx', reason='onnx is an extra: pose3d_ros[convert]')

from pose3d_ros.backends import NetworkSpec, Port, RuntimeOptions, available, load_network
from pose3d_ros.tools.convert.checkpoint import load_strictly, random_weights
from pose3d_ros.tools.convert.export import convert
from pose3d_ros.tools.families.openpose3d import FAMILY, Network

pytestmark = pytest.mark.slow

CASES = parity_files('openpose3d', 'network_io_*.npz')


@pytest.fixture(scope='module')
def table(recorded: Recorded) -> dict:
    return json.loads(recorded('openpose3d/network_state_dict.json').read_text())


def state_of(table: dict, seed: int) -> dict:
    return random_weights([(e['key'], tuple(e['shape'])) for e in table['entries']], seed)


def test_keys_and_shapes(table: dict) -> None:
    expected = {e['key']: tuple(e['shape']) for e in table['entries']}
    state = Network().state_dict()
    assert {key: tuple(value.shape) for key, value in state.items()} == expected
    trainable = sum(p.numel() for p in Network().parameters())
    assert trainable == table['trainable_parameter_count']


def test_recipe(table: dict) -> None:
    check = table['recipe_check']
    state = state_of(table, check['seed'])
    np.testing.assert_allclose(
        state['model.0.0.weight'][0, 0, 0, :], check['model.0.0.weight[0,0,0,:]'], rtol=1e-6
    )
    name = 'Pose3D.prediction.feature_maps.1.0.bias'
    np.testing.assert_allclose(state[name][:4], check[f'{name}[:4]'], rtol=1e-6)


def test_auxiliary_convolutions_are_ignored(table: dict) -> None:
    state = state_of(table, 1)
    full = {k: v for k, v in state.items() if 'num_batches' not in k}
    load_strictly(FAMILY, full)


@pytest.mark.parametrize('path', CASES, ids=lambda path: path.stem)
def test_outputs_as_recorded(table: dict, path: Path) -> None:
    case = np.load(path)
    state = state_of(table, int(case['weights_seed']))
    digest = hashlib.sha256()
    for e in table['entries']:
        digest.update(state[e['key']].numpy().tobytes())
    assert digest.hexdigest() == str(case['weights_sha256'])
    network = load_strictly(FAMILY, {k: v for k, v in state.items() if 'num_batches' not in k})
    image = case['image_bgr'].transpose(2, 0, 1)[None].astype(np.float32)
    with torch.no_grad():
        outputs = network(torch.from_numpy(image))
    for name, found in zip(FAMILY.outputs, outputs):
        wanted = case[name]
        assert np.abs(found[0].numpy() - wanted).max() < 1e-3 * wanted.std(), name


@pytest.fixture(scope='module')
def files(table: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Converted from an archive like the published one."""
    seeds = {int(np.load(path)['weights_seed']) for path in CASES}
    if len(seeds) != 1:
        pytest.skip('one seed for all recorded cases is needed')
    folder = tmp_path_factory.mktemp('converted')
    checkpoint, archive = folder / 'human-pose-estimation-3d-0001.pth', folder / 'all.tar.gz'
    torch.save(state_of(table, seeds.pop()), checkpoint)
    with tarfile.open(archive, 'w:gz', compresslevel=1) as packed:
        packed.add(checkpoint, f'human-pose-estimation-3d/{checkpoint.name}')
    convert('openpose3d', archive, folder / 'network', member=checkpoint.name)
    return folder


@pytest.mark.parametrize('runtime', ['openvino', 'onnxruntime'])
@pytest.mark.parametrize('path', CASES, ids=lambda path: path.stem)
def test_runtimes_give_the_recorded_outputs(files: Path, path: Path, runtime: str) -> None:
    if runtime not in available():
        pytest.skip(f'{runtime} is not installed')
    case = np.load(path)
    image = case['image_bgr'].transpose(2, 0, 1)[None].astype(np.float32)
    name = 'network.xml' if runtime == 'openvino' else 'network.onnx'
    outputs = {name: Port((None,) * 4, name) for name in FAMILY.outputs}
    spec = NetworkSpec(files / name, {'data': Port((None, 3, None, None), 'data')}, outputs)
    device = 'CPU' if runtime == 'openvino' else 'cpu'
    found = load_network(spec, RuntimeOptions(device=device), runtime)({'data': image})
    for output in outputs:
        wanted = case[output]
        assert np.abs(found[output][0] - wanted).max() < 1e-3 * wanted.std(), output
