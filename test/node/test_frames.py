# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pose3d_ros.node.frames import FIXED, FrameTree

ROBOT = FrameTree(
    {
        'odom': 'map',
        'base_footprint': 'odom',
        'base_link': 'base_footprint',
        'camera_link': 'base_link',
        'camera_optical_frame': 'camera_link',
        'other_optical_frame': 'other_link',
    }
)


def test_ways_between_frames():
    assert ROBOT.root('camera_optical_frame') == 'map'
    assert ROBOT.ancestors('base_link') == ['base_link', 'base_footprint', 'odom', 'map']
    assert ROBOT.connects('camera_optical_frame', 'odom')
    assert not ROBOT.connects('camera_optical_frame', 'other_link')
    assert ROBOT.root('nowhere') == 'nowhere'
    assert ROBOT.connects('nowhere', 'nowhere')


def test_the_outermost_frame_with_z_up():
    assert ROBOT.upright('camera_optical_frame') == 'map'
    assert ROBOT.upright('other_optical_frame') == ''
    assert ROBOT.upright('nowhere') == ''
    assert FrameTree({'camera': 'base_link'}).upright('camera') == 'base_link'
    assert FrameTree({'camera': 'base_link'}).upright('camera', FIXED) == ''
    assert FrameTree({'camera': 'base_link', 'base_link': 'odom'}).upright('camera') == 'odom'


def test_frames_beside_the_camera_count_after_those_above_it():
    # Some robots have their footprint below the base.
    tree = FrameTree({'camera': 'base_link', 'base_footprint': 'base_link'})
    assert tree.upright('camera') == 'base_footprint'
    # Two robots in one map: the camera's own one first.
    two = FrameTree({'a/odom': 'world', 'z/odom': 'world', 'camera': 'z/odom'})
    assert two.upright('camera') == 'z/odom'


def test_prefixes_are_no_part_of_the_name():
    tree = FrameTree({'robot1/camera': 'robot1/base_link', 'robot1/base_link': 'robot1/odom'})
    assert tree.upright('robot1/camera') == 'robot1/odom'


def test_a_circle_ends():
    tree = FrameTree({'a': 'b', 'b': 'a'})
    assert tree.ancestors('a') == ['a', 'b']
    assert tree.upright('a') == ''
