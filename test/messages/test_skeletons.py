# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from support.poses import person, random_person

from pose3d_ros.messages import SkeletonBuilder
from pose3d_ros.messages.standalone import StandaloneTypes
from pose3d_ros.skeleton import SKELETONS, get_skeleton
from pose3d_ros.types import EstimatorInfo, JointStatus, PositionSource, TrackingState

TYPES = StandaloneTypes()
NAME = 'pose3d_ros/msg/Skeleton3DArray'


def sent(poses, lost=(), size=(640, 480)):
    """The array as a subscriber gets it."""
    message = SkeletonBuilder(TYPES).array(
        poses,
        stamp_ns=12_000_000_034,
        frame_id='cam',
        size=size,
        convention='coco_17',
        lost=lost,
    )
    return TYPES.deserialize(TYPES.serialize(message, NAME), NAME)


def test_header_and_image_size():
    got = sent([])
    assert (got.header.stamp.sec, got.header.stamp.nanosec) == (12, 34)
    assert got.header.frame_id == 'cam'
    assert (got.convention, got.image_width, got.image_height) == ('coco_17', 640, 480)
    assert got.skeletons == []


def test_bone_quality():
    got = sent([person(bone_quality=0.75), person(bone_quality=0.0)], lost=[4]).skeletons
    assert [skeleton.bone_quality for skeleton in got[:2]] == [0.75, 0.0]
    assert np.isnan(got[2].bone_quality)


def test_height():
    got = sent([person(height_m=1.5), person()], lost=[4]).skeletons
    assert got[0].height == 1.5
    assert np.isnan(got[1].height)
    assert np.isnan(got[2].height)


def test_person():
    pose = random_person(np.random.default_rng(1), 'coco_17', velocity=np.array([1.0, 2.0, 3.0]))
    (got,) = sent([pose]).skeletons
    assert (got.track_id, got.position_source) == (1, PositionSource.METRIC)
    assert got.tracking_state == TrackingState.UNTRACKED
    assert got.score == pytest.approx(0.9)
    assert np.isnan(got.bone_quality)
    assert [j.id for j in got.joints] == list(range(17))
    assert {j.status for j in got.joints} == {JointStatus.MEASURED}
    points = [(j.position.x, j.position.y, j.position.z) for j in got.joints]
    np.testing.assert_array_equal(points, pose.xyz)
    pixels = [(j.pixel_x, j.pixel_y) for j in got.joints]
    np.testing.assert_allclose(pixels, pose.pixels, rtol=1e-6)
    np.testing.assert_allclose([j.confidence for j in got.joints], pose.confidence, rtol=1e-6)
    for joint in got.joints:
        np.testing.assert_allclose(
            joint.position_covariance, np.diag([0.01, 0.02, 0.03]).ravel(), rtol=1e-6
        )
    root = got.root.position
    np.testing.assert_allclose((root.x, root.y, root.z), pose.xyz[11:13].mean(axis=0))
    np.testing.assert_allclose(got.root_covariance, np.diag([0.01, 0.02, 0.03]).ravel(), rtol=1e-6)
    assert (got.velocity.x, got.velocity.y, got.velocity.z) == (1, 2, 3)


def test_rows_of_the_covariance():
    covariance = np.arange(17 * 9, dtype=float).reshape(17, 3, 3)
    (got,) = sent([person(covariance=covariance)]).skeletons
    assert got.joints[2].position_covariance.tolist() == list(range(18, 27))


def test_orientation_of_someone_who_faces_the_camera():
    (got,) = sent([person()]).skeletons
    q = got.root.orientation
    x, y, z, w = q.x, q.y, q.z, q.w
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    # Chest towards the camera, left hand at the right of the image, head up.
    np.testing.assert_allclose(rotation @ [1, 0, 0], [0, 0, -1], atol=1e-9)
    np.testing.assert_allclose(rotation @ [0, 1, 0], [1, 0, 0], atol=1e-9)
    np.testing.assert_allclose(rotation @ [0, 0, 1], [0, -1, 0], atol=1e-9)


def test_unknown_is_said_so():
    xyz, pixels, confidence = person().xyz, person().pixels, person().confidence
    status = person().status
    xyz[5], pixels[5], confidence[5], status[5] = np.nan, np.nan, np.nan, JointStatus.INVALID
    covariance = np.tile(np.eye(3), (17, 1, 1))
    covariance[5] = np.nan
    (got,) = sent(
        [
            person(
                xyz=xyz,
                pixels=pixels,
                confidence=confidence,
                status=status,
                covariance=covariance,
                score=np.nan,
            )
        ]
    ).skeletons
    shoulder = got.joints[5]
    assert np.isnan([shoulder.position.x, shoulder.position.y, shoulder.position.z]).all()
    assert np.isnan([shoulder.pixel_x, shoulder.pixel_y, shoulder.confidence]).all()
    assert shoulder.position_covariance.tolist() == [-1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert got.joints[6].position_covariance[0] == 1
    # Without a shoulder there is no body frame: the quaternion is zero, not the default of w = 1.
    q = got.root.orientation
    assert (q.x, q.y, q.z, q.w) == (0, 0, 0, 0)
    assert np.isfinite(got.root.position.x)
    assert np.isnan(got.score)
    assert np.isnan(got.velocity.x)


def test_invalid_joints_have_no_position():
    status = person().status
    status[3] = JointStatus.INVALID
    (got,) = sent([person(status=status)]).skeletons
    assert np.isnan(got.joints[3].position.x)
    assert np.isfinite(got.joints[4].position.x)


def test_without_covariance():
    (got,) = sent([person()]).skeletons
    assert got.root_covariance[0] == -1
    assert {j.position_covariance[0] for j in got.joints} == {-1}


def test_lost_ids():
    got = sent([person(track_id=4)], lost=[2, 2**32 - 1]).skeletons
    assert [s.track_id for s in got] == [4, 2, 2**32 - 1]
    gone = got[1]
    assert gone.tracking_state == TrackingState.LOST
    assert gone.joints == []
    assert np.isnan(gone.root.position.x)
    assert gone.root.orientation.w == 0


def test_roi_is_cut_at_the_image():
    pixels = np.tile([[-30.5, 100.2], [700.0, 200.7]], (9, 1))[:17]
    (got,) = sent([person(pixels=pixels)]).skeletons
    roi = got.roi
    assert (roi.x_offset, roi.y_offset, roi.width, roi.height) == (0, 100, 640, 102)


@pytest.mark.parametrize('pixels', [np.full((17, 2), np.nan), np.full((17, 2), -50.0)])
def test_no_roi(pixels):
    (got,) = sent([person(pixels=pixels)]).skeletons
    assert (got.roi.width, got.roi.height) == (0, 0)


@pytest.mark.parametrize('name', SKELETONS)
def test_every_skeleton(name):
    pose = random_person(np.random.default_rng(2), name)
    (got,) = sent([pose]).skeletons
    assert len(got.joints) == len(get_skeleton(name))


def test_info():
    skeleton = get_skeleton('blazepose_33')
    info = EstimatorInfo('blazepose', 'abc', 'openvino', 'CPU', 'f32', True)
    name = 'pose3d_ros/msg/EstimatorInfo'
    message = SkeletonBuilder(TYPES).info(skeleton, info, stamp_ns=1, frame_id='')
    got = TYPES.deserialize(TYPES.serialize(message, name), name)
    assert got.convention == 'blazepose_33'
    assert got.joint_names == list(skeleton.names)
    assert got.parents.tolist() == list(skeleton.parents)
    assert (got.model_name, got.model_version) == ('blazepose', 'abc')
    assert (got.backend, got.device, got.metric) == ('openvino', 'CPU', True)
