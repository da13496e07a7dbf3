# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from pose3d_ros.camera import Camera
from pose3d_ros.networks.crops import (
    CropCamera,
    Picture,
    look_at,
    look_at_each,
    look_at_wide,
    upright,
    varied,
)

SIZE = (640, 480)
K = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])
BARREL = np.array([-0.25, 0.08, 0.001, -0.002, 0.0])


def camera(distortion: np.ndarray | None = None) -> Camera:
    if distortion is None:
        return Camera(K=K, size=SIZE)
    return Camera(K=K, size=SIZE, model='plumb_bob', D=distortion)


def gradient() -> np.ndarray:
    """An image whose pixel values say where they are, smooth enough to interpolate."""
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    return np.stack([x * 0.35, y * 0.5, (x + y) * 0.2], axis=-1).round().astype(np.uint8)


@pytest.mark.parametrize('distortion', [None, BARREL])
@pytest.mark.parametrize('make', [look_at, look_at_wide])
def test_centre_and_ends_of_the_box_fill_the_crop(distortion, make) -> None:
    crop = make(camera(distortion), np.array([500.0, 100, 60, 200]), 256)
    assert np.allclose(crop.R @ crop.R.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(crop.R) == pytest.approx(1)
    points = np.array([(530.0, 200.0), (530, 100), (530, 300)])
    centre, top, bottom = crop.from_image(points)
    assert np.allclose(centre, 128, atol=1e-3)
    assert np.linalg.norm(top - bottom) == pytest.approx(256, rel=1e-6)


@pytest.mark.parametrize('distortion', [None, BARREL])
def test_points_go_there_and_back(distortion) -> None:
    crop = look_at(camera(distortion), np.array([50.0, 300, 250, 100]), 256)
    points = np.random.default_rng(0).uniform(0, 255, (50, 2))
    assert np.allclose(crop.from_image(crop.to_image(points)), points, atol=1e-3)


def test_a_direction_of_the_crop_is_one_of_the_camera() -> None:
    crop = look_at(camera(), np.array([500.0, 100, 60, 200]), 256)
    ahead = crop.to_camera(np.array([0.0, 0, 1]))
    assert np.allclose(ahead[:2] / ahead[2], camera().rays(np.array([[530.0, 200]]))[0])


@pytest.mark.parametrize('distortion', [None, BARREL])
def test_pixels_come_from_where_the_points_say(distortion) -> None:
    crop = look_at(camera(distortion), np.array([400.0, 150, 100, 220]), 256)
    cut = Picture(gradient()).cut(crop, antialias=False)
    points = np.random.default_rng(1).integers(5, 250, (200, 2))
    source = crop.to_image(points.astype(float))
    inside = ((source > 2) & (source < np.subtract(SIZE, 3))).all(axis=1)
    expected = np.stack([source[:, 0] * 0.35, source[:, 1] * 0.5, source.sum(axis=1) * 0.2], axis=1)
    apart = np.abs(cut[points[:, 1], points[:, 0]] - expected)[inside]
    assert inside.sum() > 150
    assert apart.max() < 1.2


def ramps() -> np.ndarray:
    """An image whose pixels tell their own x and y."""
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    return np.stack([x, y, np.ones_like(x)], axis=-1).astype(np.float32)


FISHEYE = np.array([-0.02, 0.004, 0.0, 0.0])
LENSES = {
    'barrel': camera(BARREL),
    'rational': Camera(
        K=K, size=SIZE, model='rational_polynomial',
        D=np.array([0.4, -0.2, 0.001, 0.001, 0.02, 0.7, -0.1, 0.01]),
    ),
    'fisheye': Camera(K=K, size=SIZE, model='equidistant', D=FISHEYE),
    'wide fisheye': Camera(
        K=np.array([[250.0, 0, 320], [0, 250, 240], [0, 0, 1]]), size=SIZE, model='equidistant',
        D=FISHEYE,
    ),
}  # fmt: skip


@pytest.mark.parametrize('lens', LENSES)
@pytest.mark.parametrize('box', [(20.0, 20, 600, 440), (560.0, 20, 60, 60), (5.0, 300, 90, 170)])
@pytest.mark.parametrize('view', [{}, {'angle': 0.4, 'scale': 0.8}, {'mirror': True}], ids=str)
def test_a_distorted_pixel_comes_from_its_place_within_a_thirtieth(lens, box, view) -> None:
    crop = varied(look_at(LENSES[lens], np.array(box), 256), **view)
    picture = Picture(np.zeros((480, 640, 3), np.uint8))
    picture._levels.append(ramps())
    cut = picture.cut(crop, antialias=False)
    x, y = np.meshgrid(np.arange(256.0), np.arange(256.0))
    source = crop.to_image(np.stack([x.ravel(), y.ravel()], axis=1)).reshape(256, 256, 2)
    inside = ((source > 1) & (source < np.subtract(SIZE, 2))).all(axis=2)
    assert inside.mean() > 0.3
    assert np.abs(cut[..., :2] - source)[inside].max() < 0.03


@pytest.mark.parametrize('lens', LENSES)
def test_what_is_behind_a_distorted_camera_is_black(lens) -> None:
    looking = look_at(LENSES[lens], np.array([270.0, 190, 100, 100]), 256)
    behind = CropCamera(looking.K, np.diag([1.0, -1, -1]) @ looking.R, 256, looking.camera)
    assert Picture(np.full((480, 640, 3), 255, np.uint8)).cut(behind).max() == 0
    if lens == 'wide fisheye':
        return  # sees half of all there is
    wide = CropCamera(
        np.diag([0.01, 0.01, 1.0]) @ looking.K + [[0, 0, 126], [0, 0, 126], [0, 0, 0]],
        looking.R, 256, looking.camera,
    )  # fmt: skip
    # The whole half space: far pixels must not come round on the other side.
    cut = Picture(np.full((480, 640, 3), 255, np.uint8)).cut(wide, antialias=False)
    assert cut[:40].max() == cut[-40:].max() == cut[:, :40].max() == cut[:, -40:].max() == 0


def test_a_crop_beyond_ninety_degrees_of_a_fisheye() -> None:
    K_wide = np.array([[150.0, 0, 320], [0, 150, 240], [0, 0, 1]])
    lens = Camera(K=K_wide, size=SIZE, model='equidistant', D=np.zeros(4))
    # Its centre is 1.8 rad from the axis.
    crop = look_at(lens, np.array([570.0, 220, 40, 40]), 256)
    np.testing.assert_allclose(crop.R[2], [np.sin(1.8), 0, np.cos(1.8)], atol=1e-9)
    pixels = np.array([[580.0, 230], [590, 240], [600, 255]])
    inside = crop.from_image(pixels)
    assert ((inside > 0) & (inside < 256)).all()
    np.testing.assert_allclose(crop.to_image(inside), pixels, atol=1e-6)
    picture = Picture(np.zeros((480, 640, 3), np.uint8))
    picture._levels.append(ramps())
    cut = picture.cut(crop, antialias=False)
    np.testing.assert_allclose(cut[128, 128, :2], (590, 240), atol=0.05)


def test_outside_the_image_is_black() -> None:
    white = np.full((480, 640, 3), 255, np.uint8)
    crop = look_at(camera(), np.array([-100.0, 100, 150, 150]), 256)
    cut = Picture(white).cut(crop)
    assert cut[128, 10].max() == 0
    assert cut[128, 245].min() == 255


def test_without_calibration_the_crop_is_a_plain_square() -> None:
    box = np.array([100.0, 80, 120, 240])
    crop = look_at(upright(box, SIZE), box, 256)
    assert np.allclose(crop.R, np.eye(3))
    corners = crop.to_image(np.array([(0.0, 0.0), (256, 256)]))
    assert np.allclose(corners, [(40, 80), (280, 320)])


def test_shrinking_averages_instead_of_dropping_pixels() -> None:
    stripes = np.zeros((480, 640, 3), np.uint8)
    stripes[:, ::2] = 255
    crop = look_at(camera(), np.array([80.0, 0, 480, 480]), 64)
    plain = Picture(stripes).cut(crop, antialias=False)[16:48, 16:48]
    smooth = Picture(stripes).cut(crop)[16:48, 16:48]
    finer = Picture(stripes).cut(crop, antialias=False, oversampling=8)[16:48, 16:48]
    assert plain.std() > 40
    assert smooth.std() < 15
    assert finer.std() < plain.std() / 2
    assert abs(float(smooth.mean()) - 127.5) < 5


def test_variants_roll_zoom_and_mirror() -> None:
    crop = look_at(camera(), np.array([200.0, 100, 100, 200]), 256)
    mirrored = varied(crop, mirror=True)
    assert mirrored.mirrored
    assert not crop.mirrored
    a = Picture(gradient()).cut(crop)
    b = Picture(gradient()).cut(mirrored)
    # Column x of one is column 256 - x of the other, about the principal point 128.
    assert np.abs(a[:, 1:].astype(int) - b[:, :0:-1]).max() <= 1
    point = np.array([[200.0, 40.0]])
    assert varied(crop, scale=2.0).rays(point)[0] == pytest.approx(crop.rays(point)[0] / 2)
    rolled = varied(crop, angle=np.pi / 2)
    up = crop.R.T @ [0.0, -1, 0]
    assert np.allclose(rolled.R @ up, [-1, 0, 0], atol=1e-12)


def test_a_box_without_extent_has_no_crop() -> None:
    assert look_at(camera(), np.array([100.0, 100, 0, 0]), 256) is None


def test_straight_up_is_a_direction_too() -> None:
    crop = look_at(camera(), np.array([270.0, 190, 100, 100]), 256, up=np.array([0.0, 0, 1]))
    assert np.allclose(crop.R @ crop.R.T, np.eye(3), atol=1e-12)


def test_several_boxes_at_once() -> None:
    boxes = np.array([[20.0, 20, 100, 300, 0.9], [300, 100, 200, 90, 0.8], [5, 5, 0, 0, 0.7]])
    found = look_at_each(camera(BARREL), boxes, 256)
    assert found[2] is None
    for box, crop in zip(boxes[:2], found):
        alone = look_at(camera(BARREL), box, 256)
        assert np.allclose(alone.K, crop.K)
        assert np.allclose(alone.R, crop.R)
    assert look_at_each(camera(), boxes[:0], 256) == []
