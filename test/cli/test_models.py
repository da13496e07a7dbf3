# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest

from pose3d_ros.cli.main import main
from pose3d_ros.zoo import Model, load_registry

pytestmark = pytest.mark.slow


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty models folder."""
    monkeypatch.setenv('POSE3D_MODELS', str(tmp_path))
    return tmp_path


@pytest.fixture
def filled(store: Path, blazepose_model: Model) -> Path:
    """A models folder with BlazePose in it."""
    folder = store / 'blazepose'
    folder.mkdir()
    for path in blazepose_model.files['detector'].parent.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return store


def test_list(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['models', 'list']) == 0
    output = capsys.readouterr().out
    assert 'blazepose' in output
    assert 'not fetched' in output
    assert str(store) in output
    assert main(['models', 'list', '--json']) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {item['name'] for item in listed} == set(load_registry())
    assert listed[0]['state'] == 'not fetched'


def test_info(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blazepose = load_registry()['blazepose']
    assert main(['models', 'info', 'blazepose']) == 0
    output = capsys.readouterr().out
    for text in ('Apache-2.0', 'blazepose_33', '256x256', 'mixed', '35.6 MB'):
        assert text in output
    assert blazepose.files['detector'].sha256 in output
    assert main(['models', 'info', '--json']) == 0
    told = json.loads(capsys.readouterr().out)[0]
    assert told['files']['landmarks']['sha256'] == blazepose.files['landmarks'].sha256
    assert told['folder'] == str(store / 'blazepose')


@pytest.mark.parametrize('action', ['info', 'fetch', 'verify'])
def test_unknown_model(store: Path, capsys: pytest.CaptureFixture[str], action: str) -> None:
    assert main(['models', action, 'blazeposse']) == 4
    captured = capsys.readouterr()
    assert captured.out == ''
    assert captured.err == (
        "pose3d: error: model 'blazeposse' is unknown; did you mean 'blazepose', 'blazepose_lite' "
        "or 'blazepose_heavy'? "
        '(pose3d models list shows all)\n'
    )


def test_fetch_wants_names_or_all(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['models', 'fetch']) == 4
    assert main(['models', 'fetch', 'blazepose', '--all']) == 4
    assert 'name models to fetch, or --all' in capsys.readouterr().err


def test_fetch_tells_the_licence_first(
    store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('PIP_CONFIG_FILE', '/dev/null')
    monkeypatch.setenv('PIP_FIND_LINKS', '')
    monkeypatch.setenv('PIP_NO_INDEX', '1')
    assert main(['models', 'fetch', 'blazepose']) == 4
    lines = capsys.readouterr().err.splitlines()
    assert 'licence Apache-2.0' in lines[1]
    assert lines[-1].startswith('pose3d: error: model blazepose: pip cannot download mediapipe==')
    assert list(store.iterdir()) == []


def test_fetched_already(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['models', 'fetch', 'blazepose']) == 0
    assert capsys.readouterr().out == f'blazepose is already here: {filled / "blazepose"}\n'
    assert main(['models', 'fetch', 'blazepose', '--quiet']) == 0
    assert capsys.readouterr() == ('', '')


def test_verify(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['models', 'verify']) == 0
    assert 'blazepose: ready\n' in capsys.readouterr().out
    path = filled / 'blazepose' / 'pose_landmark_full.tflite'
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    assert main(['models', 'verify', 'blazepose']) == 1
    output = capsys.readouterr().out
    assert 'blazepose: damaged' in output
    assert 'pose_landmark_full.tflite has the wrong checksum' in output
    assert main(['models', 'verify', '--json']) == 1
    assert len(json.loads(capsys.readouterr().out)['blazepose']['problems']) == 1


def test_verify_a_model_that_is_not_here(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['models', 'verify']) == 0
    assert main(['models', 'verify', 'blazepose']) == 1
    assert 'does not exist' in capsys.readouterr().out


def test_convert(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip('torch', reason='PyTorch is an extra: pose3d_ros[convert]')
    pytest.importorskip('onnx', reason='onnx is an extra: pose3d_ros[convert]')
    name = next(e.name for e in load_registry().values() if e.estimator == 'openpose3d')
    assert main(['models', 'convert', name]) == 4
    assert f'fetch it with: pose3d models fetch {name}' in capsys.readouterr().err
    assert main(['models', 'convert', name, '--size', '64']) == 2
    assert "--size must be WxH in pixels, as in 448x256, not '64'" in capsys.readouterr().err
    assert main(['models', 'convert', 'blazepose']) == 4
    assert 'blazepose has nothing to convert' in capsys.readouterr().err
    command = ['models', 'convert', name, '--random-weights', '1', '--size', '64x64']
    assert main([*command, '--formats', 'xml']) == 0
    captured = capsys.readouterr()
    assert 'RANDOM WEIGHTS: this model finds nobody' in captured.err
    assert sorted(p.name for p in (store / f'{name}.random').iterdir()) == [
        'converted.json',
        'network.bin',
        'network.xml',
    ]
    assert main(['models', 'list', '--json']) == 0
    states = {item['name']: item['state'] for item in json.loads(capsys.readouterr().out)}
    assert states[name] == 'not fetched'


def test_models_dir_option_beats_the_environment(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['models', 'list', '--models-dir', str(tmp_path / 'other')]) == 0
    assert str(tmp_path / 'other') in capsys.readouterr().out
