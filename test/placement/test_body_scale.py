# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from support.blobs import body
from support.poses import person

from pose3d_ros.camera import Camera
from pose3d_ros.placement.body_scale import body_scaled
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.types import Frame, PositionSource

CAMERA = Camera(K=np.array([[550.0, 0, 320], [0, 550, 240], [0, 0, 1]]), size=(640, 480))
CONFIG = PipelineConfig()
AT = np.array((0.3, 0.1, 4.0))
# Relative to the root, in 0.8 of its size.
SMALL = person(
    xyz=0.8 * body(),
    pixels=CAMERA.project(body() + AT),
    position_source=PositionSource.RELATIVE,
    covariance=np.tile(np.eye(3) * 1e-4, (17, 1, 1)),
)


def frame(depth_m: float | None = None) -> Frame:
    depth = None if depth_m is None else np.full((480, 640), depth_m, np.float32)
    return Frame(np.zeros((480, 640, 3), np.uint8), camera=CAMERA, depth=depth)


def test_depth_images_set_the_size_and_it_is_remembered() -> None:
    scales: dict[int, float] = {}
    (pose,) = body_scaled([SMALL], frame(4.0 - 0.09), scales, CONFIG)
    np.testing.assert_allclose(pose.xyz, body(), atol=0.01)
    assert pose.covariance is not None
    np.testing.assert_allclose(np.diagonal(pose.covariance[0]), 1e-4 / 0.8**2, rtol=0.02)
    (later,) = body_scaled([SMALL], frame(), scales, CONFIG)
    np.testing.assert_array_equal(later.xyz, pose.xyz)
    # One measurement out of line moves it by a tenth.
    before = scales[1]
    body_scaled([SMALL], frame(1.1 * (4.0 - 0.09)), scales, CONFIG)
    assert scales[1] / before == pytest.approx(1.01, abs=0.002)


def test_sizes_that_are_known_stay() -> None:
    scales = {1: 1.25}
    placed = person()
    assert body_scaled([placed], frame(3.0), scales, CONFIG) == [placed]
    assert body_scaled([SMALL], frame(3.0), scales, PipelineConfig(body_height_m=1.8)) == [SMALL]
    assert body_scaled([SMALL], frame(), {}, CONFIG) == [SMALL]
    assert scales == {1: 1.25}
