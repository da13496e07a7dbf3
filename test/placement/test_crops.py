# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pose3d_ros.camera import Camera
from pose3d_ros.networks.crops import look_at
from pose3d_ros.placement.crops import AUTO, METHODS, CropBody, place_in_crop
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.skeleton import SKELETONS
from pose3d_ros.types import Frame, JointStatus, PositionSource

H36M = SKELETONS['h36m_17']
CAMERA = Camera(K=np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), size=(640, 480))
T = np.array([0.4, 0.1, 4.0])
CONFIG = PipelineConfig()


def body() -> np.ndarray:
    """(17, 3) metres about the pelvis, axes of the camera."""
    xyz = np.random.default_rng(2).normal(0, (0.2, 0.3, 0.2), (17, 3))
    return np.asarray(xyz - xyz[0])


def seen(**changes: object) -> CropBody:
    """A body at T as its crop shows it."""
    pixels = CAMERA.project(body() + T)
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    box = np.array([*low, *(high - low), 0.9])
    crop = look_at(CAMERA, box, 256)
    assert crop is not None
    whole = CropBody(
        skeleton=H36M,
        crop=crop,
        box=box,
        xyz=body() @ crop.R.T,
        confidence=np.full(17, np.nan),
        pixels=pixels,
        pixel_confidence=np.full(17, 0.8),
        score=0.7,
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def frame(depth: float | None = None, camera: Camera | None = CAMERA) -> Frame:
    image = None if depth is None else np.full((480, 640), depth, np.float32)
    return Frame(np.zeros((480, 640, 3), np.uint8), camera=camera, depth=image)


@pytest.mark.parametrize('method', ['auto', 'perspective', 'bone_lengths'])
def test_rays_place_a_body(method: str) -> None:
    pose = place_in_crop(seen(), frame(), CONFIG, method)
    np.testing.assert_allclose(pose.xyz, body() + T, atol=1e-3)
    assert pose.placed_by == ('perspective' if method == 'auto' else method)
    assert pose.position_source == PositionSource.METRIC
    assert (pose.status == JointStatus.MEASURED).all()
    np.testing.assert_allclose(pose.confidence, 0.8)
    assert pose.score == 0.7


def test_every_method_has_a_name_and_says_so() -> None:
    assert set(AUTO) < set(METHODS)
    for method in METHODS:
        pose = place_in_crop(seen(), frame(4.0 - 0.09), CONFIG, method)
        assert pose.placed_by == method
        assert pose.xyz[0][2] == pytest.approx(4.0, abs=0.6)


def test_without_pixels_a_depth_image_and_then_the_box() -> None:
    blind = seen(pixels=np.full((17, 2), np.nan), pixel_confidence=np.zeros(17))
    pose = place_in_crop(blind, frame(3.91), CONFIG, 'auto')
    assert (pose.placed_by, pose.position_source) == ('depth', PositionSource.DEPTH)
    assert pose.xyz[0][2] == pytest.approx(4.0, abs=0.05)
    assert np.isfinite(pose.pixels).all()
    assert np.isnan(pose.confidence).all()
    pose = place_in_crop(blind, frame(), CONFIG, 'auto')
    assert (pose.placed_by, pose.position_source) == ('box', PositionSource.ASSUMED)


def test_joints_outside_the_image_are_inferred_and_count_less() -> None:
    pixels = seen().pixels.copy()
    pixels[5] = (-40.0, 100.0)
    pose = place_in_crop(seen(pixels=pixels), frame(), CONFIG, 'auto')
    assert pose.status[5] == JointStatus.INFERRED
    assert pose.confidence[5] == pytest.approx(0.4)
    np.testing.assert_allclose(pose.root, T, atol=0.02)


def test_without_calibration_the_body_stays_root_relative() -> None:
    pose = place_in_crop(seen(), frame(camera=None), CONFIG, 'auto')
    assert (pose.placed_by, pose.position_source) == ('', PositionSource.RELATIVE)
    np.testing.assert_allclose(pose.xyz, body(), atol=1e-9)


def test_a_method_that_cannot_tell() -> None:
    lost = seen(pixels=np.full((17, 2), np.nan), pixel_confidence=np.zeros(17))
    for method in ('perspective', 'bone_lengths', 'depth', 'metrabs'):
        assert not place_in_crop(lost, frame(), CONFIG, method).absolute
