# SPDX-License-Identifier: Apache-2.0
"""What a camera says of people, as rays."""

from __future__ import annotations

import numpy as np
import pytest
from support.standing import CAMERA, standing

from pose3d_ros.errors import InputError
from pose3d_ros.fusion.sighting import View, sightings_of
from pose3d_ros.skeleton import SKELETONS
from pose3d_ros.types import JointStatus, PositionSource, TrackingState

TURN = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
PLACE = np.array([1.0, 2.0, 1.3])


def view(*people) -> View:
    return View('left', 7, CAMERA, TURN, PLACE, people)


def test_rays_go_from_the_camera_through_the_joints() -> None:
    pose, root = standing()
    placed = pose.replace(xyz=pose.xyz + root, position_source=PositionSource.ASSUMED)
    (one,) = sightings_of(view(placed), pose.skeleton)
    expected = placed.xyz @ TURN.T + PLACE
    good = np.isfinite(expected[:, 0])
    np.testing.assert_allclose(one.points[good], expected[good], atol=1e-3)
    assert np.isnan(one.directions[~good]).all()
    assert (one.source, one.track_id, one.stamp_ns) == ('left', 1, 7)


def test_people_about_their_root_are_placed_by_their_rays() -> None:
    pose, root = standing()
    (one,) = sightings_of(view(pose), pose.skeleton)
    expected = (pose.xyz + root) @ TURN.T + PLACE
    good = one.usable
    np.testing.assert_allclose(one.points[good], expected[good], atol=0.01)


def test_any_convention_serves() -> None:
    pose, _ = standing()
    (one,) = sightings_of(view(pose), SKELETONS['coco_17'])
    assert one.usable[SKELETONS['coco_17'].index('left_knee')]


def test_what_a_camera_is_not_sure_of_counts_less() -> None:
    pose, _ = standing()
    doubt = pose.confidence.copy()
    doubt[11] = 0.2
    (one,) = sightings_of(view(pose.replace(confidence=doubt)), pose.skeleton)
    assert one.sigma[11] > 2 * one.sigma[12]


def test_the_lost_the_invisible_and_nan_are_left_out() -> None:
    pose, _ = standing()
    lost = pose.replace(tracking_state=TrackingState.LOST)
    invalid = pose.replace(status=np.full(33, JointStatus.INVALID, np.uint8))
    blind = pose.replace(pixels=np.full((33, 2), np.nan))
    assert sightings_of(view(lost, invalid, blind), pose.skeleton) == []


def test_a_pose_of_a_camera_that_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match='left'):
        View('left', 0, CAMERA, 2 * TURN, PLACE, ())
    with pytest.raises(InputError, match='left'):
        View('left', 0, CAMERA, TURN, PLACE * np.nan, ())
