# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from pose3d_ros.errors import ConfigError, InputError
from pose3d_ros.messages.standalone import DISTROS, StandaloneTypes


def test_defaults_are_those_of_ros():
    types = StandaloneTypes()
    pose = types('geometry_msgs/msg/PoseStamped')().pose
    assert (pose.orientation.x, pose.orientation.w) == (0.0, 1.0)
    info = types('sensor_msgs/msg/CameraInfo')()
    assert info.k.tolist() == [0.0] * 9
    assert info.d.tolist() == []
    assert info.distortion_model == ''
    first, second = (types('pose3d_ros/msg/Skeleton3D')() for _ in range(2))
    assert first.root is not second.root
    assert first.joints is not second.joints


def test_constants():
    types = StandaloneTypes()
    assert types('pose3d_ros/msg/Skeleton3D').LOST == 4
    assert types('pose3d_ros/msg/Joint3D').STATUS_PREDICTED == 3
    assert types('visualization_msgs/msg/Marker').DELETEALL == 3


def test_constants_are_those_of_the_enums():
    from pose3d_ros.types import JointStatus, PositionSource, TrackingState

    types = StandaloneTypes()
    joint, skeleton = types('pose3d_ros/msg/Joint3D'), types('pose3d_ros/msg/Skeleton3D')
    for status in JointStatus:
        assert getattr(joint, f'STATUS_{status.name}') == status
    for state in TrackingState:
        assert getattr(skeleton, state.name) == state
    for source in PositionSource:
        assert getattr(skeleton, f'SOURCE_{source.name}') == source


def test_unknown_field_and_type():
    types = StandaloneTypes()
    with pytest.raises(TypeError):
        types('std_msgs/msg/Header')(stmp=1)
    with pytest.raises(ConfigError, match="'std_msgs/msg/Heather' is unknown"):
        types('std_msgs/msg/Heather')


@pytest.mark.parametrize('distro', DISTROS)
def test_every_distribution(distro):
    types = StandaloneTypes(distro)
    name = 'pose3d_ros/msg/Skeleton3DArray'
    message = types(name)(convention='x', skeletons=[types('pose3d_ros/msg/Skeleton3D')()])
    got = types.deserialize(types.serialize(message, name), name)
    assert isinstance(got, types(name))
    assert got.convention == 'x'
    assert len(got.skeletons) == 1


def test_unknown_distribution():
    with pytest.raises(ConfigError, match='one of humble, jazzy'):
        StandaloneTypes('groovy')


@pytest.mark.parametrize(
    'data', [b'', b'\x00\x01', b'\x00\x01\x00\x00', b'\x00\x01\x00\x00' + b'\xff' * 30, b'junk' * 9]
)
def test_broken_bytes(data):
    with pytest.raises(InputError, match=r'broken sensor_msgs/msg/Image message'):
        StandaloneTypes().deserialize(data, 'sensor_msgs/msg/Image')


def test_truncated_image_message():
    types = StandaloneTypes()
    image = types('sensor_msgs/msg/Image')(encoding='mono8', data=np.zeros(100, np.uint8))
    raw = bytes(types.serialize(image, 'sensor_msgs/msg/Image'))
    with pytest.raises(InputError, match='broken'):
        types.deserialize(raw[:-30], 'sensor_msgs/msg/Image')


def test_type_hash():
    # As `ros2 topic info -v` of ROS 2 Jazzy shows it.
    expected = 'RIHS01_df668c740482bbd48fb39d76a70dfd4bd59db1288021743503259e948f6b1a18'
    assert StandaloneTypes().type_hash('std_msgs/msg/String') == expected
