# SPDX-License-Identifier: Apache-2.0
import json
import os

import pytest
from shared import CLIPS
from support.clips import shorten

from pose3d_ros.cli.main import main
from pose3d_ros.resources import resource

pytestmark = pytest.mark.slow

FOLDER = str(resource('demo', 'README.md').parent)


def test_bundled_clips_with_blazepose(blazepose_model, tmp_path, capsys):
    path = tmp_path / 'scores.json'
    folder = shorten(tmp_path, ['jump', 'two_people'], 60)
    assert main(['evaluate', '--offline', '--data', folder, '--json', str(path)]) == 0
    text = capsys.readouterr().out
    assert 'jump' in text
    assert 'mean, all clips' in text
    scores = json.loads(path.read_text())
    assert set(scores['clips']) == {'jump', 'two_people'}
    one, two = scores['clips']['jump'], scores['clips']['two_people']
    # MediaPipe itself reaches 93.5 mm on jump and finds one of the two people.
    assert one['detection_rate'] == 1
    assert one['mpjpe_mm'] < 105
    assert one['false_people'] == two['false_people'] == 0
    assert two['detection_rate'] >= 0.95
    assert two['identity_switches'] == 0
    assert two['root_error_mm_median'] < 400
    assert scores['mean']['mpjpe_mm'] == pytest.approx((one['mpjpe_mm'] + two['mpjpe_mm']) / 2)
    assert scores['mean_one_person']['mpjpe_mm'] == one['mpjpe_mm']


def test_estimator_that_sees_nobody(tmp_path, capsys):
    path = tmp_path / 'scores.json'
    arguments = ['--data', FOLDER, '--clips', 'jump', '--json', str(path)]
    assert main(['evaluate', *arguments, '--estimator', 'support.blobs']) == 0
    scores = json.loads(path.read_text())['clips']['jump']
    assert scores['detection_rate'] < 0.5
    assert scores['frames'] == 180


def test_true_height(tmp_path, capsys):
    path = tmp_path / 'scores.json'
    arguments = ['evaluate', '--data', FOLDER, '--estimator', 'support.blobs', '--height', 'true']
    assert main([*arguments, '--clips', 'jump', '--json', str(path)]) == 0
    assert json.loads(path.read_text())['heights_m'] == {'jump': pytest.approx(1.73, abs=0.01)}
    assert main(arguments) == 3
    assert 'two_people shows 2 people' in capsys.readouterr().err


def test_known_floor(tmp_path, capsys):
    path = tmp_path / 'scores.json'
    arguments = ['--data', FOLDER, '--clips', 'jump', '--estimator', 'support.blobs']
    assert main(['evaluate', *arguments, '--floor', 'known', '--json', str(path)]) == 0
    scores = json.loads(path.read_text())
    assert scores['floor'] == 'known'
    assert main(['evaluate', *arguments, '--floor', 'flat']) == 2
    assert 'floor must be one of' in capsys.readouterr().err


def test_mistakes(tmp_path, capsys):
    assert main(['evaluate', '--data', str(tmp_path)]) == 3
    assert 'no clips here' in capsys.readouterr().err
    assert main(['evaluate', '--data', FOLDER, '--clips', 'walk']) == 3
    assert "no clip 'walk'" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_parity_blazepose_published_accuracy(blazepose_model, recorded, tmp_path):
    """In parity mode and f32 the errors are those of the published package."""
    published = json.loads(recorded('blazepose/accuracy.json').read_text())
    folder = CLIPS
    names = sorted(p.stem for p in folder.glob('*.mp4') if p.stem in published)
    if not names:
        pytest.skip(f'none of the recorded clips is in {folder}')
    path = tmp_path / 'scores.json'
    arguments = ['--data', str(folder), '--clips', ','.join(names), '--json', str(path)]
    code = main(['evaluate', *arguments, '--offline', '--parity', '--precision', 'f32'])
    assert code == 0
    for name, scores in json.loads(path.read_text())['clips'].items():
        video = published[name]['video']
        found = scores['people_found'] / video['frames_with_result']
        assert found == pytest.approx(1, abs=0.02), name
        assert scores['mpjpe_mm'] == pytest.approx(video['mpjpe_mm'], abs=3), name
        assert scores['pa_mpjpe_mm'] == pytest.approx(video['pa_mpjpe_mm'], abs=2), name
        assert scores['error_2d_px_mean'] == pytest.approx(video['error_2d_px'], abs=0.5), name
        # The depth of a body hangs on its size: a few millimetres become a tenth of the error.
        for key, published_key in (
            ('root_error_mm_median', 'median'),
            ('root_error_mm_mean', 'mean'),
            ('depth_bias_mm', 'mean_depth_bias'),
        ):
            wanted = video['root_error_mm'][published_key]
            assert scores[key] == pytest.approx(wanted, rel=0.1, abs=15), (name, key)
