# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from support.node import S

from pose3d_ros.errors import ConfigError
from pose3d_ros.node.frames import FrameTree
from pose3d_ros.node.image_frames import BODY_AXES, OpticalCheck, axes_of, frame_of
from pose3d_ros.node.transforms import TransformBuffer
from pose3d_ros.settings.node import NodeConfig

HERE = np.zeros(3)


@pytest.mark.parametrize(
    ('setting', 'named', 'frame'),
    [
        ('optical', 'cam', 'cam'),
        ('optical', '', 'eye'),
        ('body', 'cam', 'cam'),
        ('body', '', 'eye'),
        ('cam_optical', 'cam', 'cam_optical'),
        ('cam_optical', '', 'cam_optical'),
    ],
)
def test_frames_of_images(setting, named, frame):
    assert frame_of(named, NodeConfig(image_frame=setting, camera_frame='eye')) == frame


def test_axes_of_the_body_frame():
    # Right, down and ahead in the image.
    axes = axes_of(NodeConfig(image_frame='body'))
    np.testing.assert_array_equal(axes.T, [(0, -1, 0), (0, 0, -1), (1, 0, 0)])
    np.testing.assert_array_equal(axes_of(NodeConfig(image_frame='cam')), np.eye(3))


def test_no_name_is_no_frame():
    with pytest.raises(ConfigError, match='image_frame'):
        NodeConfig(image_frame='')


class Check:
    """A check, its clock and the transforms that it sees."""

    def __init__(self, **settings):
        self.buffer, self.now = TransformBuffer(), 0.0
        self.config = NodeConfig(**settings)
        self.check = OpticalCheck(self, lambda: self.now)

    def frames(self):
        return self.buffer.frames()

    def newest(self, target, source):
        return self.buffer.newest_stamped(target, source)

    def place(self, parent, child, tilt_deg=0.0, axes=None):
        turn = Rotation.from_euler('y', tilt_deg, degrees=True)
        if axes is not None:
            turn = turn * Rotation.from_matrix(axes)
        self.buffer.set(parent, child, (HERE, turn.as_quat()))

    def look(self, frame='camera_link'):
        self.now += 1.0
        return self.check.look(frame, self.config)


@pytest.mark.parametrize('parent', ['base_link', 'robot1/odom', 'base_footprint', 'map'])
@pytest.mark.parametrize('tilt_deg', [0, 25, -25])
def test_a_frame_whose_z_axis_points_up_is_no_optical_one(parent, tilt_deg):
    check = Check()
    assert not check.look()
    check.place(parent, 'camera_link', tilt_deg)
    assert check.look()
    for part in ('camera_link', parent, 'image_frame: body'):
        assert part in check.check.problem
    # Once is enough, but it stays known.
    assert not check.look()
    assert check.check.problem


def test_optical_frames_of_any_name_are_fine():
    check = Check()
    check.place('base_link', 'camera', 35, axes=BODY_AXES)
    assert not check.look('camera')
    # Settled: a head may look up later.
    check.place('base_link', 'camera', -90, axes=BODY_AXES)
    assert not check.look('camera')
    assert check.check.problem == ''


def test_a_name_says_that_a_frame_is_optical():
    check = Check()
    check.place('base_link', 'Ceiling_Optical_Frame')
    assert not check.look('Ceiling_Optical_Frame')


@pytest.mark.parametrize('setting', ['body', 'camera_link', 'other'])
def test_whoever_has_set_it_is_believed(setting):
    check = Check(image_frame=setting)
    check.place('base_link', 'camera_link')
    assert not check.look()


@pytest.mark.parametrize('setting', ['target_frame', 'gravity_frame'])
def test_frames_of_the_settings_tell_it(setting):
    check = Check(**{setting: 'world'})
    check.place('world', 'camera_link')
    assert check.look()


def test_target_frames_that_need_not_have_z_up():
    # Beside another camera; on a hand whose z axis points ahead, on a robot that says where up is.
    check = Check(target_frame='left_optical_frame')
    check.place('left_optical_frame', 'right')
    assert not check.look('right')
    check = Check(target_frame='tool0')
    check.place('base_link', 'tool0', axes=BODY_AXES)
    check.place('tool0', 'cam')
    assert not check.look('cam')


def test_what_is_corrected_is_no_problem_any_more():
    check = Check()
    check.place('base_link', 'camera_link')
    assert check.look()
    check.place('base_link', 'camera_link', axes=BODY_AXES)
    check.look()
    assert check.check.problem == ''


class Upright:
    """Transforms of a simulator: the images name a frame with x forward and z up."""

    tree = FrameTree({'camera_link': 'base_link'})
    pose = np.eye(3), np.array([0.0, 0, 1.5]), None


def test_the_node_says_it_once_and_in_its_diagnostics(make):
    node = make()
    node.tree, node.newest_tf = Upright.tree, Upright.pose
    node.calibrate()
    for k in range(3):
        node.image(S + k, frame_id='camera_link')
    (line,) = [line for line in node.warnings() if 'image_frame: body' in line]
    assert node.status('input').level == 2
    assert line in node.status('input').message
