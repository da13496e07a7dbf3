# SPDX-License-Identifier: Apache-2.0
"""The fusion of two simulated cameras."""

from __future__ import annotations

import time

import numpy as np
import pytest
from harness import LATCHED, RELIABLE, Process, executable
from pose3d_ros.msg import EstimatorInfo, Skeleton3DArray
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo
from support.rig import CameraMessages, world
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from pose3d_ros.errors import ConfigError
from pose3d_ros.messages.people import people_of
from pose3d_ros.ros.fusion import FusionNode
from pose3d_ros.ros.messages import message_class
from pose3d_ros.ros.spinning import Spinner
from pose3d_ros.tools.rig import SKELETON, around
from pose3d_ros.types import PositionSource

NAMES = ('left', 'right')


@pytest.fixture
def fuse(peer):
    """Function that starts the node; arguments are its parameters."""
    running = []

    def start(**parameters):
        node = FusionNode(
            namespace=peer.get_namespace(),
            parameter_overrides=[Parameter(name, value=v) for name, v in parameters.items()],
        )
        running.append((node, Spinner(node)))

    yield start
    for node, spinner in running:
        spinner.stop()
        node.destroy_node()


def test_one_person_of_two_cameras(peer, fuse):
    fuse(cameras=['left', 'right'], fusion_frame='room', fusion_rate_hz=20)
    peer.target = f'{peer.get_namespace()}/pose3d_fusion'
    got, latest = peer.skeletons(), peer.diagnostics()
    markers = peer.collect(MarkerArray, f'{peer.target}/markers')
    infos = peer.collect(EstimatorInfo, f'{peer.target}/estimator_info', LATCHED)
    cameras = {
        name: CameraMessages(message_class, name, placed) for name, placed in zip(NAMES, around(3))
    }
    statics = peer.create_publisher(
        TFMessage, '/tf_static', QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    )
    # Both in one message: the last one is what late listeners get.
    places = [t for c in cameras.values() for t in c.transforms('room').transforms]
    statics.publish(TFMessage(transforms=places))
    outputs = {
        name: (
            peer.create_publisher(CameraInfo, f'{name}/camera_info', RELIABLE),
            peer.create_publisher(Skeleton3DArray, f'{name}/skeletons', RELIABLE),
        )
        for name in NAMES
    }

    def fused():
        """Of the last array, the person whom both cameras see."""
        people = people_of(got[-1], SKELETON) if got else []
        return len(people) == 1 and people[0].position_source == PositionSource.CAMERAS

    end = time.monotonic() + 30
    while not (fused() and markers and infos and 'camera right' in latest):
        assert time.monotonic() < end, 'nobody was fused'
        stamp_ns = time.time_ns()
        for name, (info, skeletons) in outputs.items():
            # A person who stands still: the time of the rig is always zero.
            people = cameras[name].people(0.0)
            info.publish(cameras[name].info(stamp_ns))
            skeletons.publish(cameras[name].skeletons(stamp_ns, people))
        peer.spin_for(0.03)
    (pose,) = people_of(got[-1], SKELETON)
    assert got[-1].header.frame_id == 'room'
    true = world(1, 0.0)[0]
    good = np.isfinite(pose.xyz[:, 0])
    assert good.sum() >= 12
    off = np.linalg.norm(pose.xyz - true, axis=1)[good]
    assert np.median(off) < 0.08
    assert off.max() < 0.6  # of a joint that one of the two cameras misses just now
    assert infos[-1].convention == SKELETON.name
    assert latest['camera right'].values


def test_a_parameter_that_cannot_be(fuse):
    with pytest.raises(ConfigError, match='two cameras or more'):
        fuse(cameras='left')


def test_the_executable(peer, tmp_path):
    """It says of cameras that send nothing that they do."""
    peer.target = f'{peer.get_namespace()}/pose3d_fusion'
    latest = peer.diagnostics()
    command = [executable('fusion'), '--ros-args', '-r', f'__ns:={peer.get_namespace()}']
    with Process([*command, '-p', 'cameras:=[front,back]'], tmp_path / 'log') as process:
        peer.until(lambda: 'camera front' in latest)
        assert latest['camera back'].message == 'no skeletons have come'
        process.process.terminate()
        assert process.process.wait(20) == 0
    topics = ', '.join(f'{peer.get_namespace()}/{name}/skeletons' for name in ('front', 'back'))
    assert f'active: fusing the people of {topics} in map' in (tmp_path / 'log').read_text()
