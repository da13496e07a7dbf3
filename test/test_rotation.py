# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import cv2
import numpy as np
import pytest

from pose3d_ros.camera import Camera, turned_pixels, turned_rotation
from pose3d_ros.errors import ConfigError, InputError
from pose3d_ros.pipeline import Pipeline
from pose3d_ros.resources import resource
from pose3d_ros.rotation import restored, turned
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.skeleton import get_skeleton
from pose3d_ros.types import Floor, Frame, pose_2d
from pose3d_ros.zoo import Model

RNG = np.random.default_rng(5)
K = np.array([[500, 2, 330], [0, 520, 220], [0, 0, 1.0]])
LENSES = {
    'pinhole': ('', []),
    'plumb_bob': ('plumb_bob', [-0.2, 0.05, 0.003, -0.004, 0.01]),
    'rational': ('rational_polynomial', [0.1, 0.02, 0.003, -0.004, 0.01, 0.2, 0.03, 0.001]),
    'prism': (
        'rational_polynomial',
        [0.1, 0.02, 0.003, -0.004, 0, 0, 0, 0, 0.01, 0.02, 0.03, 4e-3],
    ),
    'fisheye': ('equidistant', [0.02, -0.01, 0.003, 0.001]),
}
TURNS = pytest.mark.parametrize('degrees', [90, 180, 270])


def lens(name: str) -> Camera:
    model, D = LENSES[name]
    matrix = K.copy()
    matrix[0, 1] = 2 if name == 'pinhole' else 0
    return Camera(K=matrix, size=(640, 480), model=model, D=np.array(D))


@TURNS
def test_pixels_turn_with_the_image(degrees: int) -> None:
    image = np.zeros((48, 64, 3), np.uint8)
    image[7, 50] = 255
    upright, _ = turned(Frame(image), degrees)
    row, column = np.argwhere(upright.image[..., 0])[0]
    np.testing.assert_allclose(turned_pixels(np.array([50, 7]), (64, 48), degrees), [column, row])
    assert upright.size == ((64, 48) if degrees == 180 else (48, 64))


@TURNS
@pytest.mark.parametrize('name', LENSES)
def test_a_turned_camera_shows_turned_points_at_turned_pixels(name: str, degrees: int) -> None:
    camera = lens(name)
    points = np.column_stack([RNG.uniform(-1, 1, (50, 2)), RNG.uniform(2, 4, 50)])
    wanted = turned_pixels(camera.project(points), camera.size, degrees)
    got = camera.turned(degrees).project(points @ turned_rotation(degrees).T)
    np.testing.assert_allclose(got, wanted, atol=1e-6)


def test_a_tilted_sensor_is_refused() -> None:
    camera = Camera(K=K, size=(640, 480), model='plumb_bob', D=np.full(14, 0.01))
    with pytest.raises(InputError, match='tilt'):
        camera.turned(90)
    frame, problem = turned(Frame(np.zeros((480, 640, 3), np.uint8), camera=camera), 90)
    assert frame.camera is None
    assert 'tilt' in problem
    assert restored(frame, [])[0].camera is None


@TURNS
def test_what_belongs_to_a_frame_turns_and_comes_back(degrees: int) -> None:
    pixels = RNG.uniform(5, 40, (17, 2))
    pose = pose_2d(get_skeleton('coco_17'), pixels, np.ones(17), 0.5, (64, 48))
    pose = pose.replace(
        xyz=RNG.normal(size=(17, 3)),
        covariance=np.tile(np.diag([1.0, 2.0, 3.0]), (17, 1, 1)),
        velocity=np.array([1.0, 2.0, 3.0]),
    )
    image = np.zeros((48, 64, 3), np.uint8)
    image[10:30, 20:25] = 255  # a body at the box's pixels
    depth = np.where(image[..., 0] > 0, 2, 5).astype(np.float32)
    frame = Frame(
        image,
        depth=depth,
        boxes=np.array([[20, 10, 5, 20, 0.9]]),
        keypoints=[pose],
        gravity=np.array([0, 1.0, 0]),
        floor=Floor(np.array([0, -1.0, 0]), 1.2),
    )
    upright, _ = turned(frame, degrees)
    assert upright.boxes is not None
    assert upright.depth is not None
    assert upright.gravity is not None
    assert upright.floor is not None
    assert upright.keypoints is not None
    x, y, width, height = upright.boxes[0, :4].astype(int)
    assert (upright.image[y : y + height, x : x + width] == 255).all()
    assert (upright.image == 255).sum() == 3 * width * height
    np.testing.assert_array_equal(upright.depth == 2, upright.image[..., 0] == 255)
    np.testing.assert_allclose(upright.gravity, turned_rotation(degrees) @ [0, 1, 0])
    np.testing.assert_allclose(upright.floor.up, -upright.gravity)
    original, [back] = restored(upright, upright.keypoints)
    assert original.image is image
    for name in ('xyz', 'pixels', 'covariance', 'velocity'):
        np.testing.assert_allclose(getattr(back, name), getattr(pose, name), atol=1e-9)


@pytest.mark.slow
def test_a_turned_camera_sees_the_same_person(blazepose_model: Model) -> None:
    degrees = 90
    video = cv2.VideoCapture(str(resource('demo', 'jump.mp4')))
    images = [video.read()[1] for _ in range(5)]
    with np.load(resource('demo', 'jump.npz')) as data:
        camera = Camera(K=data['K'], size=(640, 480))
    upright = Pipeline(PipelineConfig(threads=2))
    mounted = Pipeline(PipelineConfig(threads=2, image_rotation=degrees))
    for k, image in enumerate(images):
        frame = Frame(image, stamp_ns=k * 33_000_000, camera=camera)
        sensor, _ = turned(frame, 360 - degrees)
        sideways = Frame(sensor.image, stamp_ns=frame.stamp_ns, camera=sensor.camera)
        [wanted] = upright.process(frame).people
        result = mounted.process(sideways)
        [got] = result.people
        assert result.finished[0].frame.image is sideways.image
        R = turned_rotation(360 - degrees)
        np.testing.assert_allclose(got.xyz, wanted.xyz @ R.T, atol=2e-3)
        assert sideways.camera is not None
        projected = sideways.camera.project(got.xyz)
        np.testing.assert_allclose(projected, got.pixels, atol=25)


def test_other_angles_are_refused() -> None:
    with pytest.raises(ConfigError, match='0, 90, 180 or 270, not 45'):
        PipelineConfig(image_rotation=45)
