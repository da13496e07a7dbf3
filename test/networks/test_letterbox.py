# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from pose3d_ros.networks.letterbox import Detections, letterbox


@pytest.mark.parametrize(
    ('shape', 'longer', 'multiple', 'size'),
    [
        ((480, 640), 256, 32, (256, 192)),
        ((640, 480), 256, 32, (192, 256)),
        ((450, 600), 256, 32, (256, 192)),
        ((100, 640), 320, 32, (320, 64)),
        ((4, 640), 256, 32, (256, 32)),
        ((1, 1), 256, 32, (256, 256)),
        ((2160, 3840), 448, 32, (448, 256)),
        ((720, 1280), 416, 1, (416, 234)),
    ],
)
def test_size(shape: tuple[int, int], longer: int, multiple: int, size: tuple[int, int]) -> None:
    image = np.full((*shape, 3), 200, np.uint8)
    canvas, where = letterbox(image, longer, multiple=multiple)
    assert canvas.shape == (size[1], size[0], 3)
    assert where.size == size
    inner = np.rint(where.scale * shape[::-1]).astype(int)
    assert max(inner) == longer
    assert (canvas[: inner[1], : inner[0]] == 200).all()
    assert not canvas[inner[1] :].any()
    assert not canvas[:, inner[0] :].any()


def test_points_come_back_where_they_were() -> None:
    # One bright pixel in each corner; the middle of what it becomes is its place.
    for side in (256, 1280):
        for x, y in ((0, 0), (639, 0), (320, 239), (639, 479)):
            image = np.zeros((480, 640, 3), np.uint8)
            image[y, x] = 255
            canvas, where = letterbox(image, side, multiple=32)
            rows, columns = np.mgrid[: canvas.shape[0], : canvas.shape[1]] + 0.5
            weight = canvas[..., 0] / canvas[..., 0].sum()
            point = np.array([(weight * columns).sum(), (weight * rows).sum()])
            np.testing.assert_allclose(where.to_image(point), (x, y), atol=0.8)
    _, where = letterbox(np.zeros((480, 640, 3), np.uint8), 256)
    np.testing.assert_allclose(
        where.to_image(np.array([[0, 0], where.size])), [[-0.5, -0.5], [639.5, 479.5]]
    )


def test_an_empty_image_is_refused() -> None:
    with pytest.raises(ValueError, match='0x480 pixels is empty'):
        letterbox(np.zeros((480, 0, 3), np.uint8), 256)


def test_shapes_of_detections_are_checked() -> None:
    some = Detections(
        np.zeros((2, 4)), np.array([0.5, 0.4]), np.zeros((2, 17, 2)), np.ones((2, 17))
    )
    assert len(some) == 2
    assert some[np.array([1])].scores.tolist() == [0.4]
    assert len(some[some.scores > 1]) == 0
    with pytest.raises(ValueError, match=r'confidence must be \(2, 17\)'):
        Detections(np.zeros((2, 4)), np.zeros(2), np.zeros((2, 17, 2)), np.ones((2, 16)))
    with pytest.raises(ValueError, match=r'boxes must be \(2, 4\)'):
        Detections(np.zeros((1, 4)), np.zeros(2), np.zeros((2, 17, 2)), np.ones((2, 17)))
