# SPDX-License-Identifier: Apache-2.0
"""A body that stands, jumps, sits behind something, seen by a camera with distortion."""

from __future__ import annotations

import numpy as np
import pytest
from support.standing import BLAZEPOSE, CAMERA, FLOOR, HEIGHT, UP, standing

from pose3d_ros.placement.contact import contact_of
from pose3d_ros.skeleton import SKELETONS
from pose3d_ros.types import Floor, JointStatus


@pytest.mark.parametrize('name', ['blazepose_33', 'coco_17', 'cmu_22'])
@pytest.mark.parametrize('scale', [0.65, 1.0])
def test_feet_that_stand_tell_the_distance(name: str, scale: float) -> None:
    pose, root = standing(SKELETONS[name], scale=scale)
    contact = contact_of(pose, CAMERA.rays(pose.pixels), FLOOR, CAMERA, (scale, root[2], 0.08))
    assert contact is not None
    assert contact.depth - contact.gain * scale == pytest.approx(root[2], abs=0.01)
    assert contact.share > 0.9
    assert 0 < contact.bias < contact.sigma < 0.1 * root[2]


def test_one_foot_in_the_air_does_not_count() -> None:
    pose, root = standing()
    raised = standing(lift=0.3)[0]
    left = [BLAZEPOSE.index(f'left_{joint}') for joint in ('ankle', 'heel', 'foot_index')]
    pixels = pose.pixels.copy()
    pixels[left] = raised.pixels[left]
    rays = CAMERA.rays(pixels)
    contact = contact_of(pose.replace(pixels=pixels), rays, FLOOR, CAMERA, (1.0, root[2], 0.08))
    assert contact is not None
    assert contact.depth - contact.gain == pytest.approx(root[2], abs=0.02)


def test_the_higher_the_jump_the_less_it_counts() -> None:
    shares = []
    for lift in (0.0, 0.2, 0.4):
        pose, root = standing(lift=lift)
        rays = CAMERA.rays(pose.pixels)
        contact = contact_of(pose, rays, FLOOR, CAMERA, (1.0, root[2], 0.08))
        assert contact is not None
        shares.append(contact.share)
    assert shares[0] > 0.9 > shares[1] > shares[2]
    assert shares[2] < 0.15


def test_feet_that_nobody_sees_say_nothing() -> None:
    pose, root = standing()
    rays, expected = CAMERA.rays(pose.pixels), (1.0, root[2], 0.08)
    hidden = pose.replace(status=np.full(33, JointStatus.INFERRED, np.uint8))
    assert contact_of(hidden, rays, FLOOR, CAMERA, expected) is None
    above = Floor(-UP, HEIGHT)  # a camera that hangs head down: the feet are over its horizon
    assert contact_of(pose, rays, above, CAMERA, expected) is None


def test_a_low_camera_knows_less() -> None:
    sigmas = []
    for height in (0.35, 1.3):
        floor = Floor(np.array([0.0, -1, 0]), height)
        pose = standing()[0]
        contact = contact_of(pose, CAMERA.rays(pose.pixels), floor, CAMERA, (1.0, 3.5, 0.08))
        assert contact is not None
        sigmas.append(contact.sigma)
    assert sigmas[0] > 1.5 * sigmas[1]
