# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('onnx', reason='onnx makes the network of this test')

from support.drawn_model import write

from pose3d_ros.errors import ModelError
from pose3d_ros.estimators.openpose3d.estimator import Estimator
from pose3d_ros.settings.parsing import from_mapping
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.tools.openpose3d_scenes import Rehearsal, draw, standing
from pose3d_ros.types import Frame

FRAME = Frame(np.zeros((720, 1280, 3), np.uint8))


def estimator(folder: Path, about: dict[str, str]) -> Estimator:
    path = write(folder / 'net.onnx', draw(1, (57, 32)).maps, about)
    settings = {'estimator': 'openpose3d', 'model': str(path), 'allow_random_weights': True}
    return Estimator(from_mapping(PipelineConfig, settings))


def test_random_weights_show_as_many_people_as_are_asked_for(tmp_path: Path) -> None:
    own = estimator(tmp_path, {'pose3d.weights': 'random'})
    rehearsal = Rehearsal(own)
    for people in (4, 0, 2):
        rehearsal.show(people)
        assert len(own.estimate([FRAME])[0]) == people
    network = own.networks.of((456, 256))
    maps = network({'data': np.zeros((2, 256, 456, 3), np.uint8)})
    assert maps['heatmaps'].shape == (2, 19, 32, 57)


def test_a_real_model_does_not_rehearse(tmp_path: Path) -> None:
    own = estimator(tmp_path, {})
    Rehearsal(own).show(1)
    with pytest.raises(ModelError, match='is a real model'):
        own.estimate([FRAME])


def test_drawn_body_is_upright() -> None:
    body = standing()
    assert body[1, 1] < body[0, 1] < body[6, 1] < body[8, 1]
    assert body[6, 0] > 0 > body[12, 0]  # facing the camera, the left side is at the right
