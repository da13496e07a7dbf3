# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from pose3d_ros.errors import ModelError
from pose3d_ros.zoo import Entry, FileEntry, find_model, models_folder, problems
from pose3d_ros.zoo.store import problem, sha256

A, B = b'first network', b'second network'


@pytest.fixture
def stored(tmp_path: Path) -> tuple[dict[str, Entry], Path]:
    """A registry of one model of two networks, and the folder in which it is stored."""
    folder = tmp_path / 'toy'
    folder.mkdir()
    files = {}
    for role, content in (('detector', A), ('landmarks', B)):
        path = folder / f'{role}_v1.onnx'
        path.write_bytes(content)
        files[role] = FileEntry(
            file=path.name,
            size=len(content),
            sha256=sha256(path),
            url='https://example.org/x',
            precision='bf16' if role == 'detector' else 'f32',
        )
    entry = Entry(
        name='toy',
        estimator='blazepose',
        title='a toy',
        skeleton='coco_17',
        licence='MIT',
        source='the test',
        files=files,
    )
    return {'toy': entry}, tmp_path


def test_found_by_name(stored: tuple[dict[str, Entry], Path]) -> None:
    registry, root = stored
    model = find_model('toy', 'detector', 'landmarks', models_dir=root, registry=registry)
    assert model.name == 'toy'
    assert model.estimator == 'blazepose'
    assert model.licence == 'MIT'
    assert {role: path.read_bytes() for role, path in model.files.items()} == {
        'detector': A,
        'landmarks': B,
    }
    assert model.precision == {'detector': 'bf16', 'landmarks': 'f32'}
    assert len(model.version) == 12
    assert find_model('toy', models_dir=root, registry=registry) == model
    part = find_model('toy', 'landmarks', models_dir=root, registry=registry)
    assert list(part.files) == ['landmarks']
    assert part.version == model.version


def test_missing_model_says_how_to_get_it(stored: tuple[dict[str, Entry], Path]) -> None:
    registry, root = stored
    (root / 'toy' / 'landmarks_v1.onnx').unlink()
    with pytest.raises(ModelError, match='does not exist; fetch it with: pose3d models fetch toy'):
        find_model('toy', 'detector', models_dir=root, registry=registry)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (A[:5], r'has 5 bytes and should have 13'),
        (b'', r'has 0 bytes and should have 13'),
        (A[:-1] + b'x', r'has the wrong checksum'),
    ],
)
def test_damaged_file(stored: tuple[dict[str, Entry], Path], content: bytes, message: str) -> None:
    registry, root = stored
    (root / 'toy' / 'detector_v1.onnx').write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        find_model('toy', models_dir=root, registry=registry)
    assert 'detector_v1.onnx' in str(caught.value)
    assert 'pose3d models fetch toy' in str(caught.value)
    assert len(problems(registry['toy'], root / 'toy')) == 1


def test_a_folder_in_place_of_a_file(stored: tuple[dict[str, Entry], Path]) -> None:
    registry, root = stored
    path = root / 'toy' / 'detector_v1.onnx'
    path.unlink()
    path.mkdir()
    assert problem(registry['toy'].files['detector'], path)


def test_unknown_names(stored: tuple[dict[str, Entry], Path]) -> None:
    registry, root = stored
    with pytest.raises(ModelError, match=r"model toy has no 'lifter', only detector, landmarks"):
        find_model('toy', 'lifter', models_dir=root, registry=registry)
    with pytest.raises(ModelError, match="existing path; did you mean 'toy'"):
        find_model('tyo', models_dir=root, registry=registry)


def test_path_of_one_file(tmp_path: Path) -> None:
    path = tmp_path / 'mine.onnx'
    path.write_bytes(A)
    model = find_model(str(path), 'net', registry={})
    assert model.files == {'net': path}
    assert model.name == 'mine'
    assert model.estimator == ''
    assert model.version == sha256(path)[:12]
    assert model.precision == {'net': 'f32'}
    with pytest.raises(ModelError, match=r'is one file and detector, landmarks are needed'):
        find_model(str(path), 'detector', 'landmarks', registry={})


def test_path_of_a_folder(stored: tuple[dict[str, Entry], Path], tmp_path: Path) -> None:
    registry, root = stored
    named = find_model(str(root / 'toy'), 'detector', 'landmarks', registry=registry)
    assert named.files['detector'] == root / 'toy' / 'detector_v1.onnx'
    folder = tmp_path / 'mine'
    folder.mkdir()
    for name in ('detector.xml', 'detector.bin', 'landmarks.onnx'):
        (folder / name).write_bytes(b'x')
    model = find_model(str(folder), 'detector', 'landmarks', registry=registry)
    assert {role: path.name for role, path in model.files.items()} == {
        'detector': 'detector.xml',
        'landmarks': 'landmarks.onnx',
    }
    with pytest.raises(ModelError, match=r'holds no file lifter\.\*'):
        find_model(str(folder), 'lifter', registry=registry)
    (folder / 'landmarks.tflite').touch()
    with pytest.raises(ModelError, match=r'landmarks\.onnx, landmarks\.tflite, one is needed'):
        find_model(str(folder), 'landmarks', registry=registry)


def test_where_models_are_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('POSE3D_MODELS', raising=False)
    monkeypatch.setenv('HOME', '/home/someone')
    assert models_folder() == Path(platformdirs.user_data_dir('pose3d_ros')) / 'models'
    monkeypatch.setenv('POSE3D_MODELS', '~/elsewhere')
    assert models_folder() == Path('/home/someone/elsewhere')
    assert models_folder('/named') == Path('/named')
    monkeypatch.setenv('POSE3D_MODELS', '')
    assert models_folder() == Path(platformdirs.user_data_dir('pose3d_ros')) / 'models'
