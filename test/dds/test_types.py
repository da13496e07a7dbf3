# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('cyclonedds')

from support.poses import random_person

from pose3d_ros.dds.types import TopicTypes
from pose3d_ros.messages import MarkerBuilder, SkeletonBuilder, image_message
from pose3d_ros.messages.markers import MarkerFrame
from pose3d_ros.messages.standalone import StandaloneTypes
from pose3d_ros.settings.node import NodeConfig

TYPES = StandaloneTypes()
TOPICS = TopicTypes(TYPES.store)


def samples():
    poses = [random_person(np.random.default_rng(k), track_id=k + 1) for k in range(2)]
    stamp = {'stamp_ns': 1_234_567_890_123, 'frame_id': 'cam'}
    skeletons = SkeletonBuilder(TYPES)
    for name, message in {
        'pose3d_ros/msg/Skeleton3DArray': skeletons.array(
            poses, size=(64, 48), convention='blazepose_33', **stamp
        ),
        'sensor_msgs/msg/Image': image_message(TYPES, np.ones((3, 5, 3), np.uint8), **stamp),
        'sensor_msgs/msg/CameraInfo': TYPES('sensor_msgs/msg/CameraInfo')(d=np.ones(5)),
    }.items():
        yield name, bytes(TYPES.serialize(message, name))
    markers = MarkerBuilder(TYPES).array(poses, MarkerFrame(**stamp), NodeConfig())
    yield 'visualization_msgs/msg/MarkerArray', bytes(markers)


@pytest.mark.parametrize(
    ('name', 'raw'), list(samples()), ids=lambda v: v if type(v) is str else ''
)
def test_description_is_true(name, raw):
    """The library reads our bytes by the description, and writes the same ones."""
    struct = TOPICS._struct(name)
    decoded = struct.deserialize(raw)
    assert decoded.serialize(use_version_2=False) == raw


def test_samples_carry_bytes():
    sample = TOPICS('std_msgs/msg/String')
    assert sample(b'abc').serialize() == b'abc'
    assert sample.deserialize(b'xyz').raw == b'xyz'
    assert sample.__idl_typename__ == 'std_msgs.msg.dds_.String_'
    assert TOPICS('std_msgs/msg/String') is sample
