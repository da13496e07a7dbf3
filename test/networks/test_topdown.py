# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from pose3d_ros.networks import topdown


def test_crops_have_the_aspect_of_the_network_and_come_back() -> None:
    boxes = np.array([[10.0, 20, 50, 200], [0, 0, 300, 100]])
    centre, extent = topdown.centre_scale(boxes, (192, 256))
    np.testing.assert_allclose(extent[:, 0] / extent[:, 1], 0.75)
    point = np.array([[33.0, 44.0]])
    for c, e in zip(centre, extent):
        matrix = topdown.warp_matrix(c, e, (192, 256))
        inside = point @ matrix[:, :2].T + matrix[:, 2]
        np.testing.assert_allclose(topdown.to_image(inside, (192, 256), c, e), point)


def test_letterbox_keeps_the_aspect() -> None:
    canvas, ratio = topdown.letterbox(np.zeros((100, 200, 3), np.uint8), (416, 416))
    assert ratio == 2.08
    assert (canvas[:208] == 0).all()
    assert (canvas[208:] == 114).all()


def test_suppression_keeps_the_best() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [1, 1, 11, 11], [50, 50, 60, 60]])
    assert topdown.nms(boxes, np.array([0.5, 0.9, 0.7]), 0.3) == [1, 2]


def test_equal_scores_keep_their_order() -> None:
    count = 1000  # so many that an unstable sort mixes them
    left = 20.0 * np.arange(count)
    boxes = np.stack([left, left * 0, left + 10, left * 0 + 10], axis=1)
    scores = np.where(np.arange(count) % 3 == 0, 0.9, 0.5).astype(np.float32)
    kept = topdown.nms(boxes, scores, 0.3)
    assert kept == sorted(range(count), key=lambda k: (k % 3 != 0, k))
