# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pose3d_ros.camera import Camera
from pose3d_ros.errors import InputError

K = [[500.0, 0, 320.5], [0, 510, 240.25], [0, 0, 1]]
INFO = """header:
  stamp: {sec: 1, nanosec: 0}
  frame_id: cam
height: 480
width: 640
distortion_model: %s
d: %s
k: [500.0, 0.0, 320.5, 0.0, 510.0, 240.25, 0.0, 0.0, 1.0]
r: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
p: [500.0, 0.0, 320.5, 0.0, 0.0, 510.0, 240.25, 0.0, 0.0, 0.0, 1.0, 0.0]
binning_x: 0
binning_y: 0
roi: {x_offset: 0, y_offset: 0, height: 0, width: 0, do_rectify: false}
---
"""
OPENCV = """%%YAML:1.0
---
image_width: 640
image_height: 480
%scamera_matrix: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 500., 0., 320.5, 0., 510., 240.25, 0., 0., 1. ]
distortion_coefficients: !!opencv-matrix
   rows: 5
   cols: 1
   dt: d
   data: [ %s ]
"""
KALIBR = """cam0:
  camera_model: %s
  distortion_coeffs: [0.1, -0.2, 0.001, 0.002]
  distortion_model: %s
  intrinsics: [500.0, 510.0, 320.5, 240.25]
  resolution: [640, 480]
  rostopic: /image
"""
INI = """# oST version 5.0 parameters

[image]

width
640

height
480

[narrow_stereo]

camera matrix
500.0 0.0 320.5
0.0 510.0 240.25
0.0 0.0 1.0

distortion
%s

rectification
1.0 0.0 0.0
0.0 1.0 0.0
0.0 0.0 1.0
"""
COLMAP = '# Camera list with one line of data per camera:\n1 %s 640 480 %s\n'
FOUR, FIVE = [0.1, -0.2, 0.001, 0.002], [0.1, -0.2, 0.001, 0.002, 0.05]
FISHEYE = OPENCV % ('fisheye_model: 1\n', '0.1, -0.2, 0.001, 0.002')


@pytest.mark.parametrize(
    ('text', 'model', 'D'),
    [
        (INFO % ('plumb_bob', FIVE), 'plumb_bob', FIVE),
        (INFO % ('equidistant', FOUR), 'equidistant', FOUR),
        (OPENCV % ('', '0.1, -0.2, 0.001, 0.002, 0.05'), 'plumb_bob', FIVE),
        (FISHEYE, 'equidistant', FOUR),
        (KALIBR % ('pinhole', 'radtan'), 'plumb_bob', FOUR),
        (KALIBR % ('pinhole', 'equidistant'), 'equidistant', FOUR),
        (INI % '0.1 -0.2 0.001 0.002 0.05', 'plumb_bob', FIVE),
        (COLMAP % ('OPENCV', '500 510 321 240.75 0.1 -0.2 0.001 0.002'), 'plumb_bob', FOUR),
        (COLMAP % ('PINHOLE', '500 510 321 240.75'), '', []),
        (COLMAP % ('OPENCV_FISHEYE', '500 510 321 240.75 1e-1 -0.2 0.001 0.002'), 'equidistant',
         FOUR),
    ],
)  # fmt: skip
def test_files_of_calibrators(tmp_path: Path, text: str, model: str, D: list[float]) -> None:
    path = tmp_path / 'calibration'
    path.write_text(text)
    camera = Camera.load(path)
    assert (camera.size, camera.model) == ((640, 480), model)
    np.testing.assert_allclose(camera.K, K)
    np.testing.assert_allclose(camera.D, D)


def test_a_colmap_camera_of_one_focal_length(tmp_path: Path) -> None:
    path = tmp_path / 'cameras.txt'
    path.write_text(COLMAP % ('RADIAL', '500 320 240 0.1 -0.2'))
    camera = Camera.load(path)
    np.testing.assert_allclose(camera.K, [[500, 0, 319.5], [0, 500, 239.5], [0, 0, 1]])
    np.testing.assert_allclose(camera.D, [0.1, -0.2, 0, 0])


@pytest.mark.parametrize(
    ('text', 'complaint'),
    [
        (INI % '0.1 -0.2 0.001 0.002', 'four distortion coefficients'),
        (KALIBR % ('omni', 'radtan'), "'omni' is unknown"),
        (KALIBR % ('pinhole', 'radtan') + 'cam1: {}\n', '2 cameras'),
        (COLMAP % ('FOV', '500 510 320 240 0.9'), 'FOV is unknown'),
        (COLMAP % ('PINHOLE', '500 320 240'), 'has 4 numbers, not 3'),
        ((INFO % ('plumb_bob', FIVE)).replace('640', '0'), '0x480 pixels'),
        ((INFO % ('plumb_bob', FIVE)).replace('width: 0', 'width: 320'), 'roi'),
        ('<?xml version="1.0"?>\n<launch/>\n', 'not a camera calibration'),
        ('a: [1\nb: }', 'cannot read the calibration'),
    ],
)
def test_others_get_one_plain_line(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / 'calibration'
    path.write_text(text)
    with pytest.raises(InputError, match=complaint) as error:
        Camera.load(path)
    assert '\n' not in str(error.value)
