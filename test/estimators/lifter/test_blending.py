# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from support.keypoints import CAMERA, SIZE, STANDING

from pose3d_ros.estimators.lifter.blending import blended
from pose3d_ros.skeleton import SKELETONS
from pose3d_ros.types import pose_2d

COCO = SKELETONS['coco_17']
EYES = [1, 2, 3, 4]  # with the ears; they are left to the lifter


ASIDE = np.array([1.0, 2.0, 3.0])


def seen(xyz=1.2 * STANDING, x=0.0):
    pixels = CAMERA.project(STANDING + np.array([x, 0.0, 4.0]))
    return pose_2d(COCO, pixels, np.ones(17), 1.0, SIZE).replace(xyz=xyz)


def test_joints_go_part_of_the_way_about_the_hips():
    theirs = STANDING.copy()
    theirs[9] += [0.0, 0.0, 0.2]
    # Where the source's root lies does not matter.
    out = blended(STANDING, COCO, seen(theirs + ASIDE), SIZE, 0.25)
    expected = STANDING.copy()
    expected[9, 2] += 0.05
    assert out == pytest.approx(expected)


def test_only_what_both_have_moves():
    out = blended(STANDING, COCO, seen(1.1 * STANDING), SIZE, 0.5)
    assert out[EYES] == pytest.approx(STANDING[EYES])
    assert out[0] == pytest.approx(1.05 * STANDING[0])


def test_bodies_at_the_edge_trust_it_less_and_less():
    theirs = 1.2 * STANDING
    moved = []
    for x in (0.0, 1.95, 2.1, 2.6):  # the edge is at 2.13 m
        out = blended(STANDING, COCO, seen(theirs, x), SIZE, 0.5)
        moved.append(np.abs(out - STANDING).max())
    assert moved[0] > moved[1] > 0
    assert moved[2] == moved[3] == 0


def test_sources_without_3d_change_nothing():
    for xyz in (np.full((17, 3), np.nan), np.where(np.arange(17)[:, None] == 7, np.nan, STANDING)):
        assert blended(STANDING, COCO, seen(xyz), SIZE, 0.5) is STANDING
    assert blended(STANDING, COCO, seen(), SIZE, 0.0) is STANDING
