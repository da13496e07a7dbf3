# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from support.blobs import draw

from pose3d_ros.detectors.keypoints import FrameKeypoints
from pose3d_ros.errors import ConfigError
from pose3d_ros.estimators import sources
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.types import Frame

LIFTER = PipelineConfig(estimator='lifter', options={'keypoints': 'topic'}, parity=True, model='m')


def test_an_estimator_or_a_detector_gives_2d_joints(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(sources.create_source('topic', LIFTER), FrameKeypoints)
    monkeypatch.setitem(sources.ESTIMATORS.table, 'blobs', 'support.blobs:Estimator')
    source = sources.create_source('blobs', LIFTER)
    ((pose,),) = source.estimate([Frame(draw([(320, 240, 200)]))])
    assert np.isfinite(pose.pixels).all()
    assert source.info.model == 'blobs'


def test_the_source_does_not_see_the_settings_of_the_lifter() -> None:
    config = sources.source_config('blazepose', LIFTER, 'blazepose_heavy')
    assert (config.estimator, config.model) == ('blazepose', 'blazepose_heavy')
    assert not config.parity
    assert not config.options


def test_no_lifter_is_its_own_source() -> None:
    with pytest.raises(ConfigError, match='cannot be its own source of 2D joints; blazepose can'):
        sources.create_source('lifter', LIFTER)


def test_the_nearest_names_of_both_rooms() -> None:
    with pytest.raises(ConfigError, match=r"'rtmpos' is unknown; did you mean 'rtmpose'.*\.npz"):
        sources.create_source('rtmpos', LIFTER)


def test_models_of_a_source() -> None:
    assert sources.source_models('openpose3d', LIFTER) == ('human-pose-estimation-3d-0001',)
    with_finder = ('rtmpose_m', 'movenet_multipose')
    assert sources.source_models('rtmpose', LIFTER, 'rtmpose_m') == with_finder
    by_faces = LIFTER.replace(finder='blazepose')
    assert sources.source_models('rtmpose', by_faces, 'rtmpose_m') == ('rtmpose_m', 'blazepose')
    assert sources.source_models('movenet', LIFTER) == ('movenet_multipose',)
    with_finder = ('movenet_thunder', 'movenet_multipose')
    assert sources.source_models('movenet_thunder', LIFTER) == with_finder
    assert not sources.source_models('topic', LIFTER)
    assert not sources.source_models('points.json', LIFTER)
