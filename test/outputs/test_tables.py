# SPDX-License-Identifier: Apache-2.0
import csv
import json
import os

import numpy as np
import pytest
from support.poses import person, random_person

from pose3d_ros.errors import InputError, OutputError
from pose3d_ros.outputs.tables import Csv, JsonLines, read_json_lines
from pose3d_ros.skeleton import get_skeleton
from pose3d_ros.types import (
    EstimatorInfo,
    Frame,
    FrameResult,
    JointStatus,
    PositionSource,
    TrackingState,
)

INFO = EstimatorInfo('blobs', '1', 'none', 'cpu', 'f32', True)
FRAME = Frame(np.zeros((48, 64, 3), np.uint8), 1_234_567_890_123_456_789, 'optical', source='cam')


def write_json(path, *frames):
    writer = JsonLines(path, get_skeleton('blazepose_33'), INFO, 'a.mp4')
    for index, poses in enumerate(frames):
        writer.write(index, FrameResult(FRAME, poses))
    writer.close()


def holes():
    """A pose with every kind of missing number."""
    pose = random_person(np.random.default_rng(1), track_id=7, velocity=np.array([1.0, 2, 3]))
    xyz, pixels, confidence = pose.xyz.copy(), pose.pixels.copy(), pose.confidence.copy()
    status, covariance = pose.status.copy(), pose.covariance.copy()
    xyz[5], pixels[5], confidence[5] = np.nan, np.nan, np.nan
    status[5], covariance[5] = JointStatus.INVALID, np.nan
    return pose.replace(
        xyz=xyz,
        pixels=pixels,
        confidence=confidence,
        status=status,
        covariance=covariance,
        tracking_state=TrackingState.NEW,
    )


def test_json_holds_everything_of_a_pose(tmp_path):
    poses = [holes(), person(2).replace(covariance=None, size_px=120.5)]
    write_json(tmp_path / 'a.jsonl', poses, [])
    frames = list(read_json_lines(tmp_path / 'a.jsonl'))
    assert len(frames) == 2
    record, back = frames[0]
    assert record['stamp_ns'] == FRAME.stamp_ns
    assert (record['frame_id'], record['source'], record['width']) == ('optical', 'cam', 64)
    for pose, again in zip(poses, back):
        assert again.skeleton is pose.skeleton
        assert again.track_id == pose.track_id
        assert again.tracking_state == pose.tracking_state
        assert again.position_source == pose.position_source
        assert (again.status == pose.status).all()
        close = {'nan_ok': True}
        assert again.xyz == pytest.approx(pose.xyz, abs=1e-6, **close)
        assert again.pixels == pytest.approx(pose.pixels, abs=1e-3, **close)
        assert again.confidence == pytest.approx(pose.confidence, abs=1e-4, **close)
        assert again.velocity == pytest.approx(pose.velocity, abs=1e-6, **close)
        assert again.score == pytest.approx(pose.score, abs=1e-4)
        assert again.size_px == pytest.approx(pose.size_px, abs=1e-3, **close)
        if pose.covariance is None:
            assert again.covariance is None
        else:
            assert again.covariance == pytest.approx(pose.covariance, rel=1e-3, **close)
    assert frames[1][1] == []


def test_json_is_strict_and_explains_itself(tmp_path):
    write_json(tmp_path / 'a.jsonl', [holes()])
    head, line = (tmp_path / 'a.jsonl').read_text().splitlines()
    assert 'NaN' not in line
    assert json.loads(line)['people'][0]['xyz'][5] == [None, None, None]
    head = json.loads(head)
    assert head['format'] == 'pose3d-frames'
    assert head['skeleton']['joints'][0] == 'nose'
    assert head['units']['xyz'].startswith('metres')
    assert head['estimator']['model'] == 'blobs'


def test_json_appears_only_when_closed(tmp_path):
    writer = JsonLines(tmp_path / 'a.jsonl', get_skeleton('coco_17'), INFO, 'x')
    writer.write(0, FrameResult(FRAME, [person()]))
    assert os.listdir(tmp_path) == ['a.part.jsonl']
    writer.discard()
    assert os.listdir(tmp_path) == []


def test_files_that_are_not_ours(tmp_path):
    for content in ('', '{"a": 1}\n', 'no json\n', '[1]\n'):
        (tmp_path / 'a.jsonl').write_text(content)
        with pytest.raises(InputError, match='not a file of poses'):
            list(read_json_lines(tmp_path / 'a.jsonl'))
    with pytest.raises(InputError, match='cannot read'):
        list(read_json_lines(tmp_path / 'b.jsonl'))


def test_csv_has_a_row_per_joint(tmp_path):
    writer = Csv(tmp_path / 'a.csv')
    writer.write(3, FrameResult(FRAME, [holes(), person(2)]))
    writer.write(4, FrameResult(FRAME, []))
    writer.close()
    with (tmp_path / 'a.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 33 + 17
    first, hole, last = rows[0], rows[5], rows[-1]
    assert (first['frame'], first['stamp_ns']) == ('3', str(FRAME.stamp_ns))
    assert first['joint'] == 'nose'
    assert float(first['z_m']) == pytest.approx(holes().xyz[0, 2], abs=1e-6)
    assert float(first['cov_yy']) == pytest.approx(0.02)
    assert hole['x_m'] == hole['pixel_x'] == hole['confidence'] == hole['cov_xx'] == ''
    assert hole['status'] == 'invalid'
    assert last['joint'] == 'right_ankle'
    assert last['cov_xx'] == ''
    assert first['position_source'] == PositionSource.METRIC.name.lower()


def test_disk_full_in_the_middle(tmp_path):
    with open('/dev/full', 'w') as full:
        writer = Csv(tmp_path / 'a.csv')
        os.dup2(full.fileno(), writer._file.fileno())
        many = [holes()] * 100
        with pytest.raises(OutputError, match=r'cannot write .*a\.csv: no space left'):
            writer.write(0, FrameResult(FRAME, many))
        writer.discard()
    assert os.listdir(tmp_path) == []
