# SPDX-License-Identifier: Apache-2.0
"""Against recorded results of the published pose-hg-3d."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from shared import parity_files, stem_of

from pose3d_ros.networks import pose_hg_3d as parts
from published import pose_hg_3d_variants as variants

FOLDER = 'pose_hg_3d'


def files(pattern: str):
    return pytest.mark.parametrize('path', parity_files(FOLDER, pattern), ids=stem_of)


def read(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as data:
        return {
            name: data[name].astype(np.float32) if data[name].dtype == np.float16 else data[name]
            for name in data.files
        }


@files('decode_msra*.npz')
def test_decoding_of_the_resnets(path: Path) -> None:
    data = read(path)
    cells, confidence = parts.peaks(data['heatmap'])
    np.testing.assert_array_equal(cells[..., 0], data['peak_xy_official_float'][..., 0])
    np.testing.assert_array_equal(cells[..., 1], np.floor(data['peak_xy_official_float'][..., 1]))
    np.testing.assert_allclose(confidence, data['peak_conf'][..., 0], atol=1e-6)
    for depth, name in (
        (data['depth'], 'joints3d_norm_mpii16'),
        (data['depth'][:, :1], 'joints3d_norm_mpii16_single_depth'),
    ):
        xyz = parts.joints(cells, parts.depth_at(depth, cells))
        np.testing.assert_allclose(xyz, data[name], atol=1e-6)
    xyz = parts.joints(cells, parts.depth_at(data['depth'], cells))
    found = variants.h36m_mm(xyz)
    known = np.isfinite(found).all(axis=(1, 2))
    np.testing.assert_allclose(found[known], data['joints_h36m17_mm'][known], atol=0.01)
    assert known.sum() >= len(known) - (data['kinds'] == 'flat').sum()
    iccv = variants.mpii_mm(xyz, variants.ICCV_MM)
    known &= np.isfinite(iccv).all(axis=(1, 2))
    np.testing.assert_allclose(iccv[known], data['joints_mpii16_mm_iccv_variant'][known], atol=0.01)
    pixels = parts.to_image(cells, data['center'], data['scale'])
    np.testing.assert_allclose(pixels, data['peak_image_px_integer_row'], atol=1e-3)
    error = np.linalg.norm(found - data['gt_h36m17_mm'], axis=2)
    if known.all():
        assert error.mean() == pytest.approx(float(data['mpjpe_mm_batch_mean']), abs=0.01)


@files('decode_msra*.npz')
def test_average_with_the_mirrored_crop(path: Path) -> None:
    data = read(path)
    heatmap = parts.averaged(data['heatmap'], data['heatmap_flipped_input'])
    depth = parts.averaged(data['depth'], data['depth_flipped_input'])
    cells, _ = parts.peaks(heatmap)
    xyz = parts.joints(cells, parts.depth_at(depth, cells))
    np.testing.assert_allclose(xyz, data['flip_avg_joints3d_norm_mpii16'], atol=1e-6)
    found = variants.h36m_mm(xyz)
    known = np.isfinite(found).all(axis=(1, 2))
    np.testing.assert_allclose(found[known], data['flip_avg_joints_h36m17_mm'][known], atol=0.01)


@files('decode_hourglass3d*.npz')
def test_decoding_of_the_hourglass(path: Path) -> None:
    data = read(path)
    cells, _ = parts.peaks(data['heatmap'])
    truth = data['gt_mpii16_mm'] - data['gt_mpii16_mm'][:, parts.PELVIS, None]
    for swapped, name in ((False, 'lua'), (True, 'pytorch_branch')):
        points = parts.quarter_shift(data['heatmap'], cells, swapped=swapped)
        xyz = parts.hourglass_joints(points, data['reg'])
        found = variants.mpii_mm(xyz, variants.HOURGLASS_MM)
        np.testing.assert_allclose(found, data[f'joints_mpii16_mm_{name}'], atol=0.01)
        error = np.linalg.norm(found - truth, axis=2).mean()
        assert error == pytest.approx(float(data[f'mpjpe_{name}']), abs=0.01)
    lua = parts.quarter_shift(data['heatmap'], cells)
    expected = data['peak_heatmap_px_lua_convention']
    np.testing.assert_allclose(lua + 1.5, expected[..., :2], atol=1e-4)


@files('preprocess*.npz')
def test_crops(path: Path) -> None:
    data = read(path)
    cases = sorted({name.partition('__')[0] for name in data if '__' in name})
    assert cases
    for case in cases:
        centre, side = data[f'{case}__center'], float(data[f'{case}__scale'])
        for size, name in ((256, 'affine_input'), (64, 'affine_output')):
            found = parts.affine(centre, side, size)
            np.testing.assert_allclose(found, data[f'{case}__{name}'], atol=1e-4)
        crop = parts.crop(data[f'{case}__image_bgr'], centre, side)
        off = np.abs(crop.astype(int) - data[f'{case}__warped_bgr'])
        # OpenCV 4 rounds positions to 1/32 pixel, OpenCV 5 does not.
        assert off.max() <= 2
        assert off.mean() < 0.05
        tensor = parts.normalised(data[f'{case}__warped_bgr'][None])[0]
        np.testing.assert_allclose(
            tensor[:, ::16, ::16], data[f'{case}__net_input_sample'], atol=1e-5
        )


@files('preprocess*.npz')
def test_turned_crop(path: Path) -> None:
    data = read(path)
    if 'rot30_affine' not in data:
        pytest.skip('no turned crop in this file')
    found = parts.affine(np.array([100.0, 120.0]), 200.0, 256, 30.0)
    np.testing.assert_allclose(found, data['rot30_affine'], atol=1e-4)


@files('h36m_targets*.npz')
def test_training_targets(path: Path) -> None:
    data = read(path)
    found = variants.training_target(data['h36m17_px'], data['h36m17_mm'])
    np.testing.assert_allclose(found, data['mpii16_uvd'], atol=1e-2)


@files('geometric_loss*.npz')
def test_geometric_loss(path: Path) -> None:
    data = read(path)
    xyz = np.concatenate([data['xy'], data['depth']], axis=2).astype(float)
    found = variants.geometric_loss(xyz, data['visible'][..., 0])
    np.testing.assert_allclose(found, data['var_loss'], rtol=1e-4, atol=1e-6)


def test_loss_ignores_bones_with_an_unseen_end() -> None:
    rng = np.random.default_rng(1)
    xyz = rng.normal(size=(2, 16, 3))
    seen = np.ones((2, 16))
    both = variants.geometric_loss(xyz, seen)
    assert (both > 0).all()
    np.testing.assert_allclose(variants.geometric_loss(2 * xyz, seen), 4 * both)
    seen[1] = 0
    assert variants.geometric_loss(xyz, seen)[1] == 0
    seen[1, 2:] = 1
    xyz[1, :2] = 1e6
    assert variants.geometric_loss(xyz, seen)[1] < 100
