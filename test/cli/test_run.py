# SPDX-License-Identifier: Apache-2.0
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.blobs import draw

from pose3d_ros.cli.main import main
from pose3d_ros.outputs.tables import read_json_lines
from pose3d_ros.resources import resource
from pose3d_ros.sources import open_source

BLOBS = ['--estimator', 'support.blobs']
CAMERA = str(resource('demo', 'jump.yaml'))


@pytest.fixture
def images(tmp_path):
    """Three photographs of one, two and no people."""
    folder = tmp_path / 'in'
    folder.mkdir()
    for k, people in enumerate(([(300, 240, 200)], [(150, 240, 200), (450, 240, 250)], [])):
        cv2.imwrite(str(folder / f'{k}.png'), draw(people))
    return folder


@pytest.fixture
def video(tmp_path):
    """Somebody who walks from left to right, 20 frames."""
    path = tmp_path / 'walk.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 20, (640, 480))
    for k in range(20):
        writer.write(draw([(150 + 15 * k, 240, 240)]))
    writer.release()
    return path


def run(*arguments):
    return main(['run', *map(str, arguments), *BLOBS])


@pytest.mark.slow
def test_video_to_every_kind_of_file(video, tmp_path, capsys):
    out = tmp_path / 'out'
    code = run(
        *(video, '--camera', CAMERA, '--save-json', out / 'a.jsonl', '--save-csv', out / 'a.csv'),
        *('--save-video', out / 'a.mp4', '--save-image', out / 'a.png'),
    )
    assert code == 0
    assert sorted(os.listdir(out)) == ['a.csv', 'a.jsonl', 'a.mp4', 'a.png']
    frames = list(read_json_lines(out / 'a.jsonl'))
    assert [len(poses) for _, poses in frames] == [1] * 20
    assert len({poses[0].track_id for _, poses in frames}) == 1
    assert frames[0][1][0].absolute
    roots = [poses[0].root[0] for _, poses in frames]
    assert roots[-1] - roots[0] > 0.3
    assert len(list(open_source(out / 'a.mp4'))) == 20
    assert len((out / 'a.csv').read_text().splitlines()) == 1 + 20 * 17
    text = capsys.readouterr().out
    assert 'frames 20, with people 20; people at once 1, track ids 1' in text
    assert 'saved' in text
    assert 'decode image' in text


@pytest.mark.slow
def test_without_calibration_positions_are_relative_and_said_to_be(video, capsys):
    assert run(video) == 0
    assert 'no calibration' in capsys.readouterr().out
    assert run(video, '--focal-length-px', '500') == 0
    assert 'no calibration' not in capsys.readouterr().out


@pytest.mark.slow
def test_folder_glob_and_image(images, tmp_path):
    for number, (spec, count) in enumerate(
        ((images, 3), (f'{images}/[01].png', 2), (images / '1.png', 1))
    ):
        path = tmp_path / f'{number}.jsonl'
        assert run(spec, '--save-json', path) == 0
        assert len(list(read_json_lines(path))) == count
    frames = list(read_json_lines(tmp_path / '0.jsonl'))
    assert [len(poses) for _, poses in frames] == [1, 2, 0]
    # Unrelated pictures have no identities to keep, unless one wants them.
    assert {pose.track_id for _, poses in frames for pose in poses} == {0}
    assert run(images, '--tracking', '--save-json', tmp_path / 'ids.jsonl') == 0
    ids = [pose.track_id for _, poses in read_json_lines(tmp_path / 'ids.jsonl') for pose in poses]
    assert sorted(ids) == [1, 2, 3]


def test_a_picture_of_each_photograph(images, tmp_path):
    assert run(images, '--save-image', tmp_path / 'out') == 0
    assert len(os.listdir(tmp_path / 'out')) == 3
    assert run(images / '0.png', '--save-image', tmp_path / 'one.png') == 0
    assert (tmp_path / 'one.png').is_file()


def test_folder_as_sequence(images, tmp_path):
    assert run(images, '--sequence', '10', '--save-json', tmp_path / 'a.jsonl') == 0
    stamps = [record['stamp_ns'] for record, _ in read_json_lines(tmp_path / 'a.jsonl')]
    assert np.diff(stamps).tolist() == [100_000_000] * 2


def test_max_frames(video, tmp_path):
    assert run(video, '--max-frames', '7', '--save-json', tmp_path / 'a.jsonl') == 0
    assert len(list(read_json_lines(tmp_path / 'a.jsonl'))) == 7


@pytest.mark.slow
def test_bag(video, tmp_path):
    reader = pytest.importorskip('rosbags.highlevel')
    assert run(video, '--camera', CAMERA, '--save-bag', tmp_path / 'a.mcap') == 0
    with reader.AnyReader([tmp_path / 'a.mcap']) as bag:
        counts = {connection.topic: connection.msgcount for connection in bag.connections}
    assert counts['/pose3d_estimator/skeletons'] == 20
    assert counts['/camera/camera_info'] == 20
    assert counts['/pose3d_estimator/estimator_info'] == 1


def test_recorded_view(video, tmp_path):
    pytest.importorskip('rerun', reason='rerun-sdk is not installed')
    assert run(video, '--camera', CAMERA, '--show', tmp_path / 'a.rrd') == 0
    assert (tmp_path / 'a.rrd').stat().st_size > 10_000
    assert (tmp_path / 'a.rrd').read_bytes()[:3] == b'RRF'


def test_show_says_what_to_install(video, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'rerun', None)
    assert run(video, '--show') == 2
    assert 'pip install "pose3d_ros[show]"' in capsys.readouterr().err


@pytest.mark.slow
def test_json_down_a_pipe(video):
    result = subprocess.run(
        [*python(), 'run', str(video), '--save-json', '-', *BLOBS],
        capture_output=True,
        text=True,
        env=environment(),
        check=True,
    )
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(lines) == 21
    assert 'frames 20' in result.stderr


@pytest.mark.slow
def test_reader_of_the_pipe_goes_away(video):
    process = subprocess.Popen(
        [*python(), 'run', str(video), '--save-json', '-', *BLOBS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    process.stdout.readline()
    process.stdout.close()
    stderr = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 141
    assert b'Traceback' not in stderr


@pytest.mark.slow
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_interrupt_keeps_whole_files(images, tmp_path, number):
    for k in range(3, 600):
        os.symlink(images / '0.png', images / f'{k}.png')
    out = tmp_path / 'out'
    command = [*python(), 'run', str(images), '--sequence', '20', *BLOBS]
    command += ['--save-json', str(out / 'a.jsonl'), '--save-video', str(out / 'a.mp4')]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    part = out / 'a.part.jsonl'
    deadline = time.monotonic() + 60
    while not (part.is_file() and part.stat().st_size > 20_000):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert 'interrupted' in text
    assert sorted(os.listdir(out)) == ['a.jsonl', 'a.mp4']
    count = len(list(read_json_lines(out / 'a.jsonl')))
    assert 0 < count < 600
    assert len(list(open_source(out / 'a.mp4'))) == count


@pytest.mark.parametrize(
    ('arguments', 'code', 'message'),
    [
        (['/no/such/file.mp4'], 3, '/no/such/file.mp4: no such file'),
        (['{video}', '--camera', '/no/such.yaml'], 3, 'calibration'),
        (['{video}', '--max-frames', '-1'], 2, '--max-frames'),
        (['{video}', '--max-people', '0'], 2, r'max_people must lie in [1, 100]'),
        (['{video}', '--save-json', '/proc/none/a.jsonl'], 6, 'cannot write /proc/none'),
        (['{video}', '--save-image', '{out}/a.gif'], 6, 'pictures are'),
        (['{video}', '--camera', '{other}'], 3, 'another aspect ratio'),
    ],
)
def test_mistakes_are_one_line(video, tmp_path, capsys, arguments, code, message):
    other = tmp_path / 'other.yaml'
    other.write_text(Path(CAMERA).read_text().replace('image_height: 480', 'image_height: 300'))
    out = tmp_path / 'out'
    texts = [a.format(video=video, other=other, out=out) for a in arguments]
    assert run(*texts) == code
    lines = capsys.readouterr().err.splitlines()
    assert len([line for line in lines if line.startswith('pose3d: error')]) == 1
    assert message in lines[-1]
    assert not out.exists() or os.listdir(out) == []


@pytest.mark.slow
def test_video_that_ends_early_is_a_warning(tmp_path, capsys):
    content = bytearray(resource('demo', 'jump.mp4').read_bytes())
    content[200_000:500_000] = bytes(300_000)
    (tmp_path / 'a.mp4').write_bytes(content)
    assert run(tmp_path / 'a.mp4', '--save-json', tmp_path / 'a.jsonl') == 0
    assert 'of 180 frames could be read' in capsys.readouterr().out
    assert 0 < len(list(read_json_lines(tmp_path / 'a.jsonl'))) < 180


def python():
    return [sys.executable, '-m', 'pose3d_ros.cli.main']


def environment():
    paths = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
    return {**os.environ, 'PYTHONPATH': os.pathsep.join(paths)}
