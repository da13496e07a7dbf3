# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import shutil

import pytest
from rosbags.rosbag2 import StoragePlugin
from support.bags import BOTH, COMPRESSED, IMAGE, INFO, STRING, read, record

from pose3d_ros.cli.main import main

pytestmark = pytest.mark.slow


def process(source, target, *options):
    return main(['bag', str(source), str(target), '--estimator', 'support.blobs', *options])


def test_equal_input_gives_equal_bytes(tmp_path):
    source = record(tmp_path / 'in', BOTH)
    for folder in 'ab':
        assert process(source, tmp_path / folder / 'out.mcap') == 0
    first, second = ((tmp_path / f / 'out.mcap').read_bytes() for f in 'ab')
    assert first == second


def test_results_only_and_transforms(tmp_path):
    source = record(tmp_path / 'in', BOTH)
    options = ['--results-only', '--name', 'people', '--set', 'publish_tf=true']
    assert process(source, tmp_path / 'out.mcap', *options) == 0
    found = read(tmp_path / 'out.mcap')
    assert set(found) == {'/people/skeletons', '/people/markers', '/people/estimator_info', '/tf'}


def test_calibration_file_in_place_of_the_topic(tmp_path):
    (tmp_path / 'camera.yaml').write_text(
        'image_width: 640\nimage_height: 480\ndistortion_model: plumb_bob\n'
        'camera_matrix: {data: [300, 0, 320, 0, 300, 240, 0, 0, 1]}\n'
        'distortion_coefficients: {data: [0, 0, 0, 0, 0]}\n'
    )
    source = record(tmp_path / 'in', BOTH)
    out = tmp_path / 'out.mcap'
    assert process(source, out, '--camera', str(tmp_path / 'camera.yaml')) == 0
    _, array = read(out)['/pose3d_estimator/skeletons'][0]
    assert array.skeletons[0].root.position.z == pytest.approx(1.5, rel=0.02)


def test_several_cameras(tmp_path, capsys):
    topics = {
        '/left/image': IMAGE,
        '/left/camera_info': INFO,
        '/right/image': IMAGE,
        '/right/image/compressed': COMPRESSED,
    }
    source = record(tmp_path / 'in', topics)
    assert process(source, tmp_path / 'out.mcap') == 3
    assert 'choose with --image: /left/image, /right/image' in capsys.readouterr().err
    options = ['--image', '/left/image', '--image', '/right/image']
    assert process(source, tmp_path / 'out.mcap', *options) == 0
    found = read(tmp_path / 'out.mcap')
    assert (
        len(found['/pose3d_estimator/left/skeletons'])
        == len(found['/pose3d_estimator/right/skeletons'])
        == 6
    )
    left, right = (
        found[f'/pose3d_estimator/{s}/skeletons'][0][1].skeletons[0] for s in ('left', 'right')
    )
    assert left.track_id != right.track_id
    assert left.position_source != 0
    assert right.position_source == 0


def test_nothing_usable(tmp_path, capsys):
    def change(k, topic, message):
        message.encoding = 'rgb7'

    source = record(tmp_path / 'in', {'/image': IMAGE}, change=change)
    assert process(source, tmp_path / 'out.mcap') == 3
    assert 'no usable image on /image' in capsys.readouterr().err


@pytest.mark.parametrize('storage', [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_truncated_bag(tmp_path, storage, capsys):
    source = record(tmp_path / 'in', BOTH, storage=storage)
    (data,) = [p for p in source.iterdir() if p.suffix != '.yaml']
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    assert process(source, tmp_path / 'out.mcap') == 3
    assert 'in: ' in capsys.readouterr().err


def test_output_is_not_left_behind_when_the_input_is_no_good(tmp_path):
    source = record(tmp_path / 'in', {'/said': STRING})
    assert process(source, tmp_path / 'out.mcap') == 3
    shutil.rmtree(source)
    assert list(tmp_path.iterdir()) == []
