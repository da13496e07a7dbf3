# SPDX-License-Identifier: Apache-2.0
"""`pose3d fuse`: files of several cameras in, one file out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.spatial.transform import Rotation

from pose3d_ros.cli.main import main
from pose3d_ros.outputs import Run
from pose3d_ros.outputs.tables import JsonLines, read_json_lines
from pose3d_ros.tools.rig import CAMERA, SKELETON, Detector, around, walkers
from pose3d_ros.types import EstimatorInfo, Frame, FrameResult

NAMES = ('left', 'right', 'back')
INFO = EstimatorInfo('made', '0', '', '', '', metric=True)


@pytest.fixture(scope='module')
def rig(tmp_path_factory) -> Path:
    """A folder with the files of three cameras and two people, and rig.yaml."""
    folder = tmp_path_factory.mktemp('rig')
    rng = np.random.default_rng(0)
    calibration = {
        'image_width': 640, 'image_height': 480, 'distortion_model': 'plumb_bob',
        'camera_matrix': {'data': CAMERA.K.ravel().tolist()},
        'distortion_coefficients': {'data': CAMERA.D.tolist()},
    }  # fmt: skip
    (folder / 'camera.yaml').write_text(yaml.safe_dump(calibration))
    cameras = {}
    for name, placed in zip(NAMES, around(3)):
        detector = Detector(placed, 2, rng)
        writer = JsonLines.open(str(folder / f'{name}.jsonl'), Run(SKELETON, INFO, name))
        for k in range(45):
            people = detector.people(walkers(2, np.array([k / 30]))[0], k / 30)
            image = np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (480, 640, 3))
            frame = Frame(image, stamp_ns=round(k / 30 * 1e9), frame_id=name, source=name)
            writer.write(k, FrameResult(frame, people))
        writer.close()
        cameras[name] = {
            'poses': f'{name}.jsonl',
            'calibration': 'camera.yaml',
            'translation': (-placed.R.T @ placed.t).tolist(),
            'rotation': Rotation.from_matrix(placed.R.T).as_quat().tolist(),
        }
    content = {'fusion_frame': 'room', 'cameras': cameras}
    (folder / 'rig.yaml').write_text(yaml.safe_dump(content, sort_keys=False))
    return folder


def changed(rig: Path, tmp_path: Path, **changes) -> str:
    """The rig with entries of the camera `left` changed."""
    content = yaml.safe_load((rig / 'rig.yaml').read_text())
    for entry in content['cameras'].values():
        entry['poses'] = str(rig / entry['poses'])
        entry['calibration'] = str(rig / entry['calibration'])
    content['cameras']['left'].update(changes)
    (tmp_path / 'rig.yaml').write_text(yaml.safe_dump(content, sort_keys=False))
    return str(tmp_path / 'rig.yaml')


def test_people_are_where_they_were_and_keep_their_ids(rig: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / 'people.jsonl'
    table = tmp_path / 'people.csv'
    arguments = ['fuse', str(rig / 'rig.yaml'), '--save-json', str(out), '--save-csv', str(table)]
    assert main(arguments) == 0
    frames = list(read_json_lines(out))
    assert len(frames) == 45
    knees = [SKELETON.index('left_knee'), SKELETON.index('right_wrist')]
    errors = []
    for record, people in frames[10:]:
        assert record['frame_id'] == 'room'
        assert record['source'] == 'left,right,back'
        assert sorted(p.track_id for p in people) == [1, 2]
        true = walkers(2, np.array([record['stamp_ns'] * 1e-9]))[0][:, knees]
        xyz = np.array([p.xyz[knees] for p in people])
        errors.append(np.nanmean(np.linalg.norm(xyz[:, None] - true, axis=3), axis=2).min(axis=0))
        assert all(p.cameras.any() for p in people)
    assert np.nanmean(errors) < 0.05
    printed = capsys.readouterr().out
    assert 'ids 2' in printed
    assert 'left' in printed
    assert table.read_text().count('\n') == 1 + 45 * 2 * len(SKELETON)


def test_a_convention_may_be_chosen(rig: Path, tmp_path: Path) -> None:
    out = str(tmp_path / 'people.jsonl')
    arguments = ['fuse', str(rig / 'rig.yaml'), '--save-json', out, '--output-convention']
    assert main([*arguments, 'coco_17']) == 0
    _, people = list(read_json_lines(out))[-1]
    assert people[0].skeleton.name == 'coco_17'


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'rotation': [0, 0, 0, 0.5]}, 'unit quaternion'),
        ({'translation': [1, 2]}, 'x, y, z in metres'),
        ({'translation': 'here'}, 'numbers'),
        ({'poses': 'nowhere.jsonl'}, 'nowhere.jsonl'),
        ({'calibration': 'nowhere.yaml'}, 'nowhere.yaml'),
        ({'speed': 3}, 'left needs poses, calibration'),
    ],
)
def test_a_wrong_rig_is_explained(rig, tmp_path, capsys, changes, words) -> None:
    path = changed(rig, tmp_path, **changes)
    assert main(['fuse', path, '--save-json', str(tmp_path / 'out.jsonl')]) in (2, 3)
    assert words in capsys.readouterr().err
    assert not (tmp_path / 'out.jsonl').exists()


def test_two_cameras_in_one_place_are_refused(rig, tmp_path, capsys) -> None:
    right = yaml.safe_load((rig / 'rig.yaml').read_text())['cameras']['right']
    places = {key: right[key] for key in ('translation', 'rotation')}
    path = changed(rig, tmp_path, **places)
    assert main(['fuse', path, '--save-json', str(tmp_path / 'out.jsonl')]) == 2
    assert 'left and right have the same place' in capsys.readouterr().err


def test_no_file_for_the_results(rig, capsys) -> None:
    assert main(['fuse', str(rig / 'rig.yaml')]) == 2
    assert '--save-json' in capsys.readouterr().err
