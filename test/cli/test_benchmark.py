# SPDX-License-Identifier: Apache-2.0
import json

import pytest
from support.clips import shorten
from support.processor import has_bf16

from pose3d_ros.cli.main import main
from pose3d_ros.tools.benchmark import WARM_UP_FRAMES

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return shorten(tmp_path_factory.mktemp('clips'), ['jump'], WARM_UP_FRAMES + 30)


def test_table_and_json(blazepose_model, folder, tmp_path, capsys):
    path = tmp_path / 'times.json'
    arguments = ['--rounds', '1', '--precisions', 'f32,mixed', '--threads', '1', '--offline']
    assert main(['benchmark', *arguments, '--data', folder, '--json', str(path)]) == 0
    text = capsys.readouterr().out
    assert 'median ms' in text
    assert 'landmarks' in text
    content = json.loads(path.read_text())
    assert content['machine']['cpu']
    low = 'mixed' if has_bf16() else 'f32'
    assert [r['precision_setting'] for r in content['results']] == ['f32', 'mixed']
    assert [r['precision'] for r in content['results']] == ['f32', low]
    assert ('f32 (set: mixed)' in text) == (low == 'f32')
    for result in content['results']:
        stages = sum(stage['mean'] for stage in result['stages_ms'].values())
        assert 0 < stages <= result['total_ms']['mean'] * 1.01
        assert result['total_ms']['median'] <= result['total_ms']['p95']
        assert result['fps'] > 0
        assert result['threads'] == 1
        # The precision is recorded with what it costs.
        assert 60 < result['mpjpe_mm'] < 110


def test_devices_that_are_not_there_are_named(blazepose_model, folder, capsys):
    arguments = ['--rounds', '1', '--precisions', 'f32', '--devices', 'CPU,NPU.7', '--offline']
    assert main(['benchmark', *arguments, '--data', folder]) == 0
    text = capsys.readouterr().out
    assert 'not here: NPU.7 f32' in text
    assert main(['benchmark', '--devices', 'NPU.7', *arguments[:4], '--data', folder]) == 1


def test_wrong_options(capsys):
    assert main(['benchmark', '--rounds', '0']) == 2
    assert main(['benchmark', '--precisions', 'f31']) == 2
    assert 'f31' in capsys.readouterr().err
    assert WARM_UP_FRAMES < 180
