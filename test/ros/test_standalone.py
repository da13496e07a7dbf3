# SPDX-License-Identifier: Apache-2.0
"""The node and the camera that need no ROS, on the wire with those that have one."""

from __future__ import annotations

import signal
from functools import partial

import pytest
from harness import BEST_EFFORT, LATCHED, Process, executable, stamp_of, within
from pose3d_ros.msg import EstimatorInfo, Skeleton3DArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from pose3d_ros.resources import resource


@pytest.fixture
def pose3d(without_ros):
    """Function that starts `pose3d ...` in an environment without ROS."""
    return partial(without_ros, 'pose3d_ros.cli.main')


def test_its_camera_serves_a_node_of_ros(start, peer, pose3d, namespace):
    # With best effort: under load, reliable readers of Fast DDS 2.14 were seen to take a fragmented
    # image of Cyclone DDS whose memory was free already, without end.
    images = peer.collect(Image, 'image', BEST_EFFORT)
    infos = peer.collect(CameraInfo, 'camera_info')
    compressed = peer.collect(CompressedImage, 'image/compressed', BEST_EFFORT)
    start(reliability='best_effort').wait()
    got = peer.skeletons()
    clip = resource('demo', 'jump.mp4')
    process = pose3d(
        'camera', str(clip), '--loop', '--namespace', namespace,
        '--camera', str(clip.with_suffix('.yaml')),
    )  # fmt: skip
    peer.until(lambda: got and images and infos and compressed, 20)
    assert (images[0].width, images[0].height) == (640, 480)
    peer.until(lambda: stamp_of(got[-1]) in {stamp_of(image) for image in images})
    process.interrupt(signal.SIGINT)
    assert process.ends(within(5.0)) == 0


def test_its_node_serves_ros(peer, pose3d, namespace, tmp_path):
    got, latest = peer.skeletons(), peer.diagnostics()
    process = pose3d(
        'node', '--name', 'pose3d_estimator', '--namespace', namespace,
        '--estimator', 'support.blobs',
    )  # fmt: skip
    camera = peer.camera()
    camera.until(lambda: got and latest, timeout_s=20)
    assert got[-1].convention == 'coco_17'
    assert stamp_of(got[-1]) in camera.sent
    assert len(got[-1].skeletons[0].joints) == 17
    late = peer.collect(EstimatorInfo, f'{peer.target}/estimator_info', LATCHED)
    peer.until(lambda: late)
    assert late[0].model_name == 'blobs'
    assert ('pose3d_estimator', namespace) in peer.get_node_names_and_namespaces()
    (info,) = peer.get_publishers_info_by_topic(f'{peer.target}/skeletons')
    assert info.node_name == 'pose3d_estimator'
    if hasattr(info, 'topic_type_hash'):
        (own,) = peer.get_subscriptions_info_by_topic(f'{peer.target}/skeletons')
        assert str(info.topic_type_hash) == str(own.topic_type_hash)
    process.interrupt(signal.SIGINT)
    assert process.ends(within(5.0)) == 0


def test_its_node_hears_the_camera_of_ros(peer, pose3d, namespace, tmp_path):
    got = peer.collect(Skeleton3DArray, f'{namespace}/pose3d_estimator/skeletons')
    command = [
        executable('camera'), '--ros-args', '-r', f'__ns:={namespace}',
        '-r', 'image_raw:=image',
    ]  # fmt: skip
    with Process(command, tmp_path / 'camera.log'):
        pose3d('node', '--namespace', namespace, '--estimator', 'support.blobs')
        peer.until(lambda: got, 20)
    assert (got[-1].image_width, got[-1].image_height) == (640, 480)
