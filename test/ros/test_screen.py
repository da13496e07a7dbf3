# SPDX-License-Identifier: Apache-2.0
"""What a user sees: a real RViz on a screen without a monitor."""

from __future__ import annotations

import math
import threading
import time
from collections import deque

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from harness import OPTICAL, camera_info, header, image_message, within
from rclpy.node import Node
from rclpy.parameter import Parameter
from screen import Screen, places, view_3d
from support.blobs import draw
from tf2_msgs.msg import TFMessage

from pose3d_ros.drawing.rviz_config import WINDOW
from pose3d_ros.drawing.style import LEFT, PALETTE, RIGHT
from pose3d_ros.ros import rviz
from pose3d_ros.ros.spinning import Spinner

pytestmark = pytest.mark.needs('rviz2', 'Xvfb')

PATIENCE_S = 60.0  # software rendering on a busy machine
LEAST_PIXELS = 30
PERSON = (320, 240, 260)


@pytest.fixture(scope='module')
def screen():
    made = Screen()
    yield made
    made.close()


@pytest.fixture
def show(peer, screen, monkeypatch):
    for name, value in screen.environment.items():
        monkeypatch.setenv(name, value)
    shown = []

    def make(**parameters):
        node = rviz.RvizNode(
            threading.Event(),
            namespace=peer.get_namespace(),
            parameter_overrides=[
                Parameter(name, value=value)
                for name, value in {'node': peer.target, **parameters}.items()
            ],
        )
        shown.append((Spinner(node), node))

    yield make
    for spinner, node in shown:
        spinner.stop()
        node.destroy_node()


class TurningRobot(Node):
    """Its odometry comes at 50 Hz, 0.1 s late."""

    def __init__(self):
        super().__init__('robot')
        self._odometry = self.create_publisher(TFMessage, '/tf', 10)
        self._late = deque()
        self.create_timer(0.02, self._turn)

    def _turn(self):
        half = 0.2 * math.sin(2.5 * time.monotonic())  # up to 1 rad/s
        pose = TransformStamped(header=header(frame_id='odom'), child_frame_id='base_link')
        pose.transform.rotation.z, pose.transform.rotation.w = math.sin(half), math.cos(half)
        self._late.append(pose)
        if len(self._late) > 5:
            self._odometry.publish(TFMessage(transforms=[self._late.popleft()]))


def faults(picture):
    """What a user would miss: a large view, somebody upright, seen from behind the camera."""
    view = view_3d(picture)
    if view is None:
        return ['no 3D view']
    # Images come slowly on a busy machine, so that the person may get another id.
    trunk = max((places(view, colour) for colour in PALETTE), key=len)
    left, right = places(view, LEFT), places(view, RIGHT)
    if min(map(len, (left, right, trunk))) < LEAST_PIXELS:
        return ['nobody']
    demands = {
        'the view is small': view.shape[1] > WINDOW[0] * 2 / 3,
        # The left of somebody who faces the camera is at its right.
        'seen from the wrong side': np.median(left[:, 0]) > np.median(right[:, 0]),
        'small': np.ptp(left[:, 1]) > view.shape[0] / 5,
        'not upright': left[:, 1].max() > left[:, 1].mean() > trunk[:, 1].mean(),
    }
    return [fault for fault, ok in demands.items() if not ok]


def appears(peer, screen, cameras=('image',)):
    """Publish images until RViz shows the person as a user wants it."""
    publishers = [peer.camera(topic=topic) for topic in cameras]
    end = time.monotonic() + within(PATIENCE_S)
    # A picture may show half of what is being drawn: one without faults is enough.
    while left := faults(screen.picture()):
        assert time.monotonic() < end, left
        for _ in range(5):
            for publisher in publishers:
                publisher.infos.publish(camera_info())
                publisher.images.publish(image_message(draw([PERSON])))
            peer.spin_for(0.05)


def test_a_camera_without_transforms(start, peer, screen, show):
    start().wait()
    show()
    appears(peer, screen)


def test_a_camera_on_a_robot(start, peer, screen, show):
    start(target_frame='base_link').wait()
    peer.place('base_link', OPTICAL, z=1.0)
    show()
    appears(peer, screen)


def test_a_camera_on_a_robot_that_turns(start, peer, screen, show):
    start().wait()
    peer.place('base_link', OPTICAL, z=1.0)
    robot = TurningRobot()
    spinner = Spinner(robot)
    try:
        show()
        appears(peer, screen)
    finally:
        spinner.stop()
        robot.destroy_node()


def test_a_camera_in_a_map(start, peer, screen, show):
    start().wait()
    peer.place('map', OPTICAL, x=2.0, z=1.0)
    show()
    appears(peer, screen)


def test_several_cameras(start, peer, screen, show):
    start(cameras='left,right').wait()
    show()
    appears(peer, screen, ('left/image', 'right/image'))
