# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections import deque

import numpy as np
import pytest

from pose3d_ros.placement.body import (
    SKIN_TO_JOINT_M,
    body_height,
    lasting_heights,
    measured,
    trunk_depth,
)
from pose3d_ros.skeleton import SKELETONS
from pose3d_ros.types import Pose3D, PositionSource

COCO = SKELETONS['coco_17']
# A body 1.8 m tall by the shares of thigh, shank and trunk, 2 mm to a pixel.
BODY = np.zeros((17, 3))
for name, y in (('shoulder', -0.4986), ('hip', 0.0), ('knee', 0.4266), ('ankle', 0.8712)):
    BODY[COCO.index(f'left_{name}')] = (0.2, y, 0.05)
    BODY[COCO.index(f'right_{name}')] = (-0.2, y, 0.05)
PIXELS = BODY[:, :2] * 200 + (320, 200)


def test_height_by_the_bones() -> None:
    assert body_height(COCO, BODY) == pytest.approx(1.8, abs=0.01)
    one_side = BODY.copy()
    one_side[[COCO.index('left_knee'), COCO.index('right_ankle')]] = np.nan
    assert body_height(COCO, one_side) == pytest.approx(1.8, abs=0.02)
    assert np.isnan(body_height(COCO, np.full((17, 3), np.nan)))
    assert np.isnan(body_height(COCO, np.zeros((17, 3))))


def pose(xyz: np.ndarray, track_id: int = 1, **fields) -> Pose3D:
    return Pose3D(
        skeleton=COCO,
        xyz=xyz,
        confidence=np.ones(17),
        pixels=PIXELS,
        status=np.ones(17, np.uint8),
        track_id=track_id,
        **fields,
    )


def test_lasting_height_of_somebody_who_bends() -> None:
    bent = BODY * np.array([1, 0.6, 1])  # thighs, shanks and trunk flattened along the view
    bones: dict[int, deque[np.ndarray]] = {}
    for _ in range(50):
        heights = lasting_heights([pose(BODY)], bones)
    for _ in range(150):
        heights = lasting_heights([pose(bent)], bones)
    assert body_height(COCO, bent) == pytest.approx(0.6 * 1.8, abs=0.01)
    assert heights == {1: pytest.approx(1.8, abs=0.01)}
    # The past fades, so that a mistaken identity does not stay for ever.
    for _ in range(300):
        heights = lasting_heights([pose(bent)], bones)
    assert heights == {1: pytest.approx(0.6 * 1.8, abs=0.01)}


def test_lasting_height_withstands_single_frames() -> None:
    bones: dict[int, deque[np.ndarray]] = {}
    frames = [BODY] * 45 + [BODY * 3] * 5
    for k in np.random.default_rng(0).permutation(50):
        heights = lasting_heights([pose(frames[k])], bones)
    assert heights == {1: pytest.approx(1.8, abs=0.01)}
    unseen = pose(np.full((17, 3), np.nan))
    assert lasting_heights([unseen], bones) == heights


def test_lasting_heights_are_each_persons_own() -> None:
    bones: dict[int, deque[np.ndarray]] = {}
    poses = [
        pose(BODY),
        pose(BODY / 2, 2),
        pose(np.full((17, 3), np.nan), 3),
        pose(BODY, 4, position_source=PositionSource.METRIC),
    ]
    heights = lasting_heights(poses, bones)
    assert set(heights) == {1, 2, 3}
    assert heights[2] == pytest.approx(0.9, abs=0.01)
    assert np.isnan(heights[3])


def test_height_in_every_convention_that_has_legs() -> None:
    for skeleton in SKELETONS.values():
        xyz = np.zeros((len(skeleton), 3))
        for name in ('shoulder', 'hip', 'knee', 'ankle'):
            for side in ('left', 'right'):
                joint = f'{side}_{name}'
                xyz[skeleton.by_meaning[joint]] = BODY[COCO.index(joint)]
        assert body_height(skeleton, xyz) == pytest.approx(1.8, abs=0.01)


def test_depth_of_the_root_behind_the_skin_of_the_trunk() -> None:
    depth = np.full((480, 640), 3.0, np.float32)
    z = trunk_depth(COCO, BODY, PIXELS, depth)
    assert z == pytest.approx(3.0 - 0.05 + SKIN_TO_JOINT_M)
    # One shoulder is hidden by something near.
    x, y = PIXELS[COCO.index('left_shoulder')].astype(int)
    depth[y - 5 : y + 6, x - 5 : x + 6] = 1.0
    assert trunk_depth(COCO, BODY, PIXELS, depth) == pytest.approx(z)


def test_a_depth_image_that_shows_no_trunk() -> None:
    empty = np.full((480, 640), np.nan, np.float32)
    assert trunk_depth(COCO, BODY, PIXELS, empty) == 0.0
    full = np.full((480, 640), 3.0, np.float32)
    assert trunk_depth(COCO, BODY, PIXELS + 1000, full) == 0.0
    assert trunk_depth(COCO, BODY, np.full((17, 2), np.nan), full) == 0.0


def test_measurements_in_a_window() -> None:
    depth = np.arange(20, dtype=np.float32).reshape(4, 5)
    depth[1, 1] = np.nan
    assert measured(depth, -3, -3, 2, 2).tolist() == [1, 5]
    assert not measured(depth, 9, 9, 12, 12).size
