#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Large images over Cyclone DDS on this machine: how many arrive, and how late.

    python benchmarks/large_images.py
    python benchmarks/large_images.py --sizes 1280x720 --seconds 10

A reliable camera in this process, a subscriber in another that does nothing with what it gets;
with receive buffers of 208 KiB, as much as Linux allows by default (net.core.rmem_max), and with
those that the node asks for; best effort and reliable. The first two seconds are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time

import numpy as np

from pose3d_ros.dds.participant import DdsNode
from pose3d_ros.messages import image_message
from pose3d_ros.messages.stamped import stamp_in
from pose3d_ros.node.qos import Profile
from pose3d_ros.standalone.names import Names

IMAGE = 'sensor_msgs/msg/Image'
WARM_UP_S = 2.0
SMALL = '<CycloneDDS><Domain><Internal><SocketReceiveBufferSize min="default" max="208 KiB"/>'
SMALL += '</Internal></Domain></CycloneDDS>'


def subscribe(reliable: bool) -> None:
    """Print stamps and delays of all images when the input ends."""
    node = DdsNode(Names('listener'))
    got: list[tuple[int, float]] = []

    def take(raw: bytes) -> None:
        stamp_ns = stamp_in(raw)
        got.append((stamp_ns, 1e-6 * (time.time_ns() - stamp_ns)))

    node.subscribe('/image', IMAGE, Profile(reliable=reliable, depth=5), take)
    spinner = threading.Thread(target=node.spin, daemon=True)
    spinner.start()
    sys.stdin.read()
    node.stop()
    spinner.join()
    print(json.dumps(got))
    node.close()


def measure(
    size: tuple[int, int], rate_hz: float, seconds: float, reliable: bool, buffers: bool
) -> tuple[float, float, float, float]:
    """Images sent and received per second, median and 95th percentile of their delay in ms."""
    environment = {**os.environ}
    if not buffers:
        environment['CYCLONEDDS_URI'] = SMALL
    command = [sys.executable, __file__, '--listener', 'reliable' if reliable else 'best_effort']
    listener = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    node = DdsNode(Names('camera'))
    publisher = node.publisher('/image', IMAGE, Profile(depth=5))
    while not publisher.listeners():
        time.sleep(0.05)
    image = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), np.uint8)
    sent = 0
    begin = time.monotonic()
    begin_ns = time.time_ns()
    while (now := time.monotonic() - begin) < WARM_UP_S + seconds:
        if now >= WARM_UP_S:
            sent += 1
        stamp_ns = time.time_ns()
        publisher.publish(image_message(node.types, image, stamp_ns=stamp_ns, frame_id='cam'))
        time.sleep(max(0.0, 1 / rate_hz - (time.monotonic() - begin - now)))
    time.sleep(0.5)
    output, _ = listener.communicate()
    node.close()
    delays = [d for stamp, d in json.loads(output) if stamp >= begin_ns + WARM_UP_S * 1e9]
    median = statistics.median(delays) if delays else float('nan')
    p95 = float(np.percentile(delays, 95)) if delays else float('nan')
    return sent / seconds, len(delays) / seconds, median, p95


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--sizes', nargs='+', default=['640x480', '1280x720', '1920x1080'])
    parser.add_argument('--rate', type=float, default=30.0, help='images per second')
    parser.add_argument('--seconds', type=float, default=8.0, help='for each row')
    parser.add_argument('--listener', choices=('reliable', 'best_effort'), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.listener:
        subscribe(args.listener == 'reliable')
        return
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    os.environ['ROS_DOMAIN_ID'] = str(random.randint(1, 100))
    os.environ.pop('CYCLONEDDS_URI', None)
    with open('/proc/sys/net/core/rmem_max', encoding='ascii') as file:
        print(f'net.core.rmem_max: {file.read().strip()}\n')
    print('| size | subscription | buffers | sent | received | delay, median (95 %) |')
    print('|---|---|---|---:|---:|---:|')
    for text in args.sizes:
        width, height = map(int, text.split('x'))
        for reliable in (False, True):
            for buffers in (False, True):
                sent, rate, median, p95 = measure(
                    (width, height), args.rate, args.seconds, reliable, buffers
                )
                how = 'reliable' if reliable else 'best effort'
                size = '10 MB asked for' if buffers else '208 KiB'
                delay = f'{median:.0f} ms ({p95:.0f})'
                print(
                    f'| {text} | {how} | {size} | {sent:.1f} Hz | {rate:.1f} Hz | {delay} |',
                    flush=True,
                )


if __name__ == '__main__':
    main()
