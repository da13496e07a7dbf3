# SPDX-License-Identifier: Apache-2.0
"""`pose3d camera` as a process of its own."""

from __future__ import annotations

import signal
import time

import cv2
import numpy as np
import pytest

pytest.importorskip('rosbags')

from support.blobs import draw
from support.network import spin_until

from pose3d_ros.messages import decode_compressed, decode_image, stamp_of
from pose3d_ros.node.qos import Profile

pytestmark = pytest.mark.slow

BOTH = pytest.mark.parametrize('network', ['dds', 'zenoh'], indirect=True)

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
INFO = 'sensor_msgs/msg/CameraInfo'
BEST_EFFORT = Profile(reliable=False)
CALIBRATION = """\
image_width: 160
image_height: 120
distortion_model: plumb_bob
camera_matrix: {data: [150, 0, 80, 0, 150, 60, 0, 0, 1]}
distortion_coefficients: {data: [0.1, 0, 0, 0, 0]}
"""


def place_of(message):
    """Which frame of the clip an image is: the blob moves two pixels with each."""
    bright = decode_image(message)[60].mean(axis=1)
    return round((np.average(np.arange(160), weights=bright) - 60) / 2)


@pytest.fixture
def video(tmp_path):
    path = tmp_path / 'clip.mp4'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 25, (160, 120))
    for k in range(20):
        writer.write(draw([(60 + 2 * k, 60, 80)], (160, 120)))
    writer.release()
    return path


def listen(node, topic, kind, profile):
    got = []

    def take(raw):
        got.append((time.time_ns(), node.types.deserialize(raw, kind)))

    node.subscribe(topic, kind, profile, take)
    return got


def test_video_as_a_camera(network, video):
    (network.folder / 'cal.yaml').write_text(CALIBRATION)
    node = network.node()
    images = listen(node, '/front/image', IMAGE, BEST_EFFORT)
    reliable = listen(node, '/front/image', IMAGE, Profile())
    jpegs = listen(node, '/front/image/compressed', COMPRESSED, Profile())
    infos = listen(node, '/front/camera_info', INFO, BEST_EFFORT)
    process = network.run(
        'camera', video, '--loop', '--camera', network.folder / 'cal.yaml',
        '--namespace', '/front', '--frame-id', 'front_optical',
    )  # fmt: skip
    spin_until(node, lambda: min(map(len, (images, reliable, jpegs, infos))) > 25)
    received, image = images[-1]
    assert (image.width, image.height, image.header.frame_id) == (160, 120, 'front_optical')
    assert received >= stamp_of(image.header)
    # All of a frame carry the same stamp.
    stamps = [{stamp_of(m.header) for _, m in got} for got in (images, jpegs, infos)]
    assert len(stamps[0] & stamps[1] & stamps[2]) > 5
    for _, message in jpegs[-1:]:
        other = next(m for _, m in images if stamp_of(m.header) == stamp_of(message.header))
        difference = decode_compressed(message).astype(int) - decode_image(other)
        assert np.abs(difference).mean() < 3
    assert infos[-1][1].k[0] == 150
    assert infos[-1][1].d[0] == pytest.approx(0.1)
    # At the video's own pace: a frame that is late may be followed by the next at once.
    check_pace(images, 0.04)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0


def check_pace(got, step_s):
    stamps = [stamp_of(message.header) for _, message in got]
    assert stamps == sorted(set(stamps))
    assert (stamps[-1] - stamps[0]) * 1e-9 > (len(stamps) - 3) * step_s


@BOTH
def test_rate_and_end(network, video):
    node = network.node()
    images = listen(node, '/image', IMAGE, Profile(depth=100))
    process = network.run('camera', video, '--rate', '100', '--wait', '20')
    spin_until(node, lambda: process.poll() is not None)
    assert process.returncode == 0
    assert '20 images sent' in process.log.read_text()
    # All but the first, which may go before the peers have met, in their order.
    spin_until(node, lambda: images and place_of(images[-1][1]) == 19)
    places = [place_of(message) for _, message in images]
    assert places == list(range(20))[-len(places) :]
    check_pace(images, 0.01)


def test_best_effort_camera(network, video):
    node = network.node()
    reliable = node.subscribe('/image', IMAGE, Profile(), lambda raw: None)
    network.run('camera', video, '--loop', '--best-effort')
    spin_until(node, reliable.incompatible)
    assert reliable.incompatible() == 'reliability'


@BOTH
def test_the_whole_chain_without_a_driver(network, video):
    """Camera, node and subscriber: three participants."""
    (network.folder / 'cal.yaml').write_text(CALIBRATION)
    node = network.node()
    got = listen(node, '/pose3d_estimator/skeletons', 'pose3d_ros/msg/Skeleton3DArray', BEST_EFFORT)
    network.run('camera', video, '--loop', '--camera', network.folder / 'cal.yaml')
    network.run('node', '--estimator', 'support.blobs')
    spin_until(node, lambda: len(got) > 20)
    array = got[-1][1]
    # 80 pixels high, 1.6 m tall, focal length 150 pixels.
    assert array.skeletons[0].root.position.z == pytest.approx(3.0, rel=0.1)
