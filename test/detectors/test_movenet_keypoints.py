# SPDX-License-Identifier: Apache-2.0
"""MoveNet's joints on bundled clips, against their ground truth."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pose3d_ros.detectors.keypoints import KeypointSource, create_source, models_of
from pose3d_ros.errors import ModelError
from pose3d_ros.resources import resource
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.tools.clips import JOINTS, Clip
from pose3d_ros.types import Frame


@pytest.fixture(scope='module', params=['movenet', 'movenet_thunder'])
def source(request: pytest.FixtureRequest) -> KeypointSource:
    try:
        return create_source(request.param, PipelineConfig(finder='movenet', threads=2))
    except ModelError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(('name', 'people'), [('jump', 1), ('two_people', 2)])
def test_joints_lie_on_the_people(source: KeypointSource, name: str, people: int) -> None:
    source.reset()
    clip = Clip.load(resource('demo', f'{name}.mp4'))
    joints = [source.skeleton.index(joint) for joint in JOINTS]
    errors = []
    for index, frame in enumerate(clip.frames()):
        if index == 12:
            break
        (poses,) = source.estimate([frame])
        pixels = np.array([pose.pixels[joints] for pose in poses])
        matches = clip.match(index, pixels)
        assert len(matches.pairs) == people
        assert matches.false_people == 0
        for row, person in matches.pairs:
            apart = np.linalg.norm(pixels[row] - clip.pixels[index, person], axis=1)
            errors.append(np.median(apart) / clip.extent[index, person])
            assert 0 <= poses[row].confidence.min() <= poses[row].confidence.max() <= 1
    assert np.mean(errors) < 0.05


def test_nobody_and_one_at_most(source: KeypointSource) -> None:
    source.reset()
    blank = Frame(np.full((90, 120, 3), 90, np.uint8))
    assert source.estimate([blank]) == [[]]
    source.configure(PipelineConfig(finder='movenet', max_people=1))
    source.reset()
    video = cv2.VideoCapture(str(resource('demo', 'two_people.mp4')))
    _, image = video.read()
    assert len(source.estimate([Frame(image)])[0]) == 1
    source.configure(PipelineConfig(finder='movenet'))


def test_needed_models() -> None:
    assert models_of('movenet') == ('movenet_multipose',)
    assert models_of('movenet_thunder') == ('movenet_thunder', 'finder')
    assert models_of('movenet_thunder', 'movenet_lightning') == ('movenet_lightning', 'finder')


def test_another_network_is_refused() -> None:
    config = PipelineConfig(model='movenet_multipose', finder='movenet')
    with pytest.raises(ModelError, match='movenet_multipose'):
        create_source('movenet_thunder', config)
