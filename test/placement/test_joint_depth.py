# SPDX-License-Identifier: Apache-2.0
"""Wrists in front of walls, behind others, at edges and holes."""

from __future__ import annotations

import numpy as np
import pytest

from pose3d_ros.placement.joint_depth import joint_depths
from pose3d_ros.skeleton import SKELETONS
from pose3d_ros.types import JointStatus, Pose3D

COCO = SKELETONS['coco_17']
WRIST = COCO.index('left_wrist')
AT = (200, 100)  # pixel
TRUE, SKIN, WALL = 2.9, 2.87, 5.0


def person(sigma: float = 0.12) -> tuple[Pose3D, np.ndarray]:
    """Somebody whose wrist the estimator puts 15 cm too far away, and the joints' depths."""
    pose = Pose3D(
        skeleton=COCO,
        xyz=np.zeros((17, 3)),
        confidence=np.ones(17),
        pixels=np.tile(np.array(AT, float), (17, 1)),
        status=np.full(17, JointStatus.INFERRED, np.uint8),
        covariance=np.tile(np.eye(3) * sigma**2, (17, 1, 1)),
    )
    pose.status[WRIST] = JointStatus.MEASURED
    return pose, np.full(17, TRUE + 0.15)


def image(limb: int = 5) -> np.ndarray:
    """A wall with a limb of that half width, in pixels, in front."""
    depth = np.full((240, 320), WALL, np.float32)
    depth[:, AT[0] - limb : AT[0] + limb + 1] = SKIN
    return depth


def wrist(depth: np.ndarray, pose: Pose3D | None = None) -> float:
    made, z = person()
    return float(joint_depths(pose or made, z, depth, 550.0).z[WRIST])


@pytest.mark.parametrize('limb', [2, 3, 6])
def test_a_limb_before_a_wall(limb: int) -> None:
    assert wrist(image(limb)) == pytest.approx(TRUE, abs=0.025)


def test_holes_and_flying_pixels() -> None:
    depth, rng = image(4), np.random.default_rng(0)
    holes = rng.random(depth.shape) < 0.3
    depth[holes] = np.where(rng.random(int(holes.sum())) < 0.5, np.nan, 0.0)
    flying = rng.random(depth.shape) < 0.1
    depth[flying] = rng.uniform(SKIN - 0.3, WALL, int(flying.sum()))
    assert wrist(depth) == pytest.approx(TRUE, abs=0.03)


def test_what_hides_the_joint_or_lies_far_behind_is_not_the_joint() -> None:
    _, z = person()
    for other in (1.5, WALL):
        assert wrist(np.full((240, 320), other, np.float32)) == z[WRIST]
    assert wrist(np.full((240, 320), np.nan, np.float32)) == z[WRIST]


def test_only_joints_that_are_seen_inside_the_image() -> None:
    pose, z = person()
    hidden = pose.replace(status=np.full(17, JointStatus.INFERRED, np.uint8))
    outside = pose.replace(pixels=pose.pixels + 1000.0)
    missing = pose.replace(pixels=np.full((17, 2), np.nan))
    for one in (hidden, outside, missing):
        assert wrist(image(), one) == z[WRIST]


def test_what_is_left_of_the_uncertainty() -> None:
    pose, z = person()
    depths = joint_depths(pose, z, image(), 550.0)
    assert 0.02 < depths.left[WRIST] < 0.15
    assert (np.delete(depths.left, WRIST) == 1).all()
    sure, z = person(sigma=0.01)
    certain = joint_depths(sure, z, np.full((240, 320), z[0], np.float32), 550.0)
    assert certain.left[WRIST] > 0.8
