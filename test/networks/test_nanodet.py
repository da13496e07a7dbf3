# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from pose3d_ros.networks import nanodet


def outputs() -> tuple[list[np.ndarray], list[np.ndarray]]:
    counts = [(nanodet.SIDE // stride) ** 2 for stride in nanodet.STRIDES]
    assert counts == [2704, 676, 169]
    return [np.zeros((1, n, 80)) for n in counts], [np.zeros((1, n, 44)) for n in counts]


def put(sides: np.ndarray, cell: int, bins: tuple[int, ...]) -> None:
    """Certain distances to left, top, right, bottom."""
    for k, b in enumerate(bins):
        sides[0, cell, 11 * k + b] = 50.0


def test_input() -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    image[..., 0] = 200
    tensor, where = nanodet.prepare(image)
    assert tensor.shape == (1, 3, 416, 416)
    assert tensor.dtype == np.float32
    np.testing.assert_allclose(tensor[0, 0, 0, 0], (200 - 103.53) / 57.375, rtol=1e-5)
    np.testing.assert_allclose(tensor[0, 0, 415, 0], -103.53 / 57.375, rtol=1e-5)
    np.testing.assert_allclose(where.scale, 0.65)


def test_boxes_by_stride() -> None:
    image = np.zeros((416, 416, 3), np.uint8)
    _, where = nanodet.prepare(image)
    classes, sides = outputs()
    classes[1][0, 26 * 5 + 7, 0] = 0.6
    put(sides[1], 26 * 5 + 7, (1, 2, 3, 4))
    classes[2][0, 13 * 9 + 2, 0] = 0.9
    put(sides[2], 13 * 9 + 2, (0, 1, 1, 0))
    classes[0][0, 0, 0] = 0.34  # under the threshold
    classes[0][0, 100, 16] = 0.99  # a dog
    found = nanodet.decode(classes, sides, where)
    np.testing.assert_allclose(found.scores, [0.9, 0.6])
    x, y = 2.5 * 32, 9.5 * 32
    np.testing.assert_allclose(found.boxes[0], np.array([x, y - 32, x + 32, y]) - 0.5, atol=1e-6)
    x, y = 7.5 * 16, 5.5 * 16
    wanted = np.array([x - 16, y - 32, x + 48, y + 64]) - 0.5
    np.testing.assert_allclose(found.boxes[1], wanted, atol=1e-6)
    assert found.keypoints.shape == (2, 0, 2)
    assert len(nanodet.decode(classes, sides, where, min_score=0.3)) == 3


def test_distance_is_an_expectation() -> None:
    _, where = nanodet.prepare(np.zeros((416, 416, 3), np.uint8))
    classes, sides = outputs()
    classes[2][0, 13 * 6 + 6, 0] = 0.9
    for k in range(4):
        sides[2][0, 13 * 6 + 6, 11 * k + 2 : 11 * k + 4] = 30.0
    found = nanodet.decode(classes, sides, where)
    centre = 6.5 * 32
    wanted = np.array([centre - 80, centre - 80, centre + 80, centre + 80]) - 0.5
    np.testing.assert_allclose(found.boxes[0], wanted, atol=1e-6)


def test_the_weaker_of_two_that_overlap_goes() -> None:
    _, where = nanodet.prepare(np.zeros((416, 416, 3), np.uint8))
    classes, sides = outputs()
    for cell, score in ((26 * 10 + 10, 0.5), (26 * 10 + 11, 0.8), (26 * 10 + 20, 0.4)):
        classes[1][0, cell, 0] = score
        put(sides[1], cell, (4, 4, 4, 4))
    assert nanodet.decode(classes, sides, where).scores.tolist() == [0.8, 0.4]
    found = nanodet.decode(classes, sides, where, max_overlap=0.99)
    assert found.scores.tolist() == [0.8, 0.5, 0.4]


def test_nobody() -> None:
    _, where = nanodet.prepare(np.zeros((30, 20, 3), np.uint8))
    found = nanodet.decode(*outputs(), where)
    assert len(found) == 0
    assert found.boxes.shape == (0, 4)
