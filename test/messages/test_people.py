# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from pose3d_ros.errors import InputError
from pose3d_ros.messages import SkeletonBuilder
from pose3d_ros.messages.people import people_of
from pose3d_ros.messages.standalone import StandaloneTypes
from pose3d_ros.tools.rig import SKELETON, Detector, around, walkers
from pose3d_ros.types import JointStatus

TYPES = StandaloneTypes()
ARRAY = 'pose3d_ros/msg/Skeleton3DArray'


@pytest.fixture
def poses():
    (placed,) = around(1)
    return Detector(placed, 2, np.random.default_rng(1)).people(walkers(2, np.zeros(1))[0], 0.0)


def sent(poses, lost=()):
    message = SkeletonBuilder(TYPES).array(
        poses, stamp_ns=5, frame_id='c', size=(640, 480), convention=SKELETON.name, lost=lost
    )
    return TYPES.deserialize(bytes(TYPES.serialize(message, ARRAY)), ARRAY)


def test_people_are_what_was_sent(poses) -> None:
    poses[1] = poses[1].replace(covariance=None, velocity=np.array([0.5, 0.0, -0.25]))
    got = people_of(sent(poses, lost=[9]), SKELETON)
    assert [pose.track_id for pose in got] == [pose.track_id for pose in poses]
    for one, other in zip(got, poses):
        np.testing.assert_allclose(one.xyz, other.xyz, rtol=1e-6)
        np.testing.assert_allclose(one.pixels, other.pixels, rtol=1e-6)
        np.testing.assert_allclose(one.confidence, other.confidence, rtol=1e-6)
        np.testing.assert_array_equal(one.status, other.status)
        assert one.tracking_state == other.tracking_state
        assert one.position_source == other.position_source
    assert (got[0].status == JointStatus.INVALID).any()
    np.testing.assert_allclose(got[0].covariance, poses[0].covariance, rtol=1e-5)
    assert got[1].covariance is None
    np.testing.assert_array_equal(got[1].velocity, [0.5, 0.0, -0.25])


def test_a_joint_that_the_convention_lacks(poses) -> None:
    message = sent(poses)
    message.skeletons[0].joints[0].id = len(SKELETON)
    with pytest.raises(InputError, match='only 22'):
        people_of(message, SKELETON)


def test_a_source_that_no_message_has(poses) -> None:
    message = sent(poses)
    message.skeletons[0].position_source = 77
    with pytest.raises(InputError, match='77'):
        people_of(message, SKELETON)


def test_a_position_that_is_none(poses) -> None:
    message = sent(poses)
    k = int(np.flatnonzero(poses[0].status == JointStatus.MEASURED)[0])
    message.skeletons[0].joints[k].position.y = np.inf
    assert people_of(message, SKELETON)[0].status[k] == JointStatus.INVALID
