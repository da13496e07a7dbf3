# SPDX-License-Identifier: Apache-2.0
"""The node as a process: how it ends, and what it says when it cannot begin."""

from __future__ import annotations

import os
import signal
import time

import pytest
from harness import Process, executable, processes_of, within
from lifecycle_msgs.srv import GetState

BLOBS = ['--ros-args', '-p', 'estimator:=support.blobs']


@pytest.fixture
def node(tmp_path, namespace):
    """Function that starts the executable."""
    started = []

    def make(*arguments: str, name: str = 'estimator', **environment: str) -> Process:
        command = [executable(name), *BLOBS, '-r', f'__ns:={namespace}', *arguments]
        started.append(Process(command, tmp_path / f'{len(started)}.log', **environment))
        return started[-1]

    yield make
    for process in started:
        process.__exit__()


@pytest.mark.parametrize(
    'signals',
    [[signal.SIGINT], [signal.SIGINT, signal.SIGINT], [signal.SIGTERM], [signal.SIGINT] * 5],
    ids=['one SIGINT', 'two SIGINTs', 'SIGTERM', 'five SIGINTs'],
)
def test_ends_cleanly(node, peer, signals):
    process = node()
    process.wait_for('active: blobs')
    got, camera = peer.skeletons(), peer.camera()
    camera.until(lambda: got)
    begin = time.monotonic()
    for number in signals:
        process.interrupt(number)
        peer.spin_for(0.02)
    assert process.ends(within(2.0)) == 0
    assert time.monotonic() - begin < within(2)
    assert 'Traceback' not in process.output
    assert processes_of(process.process.pid) == []
    # The last word of a node that ends while it is active.
    peer.until(lambda: got[-1].skeletons == [], what='for the empty array')


def test_ends_while_it_begins(node):
    """Whenever the signal comes, the exit code tells of no failure."""
    for delay in (0.3, 0.6, 0.9, 1.2):
        process = node()
        time.sleep(delay)
        process.interrupt()
        process.interrupt()
        assert process.ends(within(4.0)) == 0, process.output
        assert 'Traceback' not in process.output


def test_ends_though_an_image_takes_forever(node, peer, tmp_path):
    """An estimator that does not come back is no reason to stay."""
    (tmp_path / 'sticky').mkdir()
    (tmp_path / 'sticky' / 'stuck.py').write_text(
        'import time\n'
        'from support.blobs import Estimator as Blobs\n'
        'class Estimator(Blobs):\n'
        '    calls = 0\n'
        '    def estimate(self, frames):\n'
        '        Estimator.calls += 1\n'
        '        time.sleep(60 if Estimator.calls > 1 else 0)\n'
        '        return super().estimate(frames)\n'
    )
    path = os.pathsep.join([os.environ['PYTHONPATH'], str(tmp_path)])
    process = node('-p', 'estimator:=sticky.stuck', '-p', 'always_on:=true', PYTHONPATH=path)
    process.wait_for('active')
    camera = peer.camera()
    camera.until(lambda: len(camera.sent) > 10)
    process.interrupt()
    assert process.ends(within(2.5)) == 0


def test_lifecycle_shutdown_ends_the_process(node, peer):
    process = node()
    process.wait_for('active')
    assert peer.transition('shutdown')
    assert peer.call(GetState, f'{peer.target}/get_state', GetState.Request()).current_state.id == 4
    assert process.ends(within(2.0)) == 0
    assert 'Traceback' not in process.output


def test_arguments_that_cannot_be_read(node, tmp_path):
    process = node('--params-file', str(tmp_path / 'none.yaml'))
    assert process.ends(within(10.0)) == 1
    assert 'cannot start' in process.output
    assert 'none.yaml' in process.output
    assert 'Traceback' not in process.output


def test_the_camera_ends_with_its_video_and_tells_of_a_wrong_one(node, peer):
    from sensor_msgs.msg import CameraInfo, Image

    images = peer.collect(Image, 'image_raw')
    infos = peer.collect(CameraInfo, 'camera_info')
    process = node('-p', 'rate_hz:=60.0', name='camera')
    peer.until(lambda: len(images) > 60 and infos)
    assert (images[0].width, images[0].height, images[0].encoding) == (640, 480, 'bgr8')
    assert images[-1].header.frame_id == infos[-1].header.frame_id == 'camera_optical_frame'
    assert infos[-1].k[0] > 100
    stamps = [image.header.stamp.sec + image.header.stamp.nanosec / 1e9 for image in images]
    assert stamps == sorted(stamps)
    assert abs(stamps[-1] - time.time()) < within(2)
    process.interrupt()
    assert process.ends(within(2.0)) == 0

    process = node('-p', 'loop:=false', '-p', 'rate_hz:=500.0', name='camera')
    assert process.ends(within(10.0)) == 0

    process = node('-p', 'source:=/none.mp4', name='camera')
    assert process.ends(within(10.0)) == 1
    assert '/none.mp4: no such file' in process.output
    assert 'Traceback' not in process.output
