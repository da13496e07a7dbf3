# SPDX-License-Identifier: Apache-2.0
"""Recorded ONNX networks as detector and as source of 2D joints of top-down estimators."""

from __future__ import annotations

import numpy as np
import pytest
from shared import Recorded

from pose3d_ros.camera import Camera
from pose3d_ros.detectors.boxes import create_detector
from pose3d_ros.detectors.crop_keypoints import create_source
from pose3d_ros.detectors.rtmpose import RTMPose
from pose3d_ros.errors import ConfigError
from pose3d_ros.networks.crops import Picture, look_at, upright
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.types import Frame
from pose3d_ros.zoo import Model

pytestmark = pytest.mark.slow

CONFIG = PipelineConfig(precision='f32')
IMAGE = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)


def test_a_yolox_file_gives_boxes(recorded: Recorded) -> None:
    path = recorded('lifters/topdown/mini_yolox_nms.onnx')
    detector = create_detector('onnx', CONFIG, str(path))
    (boxes,) = detector.detect([Frame(IMAGE)])
    assert boxes.shape[1] == 5


def test_joints_in_a_crop_are_those_of_the_box_in_the_image(
    blazepose_model, recorded: Recorded
) -> None:
    path = str(recorded('lifters/topdown/mini_rtmpose.onnx'))
    source = create_source('rtmpose', CONFIG, path)
    assert source is not None
    # Twice the same pixels: a crop without scaling, and the box in the image.
    box = np.array([150.0, 100, 256, 256, 1.0])
    crop = look_at(upright(box, (640, 480)), box, 256)
    assert crop is not None
    (found,) = source.find([(Picture(IMAGE), crop)])
    (expected,) = RTMPose(CONFIG.replace(model=path)).keypoints(Frame(IMAGE), box[None])
    both = np.isfinite(expected.pixels).all(axis=1)
    assert both.any()
    assert np.abs(found.pixels - expected.pixels)[both].max() < 1.5


def test_joints_are_turned_back_to_the_image(blazepose_model: Model, recorded: Recorded) -> None:
    path = str(recorded('lifters/topdown/mini_rtmpose.onnx'))
    source = create_source('rtmpose', CONFIG, path)
    assert source is not None
    camera = Camera(K=np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]), size=(640, 480))
    crop = look_at(camera, np.array([20.0, 150, 120, 240]), 256)
    assert crop is not None
    (found,) = source.find([(Picture(IMAGE), crop)])
    inside = crop.from_image(found.pixels[np.isfinite(found.pixels).all(axis=1)])
    assert (inside > -96).all()
    assert (inside < 352).all()


def test_a_model_has_to_be_named() -> None:
    with pytest.raises(ConfigError, match='keypoints_model'):
        create_source('rtmpose', CONFIG)
