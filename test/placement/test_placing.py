# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.standing import FLOOR, standing

from pose3d_ros.camera import Camera
from pose3d_ros.placement.placing import place_relative
from pose3d_ros.placement.size import SizeMemory
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.skeleton import SKELETONS
from pose3d_ros.types import EstimatorInfo, Frame, JointStatus, Pose3D, PositionSource

INFO = EstimatorInfo('m', '1', 'none', 'CPU', 'f32', metric=True, size_sigma=0.1)
COCO = SKELETONS['coco_17']
CAMERA = Camera(
    K=np.array([[550.0, 0, 320], [0, 550, 240], [0, 0, 1]]),
    size=(640, 480),
    model='plumb_bob',
    D=np.array([-0.2, 0.05, 0, 0, 0]),
)
# A body 1.8 m tall by the shares of thigh, shank and trunk.
BODY = np.zeros((17, 3))
BODY[5], BODY[6] = (0.2, -0.4986, 0.05), (-0.2, -0.4986, 0.05)
BODY[11], BODY[12] = (0.2, 0, 0.05), (-0.2, 0, 0.05)
BODY[13], BODY[14] = (0.2, 0.4266, 0.05), (-0.2, 0.4266, 0.05)
BODY[15], BODY[16] = (0.2, 0.8712, 0.05), (-0.2, 0.8712, 0.05)
BODY[:5] = np.random.default_rng(0).normal((0, -0.7, 0), 0.05, (5, 3))
BODY[7:11] = np.random.default_rng(1).normal((0, -0.2, -0.2), 0.2, (4, 3))
BODY -= BODY[[11, 12]].mean(axis=0)
T = np.array([0.6, 0.1, 3.5])


def seen(scale: float = 1.0, camera: Camera = CAMERA) -> Pose3D:
    """A body at T whose size the model sees too small or large."""
    return Pose3D(
        skeleton=COCO,
        xyz=BODY * scale,
        confidence=np.ones(17),
        pixels=camera.project(BODY + T),
        status=np.full(17, JointStatus.MEASURED, np.uint8),
        covariance=np.tile(np.eye(3) * 1e-4, (17, 1, 1)),
    )


def put(
    pose: Pose3D, depth: np.ndarray | None = None, camera: Camera = CAMERA, **settings
) -> Pose3D:
    frame = Frame(np.zeros((480, 640, 3), np.uint8), depth=depth, camera=camera)
    return place_relative([pose], frame, PipelineConfig(**settings), INFO)[0]


def test_exact_body_is_placed_exactly_through_distortion() -> None:
    found = put(seen())
    np.testing.assert_allclose(found.xyz, BODY + T, atol=1e-3)
    assert found.position_source == PositionSource.METRIC


def test_distance_goes_with_the_assumed_size_and_a_known_height_mends_it() -> None:
    np.testing.assert_allclose(put(seen(0.9)).root, 0.9 * T, atol=0.01)
    found = put(seen(0.9), body_height_m=1.8)
    np.testing.assert_allclose(found.root, T, atol=0.01)
    assert found.position_source == PositionSource.ASSUMED


def test_heights_that_earlier_frames_showed_come_before_that_of_the_frame() -> None:
    frame = Frame(np.zeros((480, 640, 3), np.uint8), camera=CAMERA)
    config = PipelineConfig(body_height_m=1.8)
    pose = seen(0.9).replace(track_id=7)
    for heights, share in (({7: 1.8 * 0.9}, 1.0), ({7: 1.8}, 0.9), ({7: np.nan}, 1.0), ({}, 1.0)):
        found = place_relative([pose], frame, config, INFO, heights)[0]
        np.testing.assert_allclose(found.root, share * T, atol=0.01)


def test_depth_camera_mends_it_too() -> None:
    depth = np.full((480, 640), np.nan, np.float32)
    for x, y in seen().pixels[[5, 6, 11, 12]]:
        depth[int(y) - 3 : int(y) + 4, int(x) - 3 : int(x) + 4] = 3.5 - 0.09
    found = put(seen(0.9), depth=depth)
    assert found.position_source == PositionSource.DEPTH
    np.testing.assert_allclose(found.root, T, atol=0.06)


def test_holes_in_the_depth_are_no_measurement() -> None:
    empty = np.full((480, 640), np.nan, np.float32)
    assert put(seen(0.9), depth=empty).position_source == PositionSource.METRIC


def test_assumed_focal_length_is_no_metric_position() -> None:
    camera = Camera.assume(550.0, (640, 480))
    assert put(seen(camera=camera), camera=camera).position_source == PositionSource.ASSUMED


def test_uncertainty_lies_along_the_ray() -> None:
    covariance = put(seen()).covariance
    assert covariance is not None
    ray = T / np.linalg.norm(T)
    along = float(ray @ covariance[0] @ ray)
    assert along == pytest.approx((0.1 * np.linalg.norm(T)) ** 2, rel=0.1)
    side = np.cross(ray, [0, 1, 0])
    assert float(side @ covariance[0] @ side) < along / 20


def test_what_fits_nowhere_stays_relative() -> None:
    pose = seen()
    noise = np.random.default_rng(0).uniform((0, 0), (640, 480), (17, 2))
    assert not put(pose.replace(pixels=noise)).absolute
    assert not put(pose.replace(pixels=np.full((17, 2), np.nan))).absolute


def test_joints_are_pulled_onto_their_rays() -> None:
    pose = seen()
    bent = pose.xyz.copy()
    bent[9] += (0.1, 0, 0)
    full = put(pose.replace(xyz=bent), reprojection_weight=1.0)
    np.testing.assert_allclose(CAMERA.project(full.xyz)[9], pose.pixels[9], atol=0.1)
    none = put(pose.replace(xyz=bent), reprojection_weight=0.0)
    assert np.abs(CAMERA.project(none.xyz)[9] - pose.pixels[9]).max() > 5


def test_feet_on_the_floor_mend_the_size_and_say_so() -> None:
    child, root = standing(scale=0.7)
    frame = Frame(np.zeros((480, 640, 3), np.uint8), camera=CAMERA)
    sizes: dict[int, SizeMemory] = {}
    for _ in range(60):
        (found,) = place_relative(
            [child], replace(frame, floor=FLOOR), PipelineConfig(), INFO, sizes=sizes
        )
    assert found.position_source == PositionSource.PLANE
    np.testing.assert_allclose(found.root, root, atol=0.06)
    assert found.covariance is not None
    along = root / np.linalg.norm(root)
    assert 0.02 < np.sqrt(along @ found.covariance[0] @ along) < 0.2
    # Without the floor, the size that was learnt stays; without both, the model's counts.
    (later,) = place_relative([child], frame, PipelineConfig(), INFO, sizes=sizes)
    assert later.position_source == PositionSource.METRIC
    np.testing.assert_allclose(later.root, root, atol=0.15)
    (alone,) = place_relative([child], frame, PipelineConfig(), INFO)
    assert alone.root[2] > 1.3 * root[2]


def test_who_jumps_is_not_put_far_away() -> None:
    frame = Frame(np.zeros((480, 640, 3), np.uint8), camera=CAMERA)
    sizes: dict[int, SizeMemory] = {}
    for k in range(60):
        pose, root = standing(lift=0.4 if k % 5 == 4 else 0.0)
        (found,) = place_relative(
            [pose], replace(frame, floor=FLOOR), PipelineConfig(), INFO, sizes=sizes
        )
    assert found.position_source == PositionSource.METRIC
    np.testing.assert_allclose(found.root, root, atol=0.1)
