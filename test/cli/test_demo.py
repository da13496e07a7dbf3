# SPDX-License-Identifier: Apache-2.0
import os

import pytest

from pose3d_ros.cli.main import main
from pose3d_ros.outputs.tables import read_json_lines
from pose3d_ros.sources import open_source, read_image

pytestmark = pytest.mark.slow


def test_demo_writes_everything_and_says_where(blazepose_model, tmp_path, capsys):
    assert main(['demo', '--offline', '--output', str(tmp_path / 'out')]) == 0
    files = ['jump.jsonl', 'jump.mcap', 'jump.mp4', 'jump.png']
    assert sorted(os.listdir(tmp_path / 'out')) == files
    text = capsys.readouterr().out
    for name in files:
        assert str(tmp_path / 'out' / name) in text
    assert 'people found: 180 of 180' in text
    assert 'MPJPE' in text
    assert 'frames/s' in text
    assert len(list(read_json_lines(tmp_path / 'out' / 'jump.jsonl'))) == 180
    assert len(list(open_source(tmp_path / 'out' / 'jump.mp4'))) == 180
    assert read_image(tmp_path / 'out' / 'jump.png').shape[1] > 1000


def test_demo_without_model_and_network(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('POSE3D_MODELS', str(tmp_path / 'models'))
    assert main(['demo', '--offline', '--output', str(tmp_path / 'out')]) == 4
    assert 'pose3d models fetch' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()
