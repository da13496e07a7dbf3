# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import numpy as np
import pytest
from support.keypoints import COCO, SIZE, array_of, pixels_at

from pose3d_ros.errors import InputError
from pose3d_ros.messages import SkeletonBuilder, make_header
from pose3d_ros.messages.keypoints import KEYPOINTS, Conventions, keypoints_of
from pose3d_ros.messages.standalone import StandaloneTypes
from pose3d_ros.skeleton import SKELETONS
from pose3d_ros.types import EstimatorInfo, JointStatus, TrackingState, pose_2d

TYPES = StandaloneTypes()
HEADER = make_header(TYPES, 5, 'camera')
INFO = EstimatorInfo('m', '1', 'openvino', 'CPU', 'f32', metric=False)


def wire(message):
    """As it comes off the wire."""
    return TYPES.deserialize(bytes(TYPES.serialize(message, KEYPOINTS)), KEYPOINTS)


def test_pixels_confidence_and_status() -> None:
    pixels = pixels_at()
    pixels[4] = np.nan
    message = array_of(TYPES, HEADER, pixels, pixels + 10)
    joints = message.skeletons[0].joints
    joints[0].confidence = math.nan
    joints[1].status = int(JointStatus.INVALID)
    joints[2].status = int(JointStatus.INFERRED)
    joints[3].pixel_y = math.nan
    message.skeletons[1].score = math.nan
    first, second = keypoints_of(wire(message), COCO, SIZE)
    assert first.skeleton is COCO
    np.testing.assert_allclose(first.pixels[5:], pixels[5:], rtol=1e-6)
    assert np.isnan(first.pixels[[1, 3, 4]]).all()
    assert list(first.status[:6]) == [1, 0, 2, 0, 0, 1]
    assert math.isnan(first.confidence[0])
    assert first.confidence[5] == pytest.approx(0.9)
    assert np.isnan(first.xyz).all()
    assert first.score == pytest.approx(0.9)
    assert second.score == 1.0


def test_an_image_of_another_size() -> None:
    message = array_of(TYPES, HEADER, pixels_at())
    (pose,) = keypoints_of(message, COCO, (1280, 960))
    np.testing.assert_allclose(pose.pixels, 2 * pixels_at() + 0.5, rtol=1e-6)
    message.image_width = 0
    (pose,) = keypoints_of(message, COCO, (1280, 960))
    np.testing.assert_allclose(pose.pixels, pixels_at(), rtol=1e-6)


def test_nobody_whom_the_image_does_not_show() -> None:
    message = array_of(TYPES, HEADER, pixels_at(), pixels_at(1), pixels_at(2) * np.nan)
    message.skeletons[0].tracking_state = int(TrackingState.PREDICTED)
    message.skeletons[1].tracking_state = int(TrackingState.LOST)
    assert keypoints_of(message, COCO, SIZE) == []


def test_joints_that_do_not_exist() -> None:
    message = array_of(TYPES, HEADER, pixels_at())
    message.skeletons[0].joints[3].id = 17
    with pytest.raises(InputError, match='joint 17: coco_17 has only 17'):
        keypoints_of(message, COCO, SIZE)


def test_what_our_own_nodes_publish() -> None:
    there = pose_2d(COCO, pixels_at(), np.full(17, 0.7), 0.8, SIZE)
    message = SkeletonBuilder(TYPES).array(
        [there], stamp_ns=5, frame_id='camera', size=SIZE, convention='coco_17', lost=[3]
    )
    (pose,) = keypoints_of(wire(message), COCO, SIZE)
    np.testing.assert_allclose(pose.pixels, there.pixels, rtol=1e-6)
    np.testing.assert_array_equal(pose.status, there.status)


def told(names, parents, convention='theirs'):
    message = TYPES('pose3d_ros/msg/EstimatorInfo')(convention=convention, joint_names=list(names))
    message.parents = np.array(parents, np.int16)
    return message


def test_conventions() -> None:
    conventions = Conventions()
    assert conventions.get('halpe_26') is SKELETONS['halpe_26']
    with pytest.raises(InputError, match=r"'theirs', which is unknown: use .*coco_17"):
        conventions.get('theirs')
    conventions.tell(told(['left_hip', 'left_knee', 'nose'], [-1, 0, -1]))
    theirs = conventions.get('theirs')
    assert theirs.names == ('left_hip', 'left_knee', 'nose')
    assert (theirs.parents, theirs.root, theirs.edges) == ((-1, 0, -1), (0, 2), ((0, 1),))
    # A known one under another name, and another one under a known name.
    conventions.tell(told(COCO.names, COCO.parents))
    assert conventions.get('theirs') is COCO
    conventions.tell(told(COCO.names[::-1], [-1] * 17, 'coco_17'))
    assert conventions.get('coco_17').index('nose') == 16
    assert conventions.get('coco_17').name != 'coco_17'
    conventions.tell(SkeletonBuilder(TYPES).info(COCO, INFO, stamp_ns=1))
    assert conventions.get('coco_17') is COCO


@pytest.mark.parametrize(
    ('names', 'parents'),
    [([], []), (['a', 'a'], [-1, 0]), (['a', 'b'], [-1]), (['a', 'b'], [-1, 2])],
)
def test_infos_that_make_no_sense(names, parents) -> None:
    conventions = Conventions()
    with pytest.raises(InputError, match="'theirs'"):
        conventions.tell(told(names, parents))
    with pytest.raises(InputError, match='unknown'):
        conventions.get('theirs')
