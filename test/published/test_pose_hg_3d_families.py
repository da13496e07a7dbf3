# SPDX-License-Identifier: Apache-2.0
"""Networks of pose-hg-3d against recorded layouts and outputs."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from shared import parity_files, stem_of

from pose3d_ros.errors import ModelError

torch = pytest.importorskip('torch', reason='the networks are needed for conversion only')

from pose3d_ros.tools.convert.checkpoint import load_strictly
from pose3d_ros.tools.convert.export import convert
from pose3d_ros.tools.families import load_family
from pose3d_ros.tools.families.pose_hg_3d import Network, resnet_of

pytestmark = pytest.mark.slow

FOLDER = 'pose_hg_3d'
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def family_of(name: str) -> str:
    return 'pose_hg_3d_hourglass' if 'hourglass' in name else 'pose_hg_3d'


def seeded(shapes: dict[str, tuple[int, ...]], seed: int) -> dict[str, torch.Tensor]:
    """Weights made from the names, as the recorded ones."""
    state = {}
    for key, shape in shapes.items():
        r = np.random.RandomState((seed + zlib.crc32(key.encode())) % 2**32)
        if key.endswith('num_batches_tracked'):
            continue
        if key.endswith('running_mean'):
            value = r.normal(0, 0.1, shape)
        elif key.endswith('running_var'):
            value = r.uniform(0.5, 1.5, shape)
        elif len(shape) == 1:
            value = r.uniform(0.5, 1, shape) if key.endswith('weight') else r.normal(0, 0.1, shape)
        else:
            value = r.normal(0, 1, shape) * np.sqrt(2 / np.prod(shape[1:]))
        state[key] = torch.from_numpy(np.asarray(value, np.float32))
    return state


def shapes_of(path: Path) -> dict[str, tuple[int, ...]]:
    keys = json.loads(path.read_text())['keys']
    return {key: tuple(shape) for key, (shape, _) in keys.items()}


LAYOUTS = parity_files(FOLDER, 'state_dict_*.json')


@pytest.mark.parametrize('path', LAYOUTS, ids=stem_of)
def test_layouts(path: Path) -> None:
    shapes = shapes_of(path)
    family = load_family(family_of(path.stem))
    if '2d' in path.stem:
        with pytest.raises(ModelError, match='no depth head'):
            family.build(shapes)
        return
    module = family.build(shapes)
    expected = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    assert {k: v for k, v in expected.items() if 'num_batches' not in k} == {
        k: v for k, v in shapes.items() if 'num_batches' not in k
    }
    assert sum(p.numel() for p in module.parameters()) == json.loads(path.read_text())['n_params']


@pytest.mark.parametrize('path', parity_files(FOLDER, 'network_*.npz'), ids=stem_of)
def test_outputs(path: Path) -> None:
    with np.load(path) as data:
        recorded = {name: data[name] for name in data.files}
    name = path.stem.removeprefix('network_').rpartition('_seed')[0]
    family = load_family(family_of(name))
    depth = int(name.rpartition('_')[2]) if name.startswith('msra') else 0
    module = Network(depth) if depth else family.build({})
    shapes = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    module = load_strictly(family, seeded(shapes, int(recorded['seed'])))
    image = recorded['image_bgr_u8'].astype(np.float64)
    image = (image / 255 - MEAN) / DEVIATION if depth else image / 256
    tensor = torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float32))
    with torch.no_grad():
        found = [x.numpy() for x in module(tensor)]
    names = ('hm', 'depth') if depth else ('hm_stack1', 'hm_stack2', 'reg')
    for output, array in zip(names, found, strict=True):
        limit = 1e-4 * np.abs(recorded[output]).max()
        assert np.abs(array - recorded[output]).max() < limit


@pytest.mark.parametrize('depth', [18, 34, 50, 101])
def test_the_resnet_is_recognised(depth: int) -> None:
    shapes = {key: tuple(value.shape) for key, value in Network(depth).state_dict().items()}
    assert resnet_of(shapes) == depth


def test_conversion_of_a_plain_dictionary(tmp_path: Path) -> None:
    module = Network(18)
    state = {k: v for k, v in module.state_dict().items() if 'num_batches' not in k}
    path = tmp_path / 'fusion_3d_var.pth'
    torch.save({'epoch': 10, 'state_dict': state}, path, _use_new_zipfile_serialization=False)
    done = convert('pose_hg_3d', path, tmp_path / 'network')
    assert [file.suffix for file in done.files] == ['.onnx', '.xml', '.bin']
    assert max(done.errors.values()) < 1e-3
    del state['depth.weight']
    torch.save({'epoch': 10, 'state_dict': state}, path)
    with pytest.raises(ModelError, match='no depth head'):
        convert('pose_hg_3d', path, tmp_path / 'other')
