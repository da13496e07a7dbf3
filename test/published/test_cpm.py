# SPDX-License-Identifier: Apache-2.0
"""2D stage of Lifting from the Deep against recorded results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from shared import parity_files, stem_of

from pose3d_ros.networks import cpm as parts

FOLDER = 'lifting_from_the_deep'


@pytest.mark.parametrize('path', parity_files(FOLDER, 'detect_*.npz'), ids=stem_of)
def test_centres_and_crops(path: Path) -> None:
    with np.load(path) as data:
        width = int(data['width'])
        heatmap = parts.enlarged(data['heatmap_low'].astype(np.float32), 368, width)
        np.testing.assert_allclose(heatmap[::23, ::31], data['heatmap_probe'], atol=1e-5)
        found = parts.centres(heatmap)
        np.testing.assert_array_equal(found, data['centres_row_col'].reshape(-1, 2)[:4])
        if 'crops_probe' not in data:
            return
        y, x = np.mgrid[0:368, 0:width]
        waves = [0.5 * np.sin(x / 37) * np.cos(y / 29), 0.5 * np.cos(x / 53), 0.5 * np.sin(y / 41)]
        crops = parts.crops(np.stack(waves, axis=2).astype(np.float32), found)
        np.testing.assert_allclose(crops[:, ::16, ::16], data['crops_probe'][: len(found)],
                                   atol=1e-6)  # fmt: skip
        probe = np.tile(parts.centre_map()[None, ::16, ::16], (len(found), 1, 1))
        np.testing.assert_allclose(probe, data['centre_map_probe'][: len(found)], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize('path', parity_files(FOLDER, 'parts_*.npz'), ids=stem_of)
def test_joints(path: Path) -> None:
    with np.load(path) as data:
        maps = data['heatmaps'].astype(np.float32).transpose(0, 3, 1, 2)
        found, likelihood = parts.joints(maps)
        np.testing.assert_array_equal(found[..., ::-1].transpose(0, 2, 1), data['argmax_xy'])
        np.testing.assert_allclose(likelihood, data['likelihood'], atol=1e-5)
        people = data['centres_row_col']
        here = found[: len(people)] + people[:, None] - parts.SIZE // 2
        np.testing.assert_array_equal(here, data['parts_row_col'])
        np.testing.assert_array_equal(parts.visible(likelihood[: len(people)]), data['visible'])
