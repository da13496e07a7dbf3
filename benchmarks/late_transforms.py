# SPDX-License-Identifier: Apache-2.0
"""What transforms and depth that come late cost: rate, delay, positions of a camera that drives.

A camera at 30 Hz drives on a circle at 1 m/s and 1 rad/s through `odom`; its transforms come at
another rate, some time after their stamp. Everything between the image message and the skeleton
message is the node's own. Delay: from the stamp of an image to its publication. Error: of the root
in `odom`, against the place of the camera at the stamp, which is exact here. Depth images come for
every second image, 40 ms late.

    python benchmarks/late_transforms.py [--seconds 10] [--clip demo/jump.mp4]
"""

from __future__ import annotations

import argparse
import dataclasses
import queue
import threading
import time
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from pose3d_ros.messages import image_message, make_header, stamp_of
from pose3d_ros.messages.standalone import StandaloneTypes
from pose3d_ros.node.core import NodeCore
from pose3d_ros.node.frames import FrameTree
from pose3d_ros.node.host import Host
from pose3d_ros.node.transforms import TransformBuffer
from pose3d_ros.pipeline import Pipeline
from pose3d_ros.settings.node import NodeConfig
from pose3d_ros.sources import open_source

RATE_HZ = 30.0
DEPTH_LATE_S = 0.04
OPTICAL = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])


def pose_at(stamp_ns: int) -> tuple[np.ndarray, Rotation]:
    """Place and direction of the camera in odom, on a circle of one metre."""
    t = stamp_ns * 1e-9 % (2 * np.pi)
    turn = Rotation.from_euler('z', t)
    return turn.apply([0.0, -1.0, 0.0]), turn * Rotation.from_matrix(OPTICAL)


class Robot:
    """Adapter and transforms; keeps when each skeleton message went out."""

    def __init__(self, tf_hz: float, late_s: float) -> None:
        self.buffer = TransformBuffer()
        self.sent: list[tuple[int, int, object]] = []
        self._tf_hz, self._late_s = tf_hz, late_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._drive, daemon=True)

    def __enter__(self) -> Robot:
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._ended.set()
        self._thread.join()

    def _drive(self) -> None:
        while not self._ended.wait(1 / self._tf_hz):
            stamp_ns = time.time_ns() - round(self._late_s * 1e9)
            place, turn = pose_at(stamp_ns)
            self.buffer.set('odom', 'camera', (place, turn.as_quat()), stamp_ns)

    # What the node's core asks of an adapter (node/host.py).

    def listeners(self, camera: str, output: str) -> int:
        """Skeletons only."""
        return int(output == 'skeletons')

    def publish(self, camera: str, output: str, message: object) -> None:
        """Keep skeletons, with the time."""
        if output == 'skeletons':
            self.sent.append((stamp_of(message.header), time.time_ns(), message))

    def broadcast(self, transforms: list) -> None:
        """Nobody listens."""

    def lookup(self, target: str, source: str, stamp_ns: int, timeout_s: float):
        """As the adapters of the package."""
        return self.buffer.lookup(target, source, stamp_ns, timeout_s)

    def newest(self, target: str, source: str):
        """As the adapters of the package."""
        return self.buffer.newest_stamped(target, source)

    def frames(self) -> FrameTree:
        """What is connected."""
        return self.buffer.frames()


def late_depths(core: NodeCore, stamps: queue.Queue[int | None], size: tuple[int, int]) -> None:
    """A wall 3 m away, for each of those stamps, late."""
    types = StandaloneTypes()
    message = types('sensor_msgs/msg/Image')(
        encoding='16UC1', width=size[0], height=size[1], step=2 * size[0]
    )
    message.data = np.full(size[::-1], 3000, np.uint16).view(np.uint8).ravel()
    while (stamp_ns := stamps.get()) is not None:
        time.sleep(max(0.0, DEPTH_LATE_S - (time.time_ns() - stamp_ns) * 1e-9))
        header = make_header(types, stamp_ns, 'camera')
        core.auxiliary('depth_image', '', dataclasses.replace(message, header=header))


def drive(
    images: list[np.ndarray],
    tf_hz: float,
    late_ms: float,
    target: str,
    seconds: float,
    depth: str = 'none',
):
    """One row of the table.

    Rate, median delay and 95th percentile in ms, largest error in mm, share of frames with people,
    processor time per second.
    """
    config = NodeConfig(target_frame=target, focal_length_px=600.0, depth_transport=depth)
    types = StandaloneTypes()
    with Robot(tf_hz, 1e-3 * late_ms) as robot:
        core = NodeCore(config, Pipeline(config), Host(types, robot))
        in_camera: dict[int, np.ndarray] = {}
        process = core.pipeline.process_batch

        def keep(frames):
            results = process(frames)
            for result in results:
                for finished in result.finished:
                    if finished.people:
                        person = finished.people[0]
                        root = person.xyz[list(person.skeleton.root)].mean(axis=0)
                        in_camera[finished.frame.stamp_ns] = root
            return results

        core.pipeline.process_batch = keep  # type: ignore[method-assign]
        core.activate()
        depths: queue.Queue[int | None] = queue.Queue()
        size = images[0].shape[1::-1]
        thread = threading.Thread(target=late_depths, args=(core, depths, size))
        thread.start()
        begin, cpu = time.monotonic(), time.process_time()
        for k in range(round(seconds * RATE_HZ)):
            time.sleep(max(0.0, begin + k / RATE_HZ - time.monotonic()))
            image = images[k % len(images)]
            stamp_ns = time.time_ns()
            message = image_message(types, image, stamp_ns=stamp_ns, frame_id='camera')
            core.image('', message)
            if depth != 'none' and k % 2 == 0:
                depths.put(stamp_ns)
        depths.put(None)
        thread.join()
        cpu = time.process_time() - cpu
        core.wait_idle(5)
        core.deactivate()
    sent = robot.sent[:-1]  # the last one says good-bye
    delays = [1e-6 * (at - stamp) for stamp, at, _ in sent] or [np.nan]
    errors = [0.0]
    for stamp, _, array in sent:
        if target and array.skeletons and stamp in in_camera:
            place, turn = pose_at(stamp)
            root = array.skeletons[0].root.position
            error = turn.apply(in_camera[stamp]) + place - [root.x, root.y, root.z]
            errors.append(1e3 * float(np.linalg.norm(error)))
    share = float(np.mean([bool(array.skeletons) for _, _, array in sent]))
    return (
        len(sent) / seconds, float(np.median(delays)), float(np.percentile(delays, 95)),
        max(errors), share, cpu / seconds,
    )  # fmt: skip


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seconds', type=float, default=10.0)
    parser.add_argument('--clip', type=Path, default=Path('demo/jump.mp4'))
    parser.add_argument('--rates', type=float, nargs='*', default=[10.0, 20.0, 50.0])
    arguments = parser.parse_args()
    images = []
    for frame in open_source(str(arguments.clip)):
        images.append(frame.image)
        if len(images) == 60:
            break
    print('| transforms | late | Hz | delay, median (95 %) | largest error | people | processor |')
    print('|---|---|---|---|---|---|---|')
    cases = [(50.0, 0.0, '')]
    cases += [(hz, late, 'odom') for hz in arguments.rates for late in (0.0, 60.0, 300.0)]
    for hz, late, target in cases:
        rate, median, p95, error, share, cpu = drive(images, hz, late, target, arguments.seconds)
        how = f'{hz:.0f} Hz | {late:.0f} ms' if target else 'not needed |'
        delay = f'{median:.0f} ms ({p95:.0f})'
        people = f'{100 * share:.0f} %'
        print(f'| {how} | {rate:.1f} | {delay} | {error:.1f} mm | {people} | {cpu:.2f} |')
    rate, median, p95, _, share, cpu = drive(images, 50.0, 0.0, '', arguments.seconds, 'raw')
    delay, people = f'{median:.0f} ms ({p95:.0f})', f'{100 * share:.0f} %'
    print(f'| depth: 15 Hz | 40 ms | {rate:.1f} | {delay} | | {people} | {cpu:.2f} |')


if __name__ == '__main__':
    main()
