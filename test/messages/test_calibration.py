# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from pose3d_ros.camera import Camera
from pose3d_ros.errors import InputError
from pose3d_ros.messages.calibration import Calibration, camera_of, info_message
from pose3d_ros.messages.standalone import StandaloneTypes

TYPES = StandaloneTypes()
K = np.array([[500.0, 0, 320], [0, 510, 240], [0, 0, 1]])
D = np.array([0.1, -0.2, 0.001, 0.002, 0.05])


def info(**changes):
    camera = Camera(K=K, size=(640, 480), model='plumb_bob', D=D)
    message = info_message(TYPES, camera, stamp_ns=1, frame_id='cam')
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def test_there_and_back():
    name = 'sensor_msgs/msg/CameraInfo'
    got = TYPES.deserialize(TYPES.serialize(info(), name), name)
    camera = camera_of(got, (640, 480))
    np.testing.assert_array_equal(camera.K, K)
    np.testing.assert_array_equal(camera.D, D)
    assert (camera.model, camera.size) == ('plumb_bob', (640, 480))
    np.testing.assert_array_equal(got.r, np.eye(3).ravel())
    assert got.p[0] == 500


def test_an_equidistant_camera_with_four_zeros_stays_one():
    message = info(distortion_model='equidistant', d=np.zeros(4))
    camera = camera_of(message, (640, 480))
    pixel = camera.project(np.array([[1.0, 0, 1]]))[0]
    np.testing.assert_allclose(pixel, (320 + 500 * np.pi / 4, 240))
    back = info_message(TYPES, camera, stamp_ns=1, frame_id='cam')
    assert (back.distortion_model, len(back.d)) == ('equidistant', 4)


def test_rectified_images_use_the_projection():
    p = np.zeros(12)
    p[[0, 2, 5, 6, 10]] = 400, 310, 410, 230, 1
    camera = camera_of(info(p=p), (640, 480), rectified=True)
    assert camera.K[0, 0] == 400
    assert len(camera.D) == 0


def test_zeros_mean_uncalibrated():
    assert camera_of(info(k=np.zeros(9), d=np.zeros(0)), (640, 480)) is None


@pytest.mark.parametrize(
    ('changes', 'size', 'complaint'),
    [
        ({'k': np.full(9, np.nan)}, (640, 480), 'finite'),
        ({'d': np.array([np.nan] * 5)}, (640, 480), 'finite'),
        ({'d': np.ones(3)}, (640, 480), 'coefficients, not 3'),
        ({'distortion_model': 'wavy'}, (640, 480), "'wavy' is unknown"),
        ({}, (640, 400), 'another aspect ratio'),
    ],
)
def test_what_makes_no_sense_is_refused(changes, size, complaint):
    with pytest.raises(InputError, match=complaint):
        camera_of(info(**changes), size)


def test_calibration_keeps_its_camera_until_something_changes():
    calibration = Calibration()
    assert calibration.camera((640, 480)) is None
    assert calibration.problem == 'no camera_info has come'
    calibration.update(info())
    first = calibration.camera((640, 480))
    assert first is not None
    assert calibration.problem == ''
    calibration.update(info())
    assert calibration.camera((640, 480)) is first
    half = calibration.camera((320, 240))
    assert half.K[0, 0] == 250
    calibration.update(info(k=(K * [[2], [2], [1]]).ravel()))
    assert calibration.camera((640, 480)).K[0, 0] == 1000


def test_calibration_names_its_problem():
    calibration = Calibration()
    calibration.update(info(k=np.zeros(9)))
    assert calibration.camera((640, 480)) is None
    assert 'uncalibrated' in calibration.problem
    calibration.update(info())
    assert calibration.camera((640, 400)) is None
    assert 'another aspect ratio' in calibration.problem
    assert calibration.camera((640, 480)) is not None
    assert calibration.problem == ''


def test_a_calibration_of_rectified_images_alone():
    p = np.zeros(12)
    p[[0, 2, 5, 6, 10]] = 400, 310, 410, 230, 1
    message = info(k=np.zeros(9), p=p)
    for topic in ('/camera/image_rect_color', '/camera/image_rect/compressed'):
        calibration = Calibration()
        calibration.topic = topic
        calibration.update(message)
        camera = calibration.camera((640, 480))
        assert camera.straight
        assert (camera.K[0, 0], camera.K[1, 2]) == (400, 230)
    calibration = Calibration()
    calibration.topic = '/camera/image_raw'
    calibration.update(message)
    assert calibration.camera((640, 480)) is None
    assert 'K is zero in camera_info, P is not: set image_is_rectified' in calibration.problem


@pytest.mark.parametrize(
    ('topic', 'p', 'focal'),
    [
        ('/camera/image_rect', 400, 400),
        ('/camera/image_rect', 0, K[0, 0]),
        ('/camera/image_raw', 400, K[0, 0]),
    ],
)
def test_a_rectified_topic_takes_the_projection_of_the_raw_images_calibration(topic, p, focal):
    projection = np.zeros(12)
    projection[[0, 5]] = p
    projection[10] = 1
    calibration = Calibration()
    calibration.topic = topic
    calibration.update(info(p=projection))
    camera = calibration.camera((640, 480))
    assert camera.K[0, 0] == focal
    assert camera.straight == (focal == 400)


def test_an_unlikely_calibration_is_named():
    calibration = Calibration()
    calibration.update(info(k=(K * [[0.001], [1], [1]]).ravel()))
    assert calibration.camera((640, 480)) is not None
    assert 'fx is 0.5 pixels' in calibration.oddity
    calibration.update(info())
    calibration.camera((640, 480))
    assert calibration.oddity == ''
