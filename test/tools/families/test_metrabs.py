# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import zipfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='PyTorch is an extra: pose3d_ros[convert]')
pytest.importorskip('onnx', reason='onnx is an extra: pose3d_ros[convert]')

from toy_metrabs import COCO, H36M, use_small, write_archive, write_folder

from pose3d_ros.errors import ModelError
from pose3d_ros.estimators.metrabs import _place
from pose3d_ros.tools.convert.checkpoint import load_strictly, random_weights, read_checkpoint
from pose3d_ros.tools.convert.export import convert
from pose3d_ros.tools.families.metrabs import FAMILY, TABLE, Network

# What the authors' PyTorch program answers with the weights and the image of the test: pixels,
# millimetres, and placed by their solver for a focal length of 300 pixels.
AUTHORS = {
    (True, 16): (
        [(136.391, 159.991), (116.782, 66.378), (98.552, 125.548)],
        [(1279.368, 1299.055, 1623.948), (1036.431, 898.082, 987.315),
         (1171.041, 1015.892, 1865.993)],
        [(54.6, 190.99, 1512.97), (-104.41, -180.17, 876.34), (-106.85, -38.44, 1755.02)],
    ),
    (False, 16): (
        [(121.073, 154.374), (110.959, 72.103), (107.344, 129.217)],
        [(1302.746, 1360.456, 1631.098), (1012.065, 858.766, 971.943),
         (1184.861, 901.589, 1868.713)],
        [(-1.19, 240.68, 2061.18), (-162.55, -231.38, 1402.02), (-115.48, -74.7, 2298.79)],
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize('layout', AUTHORS, ids=str)
def test_the_authors_program_says_the_same(layout: tuple[bool, int]) -> None:
    network = Network('s', 3).eval()
    shapes = [(k, tuple(v.shape)) for k, v in network.state_dict().items() if k != 'crop']
    state = random_weights(shapes, 3, 1.0)
    state['heatmap_heads.conv_final.weight'] *= 20
    state['crop'] = torch.tensor([256.0, float(layout[0]), float(layout[1])])
    network.load_state_dict(state)
    image = np.random.RandomState(1).uniform(0, 1, (1, 3, 256, 256)).astype(np.float32)
    with torch.no_grad():
        points2d, points3d, margin, _ = network(torch.from_numpy(image))
    pixels, millimetres, placed = map(np.array, AUTHORS[layout])
    assert np.abs(points2d[0].numpy() - pixels).max() < 2e-3
    assert np.abs(points3d[0].numpy() - millimetres).max() < 0.02
    band = (24, 232) if layout[0] else (8, 216)
    assert np.allclose(
        margin[0], np.minimum(pixels - band[0], band[1] - pixels).min(axis=1), atol=0.01
    )
    rays = (points2d[0].double().numpy() - 128) / 300
    found = _place('metrabs', points3d[0].double().numpy() / 1000, rays, margin[0].numpy() >= 0)
    assert np.abs(1000 * found - placed).max() < 0.1


@pytest.mark.parametrize(
    ('size', 'total'), [('s', 21_458_488), ('m', 54_139_356), ('l', 118_515_272)]
)
def test_sizes_are_those_of_efficientnet_v2(size: str, total: int) -> None:
    with torch.device('meta'):
        network = Network(size, 10)
    count = sum(p.numel() for p in network.parameters())
    # Published with a layer for the 1000 classes of ImageNet in place of the heat maps.
    assert count - 1281 * 90 == total - 1281 * 1000


def test_flat_maps_mean_the_middle() -> None:
    network = Network('s', 2).eval()
    for key in ('weight', 'bias'):
        torch.nn.init.zeros_(getattr(network.heatmap_heads['conv_final'], key))
    with torch.no_grad():
        points2d, points3d, margin, variance = network(torch.zeros(1, 3, 256, 256))
    assert np.allclose(points2d, 128, atol=1e-3)
    assert np.allclose(points3d, 1100, atol=1e-2)
    assert np.allclose(margin, 104, atol=1e-3)
    flat = [
        float(sum(Fraction(k, n - 1) ** 2 for k in range(n)) / n - Fraction(1, 4)) for n in (8, 8)
    ]
    assert np.allclose(variance, flat[0], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['archive', 'zip', 'folder'])
def test_archives_become_files_of_both_formats(kind, tmp_path: Path, monkeypatch) -> None:
    use_small(monkeypatch)
    if kind == 'archive':
        path = write_archive(tmp_path / 'in')
    else:
        path = write_folder(tmp_path / 'in' / 'metrabs')
    if kind == 'zip':
        packed = tmp_path / 'metrabs.zip'
        with zipfile.ZipFile(packed, 'w') as archive:
            for item in path.parent.iterdir():
                archive.write(item, f'metrabs/{item.name}')
        path = packed
    done = convert('metrabs', path, tmp_path / 'pose')
    assert [item.suffix for item in done.files] == ['.onnx', '.xml', '.bin']
    assert max(done.errors.values()) < 1e-4
    convert('metrabs_table', path, tmp_path / 'joints')
    table = load_strictly(TABLE, read_checkpoint(TABLE, path))
    coco, h36m = table(torch.eye(36)[None, :, :])
    names = [f'{name}_coco' for name in COCO] + [f'{name}_h36m' for name in H36M]
    assert [names[k] for k in coco[0].argmax(dim=1)] == [f'{name}_coco' for name in COCO]
    assert [names[k] for k in h36m[0].argmax(dim=1)] == [f'{name}_h36m' for name in H36M]


@pytest.mark.slow
def test_random_weights_can_be_converted(tmp_path: Path) -> None:
    done = convert('metrabs', None, tmp_path / 'pose', seed=0, formats=('onnx',))
    assert max(done.errors.values()) < 1e-3


class Evil:
    def __reduce__(self):
        return print, ('executed',)


@pytest.mark.parametrize(
    ('changes', 'told'),
    [
        ({'box_size_mm': 2400}, 'box_size_mm: 2400; only 2200.0 is known'),
        ({'transform_coords': True}, 'transform_coords: True'),
        ({'proc_side': 250}, 'proc_side: 250'),
        ({'centered_stride': None, 'proc_side': 'big'}, 'config.yaml of the archive cannot'),
    ],
)
def test_other_settings_are_refused(changes, told: str, tmp_path: Path, monkeypatch) -> None:
    use_small(monkeypatch)
    path = write_folder(tmp_path / 'metrabs', **changes)
    with pytest.raises(ModelError, match=told):
        read_checkpoint(FAMILY, path)


@pytest.mark.parametrize(
    ('infos', 'told'),
    [
        (Evil(), 'holds builtins.print, which is not built'),
        ([1, 2], 'no table of conventions'),
        ({'coco_19': {'names': ['nose'], 'indices': [0]}}, 'describes no joints of coco_19'),
    ],
)
def test_other_tables_are_refused(infos, told: str, tmp_path: Path, monkeypatch, capsys) -> None:
    use_small(monkeypatch)
    path = write_folder(tmp_path / 'metrabs', infos=infos)
    with pytest.raises(ModelError, match=told):
        read_checkpoint(TABLE, path)
    assert 'executed' not in capsys.readouterr().out


def test_incomplete_and_foreign_files_are_refused(tmp_path: Path, monkeypatch) -> None:
    use_small(monkeypatch)
    path = write_folder(tmp_path / 'metrabs')
    np.save(path.with_name('joint_transform_matrix.npy'), np.eye(5))
    with pytest.raises(ModelError, match='the network has 324 maps, 45 are expected for 5 points'):
        read_checkpoint(FAMILY, path)
    path.with_name('config.yaml').unlink()
    with pytest.raises(ModelError, match=r'config.yaml missing; give the published archive'):
        read_checkpoint(FAMILY, path)
    with pytest.raises(ModelError, match='no EfficientNetV2 S, M or L'):
        FAMILY.build({f'backbone.1.1.{k}.block.0.0.weight': (8,) for k in range(7)})
