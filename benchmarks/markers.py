#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Milliseconds per frame to make and send the markers of many people.

Sent is by rclpy where a ROS 2 with this package is sourced, else by the node without ROS
(cyclonedds), each to a subscription in another process that takes them in. Processor time of the
sending thread: what a frame waits for.

    python benchmarks/markers.py
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec

import numpy as np

from pose3d_ros.camera import Camera
from pose3d_ros.cli.options import table
from pose3d_ros.messages import MarkerBuilder, MarkerFrame
from pose3d_ros.messages.marker_cdr import ARRAY_TYPE
from pose3d_ros.messages.types import Types
from pose3d_ros.settings.node import NodeConfig
from pose3d_ros.skeleton import get_skeleton
from pose3d_ros.types import JointStatus, Pose3D, PositionSource

TOPIC = '/pose3d_benchmark/markers'
WARM_UP_FRAMES = 30
CAMERA = Camera(K=np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]), size=(640, 480))
Send = Callable[[bytes], None]


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--people', type=int, default=20, help='(default: 20)')
    parser.add_argument('--frames', type=int, default=300, help='(default: 300)')
    parser.add_argument('--listen', action='store_true', help=argparse.SUPPRESS)
    args = parser.parse_args()
    transport = 'rclpy' if find_spec('rclpy') else 'cyclonedds'
    if args.listen:
        listen(transport)
        return 0
    rows = []
    with sender(transport) as send:
        for name in ('panoptic_19', 'blazepose_33'):
            for config in (NodeConfig(), NodeConfig(marker_uncertainty='joints')):
                making, sending, size = measure(crowd(name, args.people), config, args.frames, send)
                both = making + sending
                rows.append(
                    [
                        name,
                        config.marker_uncertainty,
                        *(
                            f'{np.median(ms):.2f} ({ms.min():.2f})'
                            for ms in (making, sending, both)
                        ),
                        f'{size / 1000:.0f} kB',
                    ]
                )
    print(f'{args.people} people, sent by {transport}')
    header = ['joints', 'ellipsoids of', 'ms to make, median (least)', 'to send', 'both', 'size']
    print(table(rows, header))
    return 0


def crowd(name: str, people: int) -> list[Pose3D]:
    """People who walk, with everything that can be drawn of them."""
    skeleton, rng = get_skeleton(name), np.random.default_rng(0)
    joints = len(skeleton)
    return [
        Pose3D(
            skeleton=skeleton,
            xyz=rng.normal((0, 0, 4), 0.5, size=(joints, 3)),
            confidence=rng.random(joints),
            pixels=rng.uniform(0, 480, (joints, 2)),
            status=np.full(joints, JointStatus.MEASURED, np.uint8),
            covariance=np.tile(np.diag([0.01, 0.02, 0.03]), (joints, 1, 1)),
            position_source=PositionSource.METRIC,
            score=0.9,
            track_id=1 + k,
            velocity=np.array([1.0, 0, 0]),
        )
        for k in range(people)
    ]


def measure(
    people: list[Pose3D], config: NodeConfig, frames: int, send: Send
) -> tuple[np.ndarray, np.ndarray, int]:
    """Milliseconds to make and to send each frame, and the size of the last one."""
    builder = MarkerBuilder(message_types())
    turn = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    times = []
    for index in range(WARM_UP_FRAMES + frames):
        frame = MarkerFrame(round(index * 1e9 / 30), 'odom', turn, np.ones(3), camera=CAMERA)
        begin = time.thread_time()
        data = builder.array(people, frame, config)
        made = time.thread_time()
        send(data)
        times.append((made - begin, time.thread_time() - made))
        time.sleep(0.005)
    making, sending = 1e3 * np.array(times[WARM_UP_FRAMES:]).T
    return making, sending, len(data)


def message_types() -> Types:
    """The message classes of this installation."""
    if find_spec('rclpy'):
        from pose3d_ros.ros.messages import message_class

        return message_class
    from pose3d_ros.messages.standalone import StandaloneTypes

    return StandaloneTypes()


@contextlib.contextmanager
def sender(transport: str) -> Iterator[Send]:
    """A publisher, and a process that listens to it."""
    process = subprocess.Popen([sys.executable, __file__, '--listen'], env=dict(os.environ))
    try:
        if transport == 'rclpy':
            import rclpy
            from visualization_msgs.msg import MarkerArray

            rclpy.init()
            publisher = rclpy.create_node('marker_benchmark').create_publisher(
                MarkerArray, TOPIC, 5
            )
            wait(publisher.get_subscription_count)
            yield publisher.publish
        else:
            from pose3d_ros.dds.participant import DdsNode
            from pose3d_ros.node.qos import RESULT
            from pose3d_ros.standalone.names import Names

            with contextlib.closing(DdsNode(Names('marker_benchmark'))) as node:
                made = node.publisher(TOPIC, ARRAY_TYPE, RESULT)
                wait(made.listeners)
                yield made.publish
    finally:
        process.kill()
        process.wait()


def listen(transport: str) -> None:
    """Take in what comes, until killed."""
    if transport == 'rclpy':
        import rclpy
        from visualization_msgs.msg import MarkerArray

        rclpy.init()
        node = rclpy.create_node('marker_listener')
        node.create_subscription(MarkerArray, TOPIC, lambda data: None, 5, raw=True)
        rclpy.spin(node)
    else:
        from pose3d_ros.dds.participant import DdsNode
        from pose3d_ros.node.qos import RESULT
        from pose3d_ros.standalone.names import Names

        node = DdsNode(Names('marker_listener'))
        node.subscribe(TOPIC, ARRAY_TYPE, RESULT, lambda data: None)
        node.spin()


def wait(matched: Callable[[], int], timeout_s: float = 20.0) -> None:
    """Until the listener is there."""
    end = time.monotonic() + timeout_s
    while not matched():
        if time.monotonic() > end:
            raise SystemExit('nobody listens')
        time.sleep(0.05)


if __name__ == '__main__':
    sys.exit(main())
