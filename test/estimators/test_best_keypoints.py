# SPDX-License-Identifier: Apache-2.0
"""BlazePose's joints and Thunder's, averaged."""

from __future__ import annotations

import numpy as np
import pytest

from pose3d_ros.errors import ModelError
from pose3d_ros.estimators import sources
from pose3d_ros.resources import resource
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.tools.clips import JOINTS, Clip

CONFIG = PipelineConfig(estimator='lifter', finder='movenet', threads=2, precision='f32')


def test_joints_are_averaged_and_keep_their_3d() -> None:
    try:
        best = sources.create_source('best', CONFIG)
        blazepose = sources.create_source('blazepose', CONFIG)
    except ModelError as error:
        pytest.skip(str(error))
    clip = Clip.load(resource('demo', 'jump.mp4'))
    joints = [best.skeleton.index(joint) for joint in JOINTS]
    errors = []
    for index, frame in enumerate(clip.frames()):
        if index == 8:
            break
        (pose,), (own,) = best.estimate([frame])[0], blazepose.estimate([frame])[0]
        np.testing.assert_array_equal(pose.xyz, own.xyz)
        rest = [j for j in range(33) if j not in joints and j not in (2, 5, 7, 8)]
        np.testing.assert_array_equal(pose.pixels[rest], own.pixels[rest])
        assert (pose.pixels[joints] != own.pixels[joints]).any(axis=1).all()
        apart = np.linalg.norm(pose.pixels[joints] - clip.pixels[index, 0], axis=1)
        errors.append(np.median(apart) / clip.extent[index, 0])
    assert np.mean(errors) < 0.05


def test_needed_models() -> None:
    needed = sources.source_models('best', CONFIG)
    assert needed == ('blazepose', 'movenet_multipose', 'movenet_thunder')
