# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from pose3d_ros.errors import ConfigError
from pose3d_ros.standalone.names import Names, ros_type, wire_type


@pytest.mark.parametrize(
    ('namespace', 'topic', 'full'),
    [
        ('/', 'image', '/image'),
        ('/', '~/skeletons', '/pose3d/skeletons'),
        ('/', '/tf', '/tf'),
        ('/robot1', 'image', '/robot1/image'),
        ('robot1/head/', '~/left/markers', '/robot1/head/pose3d/left/markers'),
        ('/robot1', '/diagnostics', '/diagnostics'),
    ],
)
def test_resolution(namespace, topic, full):
    assert Names('pose3d', namespace).topic(topic) == full


@pytest.mark.parametrize(
    ('rules', 'topic', 'full'),
    [
        (['image:=/camera/image_raw'], 'image', '/camera/image_raw'),
        (['image:=camera/image'], 'image', '/robot/camera/image'),
        (['/robot/image:=/x'], 'image', '/x'),
        (['~/skeletons:=people'], '~/skeletons', '/robot/people'),
        (['image:=/x'], 'camera_info', '/robot/camera_info'),
        (['__ns:=/other'], 'image', '/other/image'),
        (['__node:=eyes'], '~/markers', '/robot/eyes/markers'),
        (['image:=/first', 'image:=/second'], 'image', '/first'),
    ],
)
def test_remapping(rules, topic, full):
    assert Names.parse('pose3d', '/robot', rules).topic(topic) == full


def test_full_name():
    assert Names('a').full == '/a'
    assert Names('a', '/b/c').full == '/b/c/a'


@pytest.mark.parametrize(
    ('arguments', 'complaint'),
    [
        (('2nd', '/', []), "node name '2nd' is not valid"),
        (('a-b', '/', []), 'node name'),
        (('a', '/x y', []), 'namespace'),
        (('a', '/', ['image']), "remapping 'image': write FROM:=TO"),
        (('a', '/', [':=x']), 'write FROM:=TO'),
        (('a', '/', ['image:=/bad name']), "topic name '/bad name' is not valid"),
        (('a', '/', ['image:=/x//y']), 'is not valid'),
    ],
)
def test_invalid_names(arguments, complaint):
    with pytest.raises(ConfigError, match=complaint):
        Names.parse(*arguments)


def test_what_is_remapped():
    names = Names.parse('a', '/b', ['image:=/x', '~/y:=/z'])
    assert names.remapped('image') == '/x'
    assert names.remapped('/b/a/y') == '/z'
    assert names.remapped('detections') == ''


def test_types_on_the_wire():
    assert wire_type('pose3d_ros/msg/Joint3D') == 'pose3d_ros::msg::dds_::Joint3D_'
    assert ros_type('pose3d_ros::msg::dds_::Joint3D_') == 'pose3d_ros/msg/Joint3D'
    assert ros_type('HelloWorld') == 'HelloWorld'
