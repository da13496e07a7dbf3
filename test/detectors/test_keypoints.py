# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pose3d_ros.detectors.keypoints import create_source
from pose3d_ros.errors import ConfigError, InputError, ModelError
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.types import Frame, JointStatus

FRAME = Frame(np.zeros((48, 64, 3), np.uint8))


def test_keypoints_of_a_json_file(tmp_path: Path) -> None:
    points = [[10.0 + k, 20.0] for k in range(17)]
    points[3] = [None, None]
    rows = [{'instances': [{'keypoints': points}]}, {'instances': []}]
    path = tmp_path / 'keypoints.json'
    path.write_text(json.dumps(rows), encoding='utf-8')
    source = create_source(str(path), PipelineConfig())
    person = source.estimate([FRAME])[0][0]
    assert person.skeleton.name == 'coco_17'
    assert person.status[3] == JointStatus.INVALID
    assert person.pixels[4].tolist() == [14, 20]
    assert source.estimate([FRAME]) == [[]]
    source.reset()
    assert len(source.estimate([FRAME])[0]) == 1


def test_keypoints_of_an_array_file(tmp_path: Path) -> None:
    pixels = np.full((2, 2, 17, 2), np.nan)
    pixels[0, 1] = 5
    np.savez(tmp_path / 'k.npz', pixels=pixels, confidence=np.ones((2, 2, 17)), skeleton='coco_17')
    source = create_source(str(tmp_path / 'k.npz'), PipelineConfig())
    assert [len(source.estimate([FRAME])[0]) for _ in range(3)] == [1, 0, 0]


@pytest.mark.parametrize('content', ['', '{', '[1]', '[{"people": [{"keypoints": [[1, 2]]}]}]'])
def test_other_files_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / 'bad.json'
    path.write_text(content, encoding='utf-8')
    with pytest.raises(InputError, match=r'bad\.json'):
        create_source(str(path), PipelineConfig())


def test_unknown_sources_are_told() -> None:
    with pytest.raises(ConfigError, match='rtmpose'):
        create_source('nonsense', PipelineConfig())


def test_the_default_of_rtmpose_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match='pose3d models fetch rtmpose_m'):
        create_source('rtmpose', PipelineConfig(models_dir=str(tmp_path)))
