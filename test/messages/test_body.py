# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from support.poses import person

from pose3d_ros.messages.body import quaternion_of, rotation_of, transformed
from pose3d_ros.types import PositionSource


@pytest.mark.parametrize('seed', range(20))
def test_quaternion_agrees_with_scipy(seed):
    rotation = Rotation.random(random_state=seed)
    expected = rotation.as_quat()
    expected *= -1 if expected[3] < 0 else 1
    np.testing.assert_allclose(quaternion_of(rotation.as_matrix().tolist()), expected, atol=1e-12)


@pytest.mark.parametrize('axis', np.eye(3).tolist())
def test_quaternion_of_half_turns(axis):
    rotation = Rotation.from_rotvec(np.pi * np.array(axis))
    found = quaternion_of(rotation.as_matrix().tolist())
    assert abs(np.dot(found, rotation.as_quat())) == pytest.approx(1)


@pytest.mark.parametrize('seed', range(5))
def test_body_frame_turns_with_the_body(seed):
    turn = Rotation.random(random_state=seed).as_matrix()
    still = np.array(rotation_of(person()))
    turned = np.array(rotation_of(person(xyz=person().xyz @ turn.T)))
    np.testing.assert_allclose(turned, turn @ still, atol=1e-9)
    assert np.linalg.det(turned) == pytest.approx(1)


def test_no_body_frame_without_a_trunk():
    flat = person().xyz
    flat[5:7] = flat[11:13]  # shoulders at the hips
    assert rotation_of(person(xyz=flat)) is None
    missing = person().xyz
    missing[11] = np.nan
    assert rotation_of(person(xyz=missing)) is None


def test_transformed():
    rotation = Rotation.from_euler('z', 90, degrees=True).as_matrix()
    covariance = np.tile(np.diag([1.0, 4.0, 9.0]), (17, 1, 1))
    pose = person(velocity=np.array([1.0, 0, 0]), covariance=covariance)
    moved = transformed(pose, rotation, np.array([10.0, 20, 30]))
    x, y, z = pose.xyz.T
    np.testing.assert_allclose(moved.xyz, np.column_stack([10 - y, 20 + x, 30 + z]))
    np.testing.assert_allclose(moved.velocity, [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(moved.covariance[0], np.diag([4.0, 1, 9]), atol=1e-12)
    np.testing.assert_array_equal(moved.pixels, pose.pixels)


def test_relative_poses_are_only_turned():
    rotation = Rotation.from_euler('z', 90, degrees=True).as_matrix()
    pose = person(at=(0, 0, 0), position_source=PositionSource.RELATIVE)
    moved = transformed(pose, rotation, np.array([10.0, 20, 30]))
    np.testing.assert_allclose(moved.root, [0, 0, 0], atol=1e-12)
