# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from pose3d_ros.networks import movenet


def person(score: float, box: tuple[float, ...], x: float, y: float) -> np.ndarray:
    joints = np.tile([y, x, 0.7], (17, 1))
    joints[:, 2] = np.linspace(0.1, 0.9, 17)
    return np.array([*joints.ravel(), *box, score])


def test_input() -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    image[..., 0], image[..., 2] = 10, 30  # blue, red
    tensor, where = movenet.prepare(image, 256)
    assert tensor.shape == (1, 192, 256, 3)
    assert tensor.dtype == np.int32
    assert tensor[0, 0, 0].tolist() == [30, 0, 10]
    np.testing.assert_allclose(where.scale, 0.4)
    for side in (0, 16, 250):
        with pytest.raises(ValueError, match=f'multiple of 32, not {side}'):
            movenet.prepare(image, side)


def test_people_in_image_pixels_best_first() -> None:
    image = np.zeros((450, 600, 3), np.uint8)
    _, where = movenet.prepare(image, 320)  # 320x256, the image in 320x240 of it
    assert where.size == (320, 256)
    output = np.zeros((1, 6, 56), np.float32)
    output[0, 1] = person(0.3, (0.1, 0.2, 0.6, 0.4), 0.25, 0.5)
    output[0, 4] = person(0.8, (0.0, 0.0, 240 / 256, 1.0), 1.0, 240 / 256)
    output[0, 5] = person(0.1, (0.1, 0.2, 0.6, 0.4), 0.25, 0.5)
    output[0, 2] = np.nan
    output[0, 2, -1] = 0.9
    found = movenet.decode(output, where)
    np.testing.assert_allclose(found.scores, [0.8, 0.3], rtol=1e-6)
    np.testing.assert_allclose(found.boxes[0], [-0.5, -0.5, 599.5, 449.5], atol=1e-4)
    np.testing.assert_allclose(found.keypoints[0], np.tile([599.5, 449.5], (17, 1)), atol=1e-4)
    np.testing.assert_allclose(found.boxes[1], [119.5, 47.5, 239.5, 287.5], atol=1e-4)
    np.testing.assert_allclose(found.keypoints[1, 3], [149.5, 239.5], atol=1e-4)
    np.testing.assert_allclose(found.confidence[1], np.linspace(0.1, 0.9, 17), rtol=1e-6)
    assert len(movenet.decode(output, where, 0.05)) == 3
    nobody = movenet.decode(np.zeros((1, 6, 56)), where)
    assert nobody.boxes.shape == (0, 4)
    assert nobody.keypoints.shape == (0, 17, 2)


def test_square_around_joints() -> None:
    joints = np.array([[10.0, 20.0], [np.nan, np.nan], [50.0, 120.0]])
    np.testing.assert_allclose(movenet.square(joints), [30, 70, 130])
    assert movenet.square(joints[:1])[2] == 1
    with pytest.raises(ValueError, match='at least one joint'):
        movenet.square(joints[1:2])


def test_crop_and_back() -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    image[90:118, 190:218] = 255
    for region in (np.array([210.0, 110.0, 96.0]), np.array([195.5, 90.0, 400.0])):
        tensor = movenet.crop(image, region, 192)
        assert tensor.shape == (1, 192, 192, 3)
        assert tensor.dtype == np.int32
        rows, columns = np.mgrid[:192, :192] + 0.5
        weight = tensor[0, ..., 0] / tensor.sum() * 3
        share = np.array([(weight * rows).sum(), (weight * columns).sum()]) / 192
        output = np.tile([*share, 0.6], (1, 1, 17, 1))
        points, confidence = movenet.decode_single(output, region)
        np.testing.assert_allclose(points, np.tile([203.5, 103.5], (17, 1)), atol=0.2)
        np.testing.assert_allclose(confidence, 0.6)


def test_a_crop_may_reach_beyond_the_image() -> None:
    image = np.full((100, 100, 3), 255, np.uint8)
    tensor = movenet.crop(image, np.array([0.0, 50.0, 200.0]), 256)
    assert not tensor[0, 128, :120].any()
    assert (tensor[0, 128, 135:250] == 255).all()
