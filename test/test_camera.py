# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from pose3d_ros.camera import Camera, camera_for
from pose3d_ros.errors import InputError

K = np.array([[500.0, 0, 320], [0, 510, 240], [0, 0, 1]])
POINTS = np.array([[0.0, 0, 2], [0.5, -0.4, 2.5], [-0.8, 0.6, 3], [0.2, 0.9, 4]])
MODELS = [
    ('', []),
    ('plumb_bob', [-0.28, 0.08, 1e-3, -5e-4, -0.01]),
    ('rational_polynomial', [0.3, -0.1, 1e-4, 1e-4, 0.02, 0.6, -0.1, 0.05]),
    ('equidistant', [-0.02, 0.005, -0.002, 0.0005]),
]


def info(**changes: object) -> Camera | None:
    fields: dict[str, object] = {
        'K': K.ravel(),
        'D': [0.0] * 5,
        'P': np.zeros(12),
        'model': 'plumb_bob',
        'size': (640, 480),
        'image_size': (640, 480),
    }
    return Camera.from_info(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(('model', 'D'), MODELS)
def test_rays_undo_projection(model: str, D: list[float]) -> None:
    camera = Camera(K=K, size=(640, 480), model=model, D=np.array(D))
    rays = camera.rays(camera.project(POINTS))
    np.testing.assert_allclose(rays, POINTS[:, :2] / POINTS[:, 2:], atol=1e-5)


def test_a_fisheye_without_distortion_is_no_pinhole() -> None:
    for D in (np.zeros(4), np.zeros(0)):
        camera = Camera(K=K, size=(640, 480), model='equidistant', D=D)
        assert not camera.straight
        pixels = camera.project(np.array([[1.0, 0, 1], [0, 0, 2], [0, -1, 0]]))
        wanted = [[320 + 500 * np.pi / 4, 240], [320, 240], [320, 240 - 510 * np.pi / 2]]
        np.testing.assert_allclose(pixels, wanted)
        np.testing.assert_allclose(camera.rays(pixels[:2]), [[1, 0], [0, 0]], atol=1e-12)
        np.testing.assert_allclose(camera.directions(pixels)[2], [0, -1, 0], atol=1e-12)
        assert len(camera.D) == 4


def test_a_fisheye_projects_as_opencv_does() -> None:
    D = np.array([-0.02, 0.005, -0.002, 0.0005])
    camera = Camera(K=K, size=(640, 480), model='equidistant', D=D)
    zero = np.zeros(3)
    wanted, _ = cv2.fisheye.projectPoints(POINTS[:, None], zero, zero, K, D)
    np.testing.assert_allclose(camera.project(POINTS), wanted[:, 0], atol=1e-9)


def test_a_fisheye_sees_behind_itself() -> None:
    camera = Camera(K=K, size=(640, 480), model='equidistant', D=np.array([0.01, 0, 0, 0]))
    point = np.array([[0.3, 0.4, -0.2]])
    pixel = camera.project(point)
    np.testing.assert_allclose(camera.directions(pixel), point / np.linalg.norm(point), atol=1e-9)
    # It has no x/z, rather than that of the point's mirror image.
    assert np.isnan(camera.rays(pixel)).all()
    assert np.isnan(camera.project(np.array([[0.0, 0, -1]]))).all()


def test_a_fisheye_ends_where_its_polynomial_folds_back() -> None:
    # theta - 0.2 * theta^3 is largest at 1.29, with 0.861.
    camera = Camera(K=K, size=(640, 480), model='equidistant', D=np.array([-0.2, 0, 0, 0]))
    assert np.isfinite(camera.project(np.array([[np.tan(1.28), 0, 1]]))).all()
    assert np.isnan(camera.project(np.array([[np.tan(1.31), 0, 1]]))).all()
    outside = np.array([[320 + 500 * 0.87, 240.0]])
    assert np.isnan(camera.rays(outside)).all()
    assert np.isnan(camera.directions(outside)).all()
    angle = np.arctan2(*camera.directions(outside, nearest=True)[0, [0, 2]])
    assert 1.28 < angle < 1.30


def test_nan_and_points_behind_have_no_image() -> None:
    camera = Camera(K=K, size=(640, 480))
    found = camera.project(np.array([[0, 0, -1], [np.nan, 0, 1], [0, 0, 1.0]]))
    assert np.isnan(found[:2]).all()
    np.testing.assert_allclose(found[2], (320, 240))
    assert np.isnan(camera.rays(np.array([[np.nan, 3.0]]))).all()


def test_pixels_beyond_the_distortion_model_have_no_ray() -> None:
    camera = Camera(K=K, size=(640, 480), model='plumb_bob', D=np.array([-0.4, 0.05, 0, 0, 0]))
    assert np.isnan(camera.rays(np.array([[4000.0, 240.0]]))).all()
    assert np.isfinite(camera.rays(np.array([[600.0, 240.0]]))).all()


@pytest.mark.parametrize('bad', [np.nan, np.inf, -3.0, 0.0])
def test_matrix_must_make_sense(bad: float) -> None:
    matrix = K.copy()
    matrix[0, 0] = bad
    with pytest.raises(InputError):
        Camera(K=matrix, size=(640, 480))


@pytest.mark.parametrize(
    ('fx', 'fy', 'cx', 'cy', 'odd'),
    [
        (500, 500, 320, 240, ''),
        (64, 12_800, 0, 479.5, ''),
        (0.8, 500, 320, 240, 'fx is 0.8 pixels, the image 640 wide'),
        (500, 13_000, 320, 240, 'fy is 13000 pixels'),
        (500, 500, 960, 540, r'principal point \(960, 540\) is outside 640x480'),
    ],
)
def test_a_matrix_that_cannot_be_says_what_is_odd(
    fx: float, fy: float, cx: float, cy: float, odd: str
) -> None:
    camera = Camera(K=np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]]), size=(640, 480))
    assert re.search(odd, camera.oddity)
    assert bool(camera.oddity) == bool(odd)


def test_distortion_must_make_sense() -> None:
    with pytest.raises(InputError, match='plumb_bob'):
        Camera(K=K, size=(640, 480), model='brown', D=np.ones(5))
    with pytest.raises(InputError, match='coefficients'):
        Camera(K=K, size=(640, 480), model='equidistant', D=np.ones(5))
    with pytest.raises(InputError):
        Camera(K=K, size=(640, 480), model='plumb_bob', D=np.array([np.nan] * 5))


SAME = np.array([0.1, -0.05, 0.002, 0.001])


@pytest.mark.parametrize(
    ('model', 'D', 'standard'),
    [
        ('fisheye', SAME, 'equidistant'),
        ('kannala_brandt4', SAME, 'equidistant'),
        ('equi', SAME, 'equidistant'),
        ('radtan', SAME, 'plumb_bob'),
        ('Brown Conrady', [*SAME, 0.01], 'plumb_bob'),
        ('modified_brown_conrady', [0.1, -0.05, 0, 0, 0.01], 'plumb_bob'),
        ('plumb_bob', [*SAME, 0, 0.2, 0, 0], 'rational_polynomial'),
        ('plumb_bob', [*SAME, 0, 0.2, *[0] * 6], 'rational_polynomial'),
        ('plumb_bob', [*SAME, 0, 0.2, *[0] * 8], 'rational_polynomial'),
        ('rational_polynomial', SAME, 'plumb_bob'),
        ('none', [], ''),
    ],
)
def test_other_names_of_models(model: str, D: Sequence[float], standard: str) -> None:
    camera = Camera(K=K, size=(640, 480), model=model, D=np.array(D))
    same = Camera(K=K, size=(640, 480), model=standard, D=np.array(D))
    assert camera.model == standard
    np.testing.assert_array_equal(camera.project(POINTS), same.project(POINTS))
    np.testing.assert_allclose(camera.rays(camera.project(POINTS))[1], [0.2, -0.16], atol=1e-5)


@pytest.mark.parametrize('model', ['inverse_brown_conrady', 'modified_brown_conrady'])
def test_what_other_formulas_mean_without_distortion(model: str) -> None:
    assert Camera(K=K, size=(640, 480), model=model, D=np.zeros(5)).straight
    with pytest.raises(InputError, match='without'):
        Camera(K=K, size=(640, 480), model=model, D=np.array([0.1, 0.1, 0.01, 0, 0]))


@pytest.mark.parametrize(
    ('model', 'D'), [('wavy', np.zeros(5)), ('ftheta', SAME), ('fisheye', np.zeros(5))]
)
def test_names_that_do_not_say_what_is_meant(model: str, D: np.ndarray) -> None:
    with pytest.raises(InputError, match='unknown|4 coefficients'):
        Camera(K=K, size=(640, 480), model=model, D=D)


def test_uncalibrated_is_none() -> None:
    assert info(K=np.zeros(9)) is None


def test_size_of_the_calibration_may_differ_by_scale_only() -> None:
    half = info(image_size=(320, 240))
    assert half is not None
    # A point keeps its place relative to the pixels' edges.
    np.testing.assert_allclose(half.K[0, 2] + 0.5, (320 + 0.5) / 2)
    np.testing.assert_allclose(half.K[0, 0], 250)
    with pytest.raises(InputError, match='640x480'):
        info(image_size=(640, 360))


def test_region_and_binning() -> None:
    region = info(roi=(100, 50, 320, 240), image_size=(320, 240))
    assert region is not None
    np.testing.assert_allclose(region.K[:2, 2], (220, 190))
    binned = info(binning=(2, 2), image_size=(320, 240))
    assert binned is not None
    np.testing.assert_allclose(binned.K[:2, 2], (159.75, 119.75))


def test_rectified_images_use_the_projection_matrix() -> None:
    P = np.array([[400.0, 0, 300, 0], [0, 400, 200, 0], [0, 0, 1, 0]])
    camera = info(P=P.ravel(), D=[-0.3, 0.1, 0, 0, 0], rectified=True)
    assert camera is not None
    assert camera.K[0, 0] == 400
    assert len(camera.D) == 0


def test_assumed_camera_says_so() -> None:
    camera = Camera.assume(600.0, (640, 480))
    assert camera.assumed
    np.testing.assert_allclose(camera.rays(np.array([[319.5, 239.5]])), 0)


def test_calibration_file(tmp_path: Path) -> None:
    path = tmp_path / 'camera.yaml'
    content = {
        'image_width': 640,
        'image_height': 480,
        'camera_name': 'left',
        'camera_matrix': {'rows': 3, 'cols': 3, 'data': K.ravel().tolist()},
        'distortion_model': 'plumb_bob',
        'distortion_coefficients': {'rows': 1, 'cols': 5, 'data': [0.1, 0, 0, 0, 0]},
    }
    path.write_text(yaml.safe_dump(content))
    camera = Camera.load(path)
    assert camera.size == (640, 480)
    np.testing.assert_allclose(camera.K, K)
    assert camera.D[0] == 0.1


@pytest.mark.parametrize('text', ['', '[1, 2', 'image_width: 3', 'just words', '\x00'])
def test_broken_calibration_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / 'camera.yaml'
    path.write_text(text)
    with pytest.raises(InputError, match='calibration'):
        Camera.load(path)
    with pytest.raises(InputError, match='nowhere'):
        Camera.load(tmp_path / 'nowhere.yaml')


def test_the_camera_of_an_image() -> None:
    calibrated = Camera(K, (640, 480))
    assert camera_for((640, 480), calibrated, 0.0) == (calibrated, '')
    half, problem = camera_for((320, 240), calibrated, 500.0)
    assert problem == ''
    assert half is not None
    assert half.size == (320, 240)
    assert not half.assumed
    other, problem = camera_for((640, 360), calibrated, 0.0)
    assert other is None
    assert 'another aspect ratio' in problem
    assumed, problem = camera_for((640, 360), calibrated, 500.0)
    assert assumed is not None
    assert assumed.assumed
    assert assumed.focal == 500.0
    assert 'another aspect ratio' in problem
    assert camera_for((640, 360), None, 0.0) == (None, '')
