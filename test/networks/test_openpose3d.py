# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from pose3d_ros.networks import openpose3d as parts
from pose3d_ros.networks.openpose3d_people import extract
from pose3d_ros.tools.openpose3d_scenes import draw


def test_padding_and_pixels() -> None:
    image = np.random.default_rng(0).integers(0, 255, (720, 1280, 3), np.uint8)
    assert parts.input_size(1280, 720, 256) == (456, 256)
    target = np.empty((256, 456, 3), np.uint8)
    view = parts.prepare(image, target, 256)
    assert (target[:, 455] == 128).all()
    assert not (target[:, 454] == 128).all()
    # The middle of the frame is the middle of the scaled part.
    np.testing.assert_allclose(view.pixels(np.array([455 / 16, 16])), [639.5, 359.5])
    small = np.empty((128, 128, 3), np.uint8)
    view = parts.prepare(image, small, (128, 128))
    assert (small[72:] == 128).all()
    np.testing.assert_allclose(view.pixels(np.array([8, 4.5])), [639.5, 359.5])


def test_joints_are_read_at_their_own_places() -> None:
    scene = draw(3, (57, 32))
    people = extract(scene.maps['heatmaps'], scene.maps['pafs'], published=False)
    readout = parts.read(people, scene.maps['features'], parts.RIGHT_SLOTS, published=False)
    assert readout.relative.shape == (3, 19, 3)
    for k, cells in enumerate(readout.cells):
        apart = np.nanmean(np.linalg.norm(scene.cells - cells, axis=2), axis=1)
        true = scene.relative[int(np.argmin(apart))]
        assert np.abs(readout.relative[k] - true).max() < 0.05
