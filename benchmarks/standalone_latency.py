#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""From an image published to its skeleton received, through the standalone node.

    python benchmarks/standalone_latency.py
    python benchmarks/standalone_latency.py --rates 120 --transport compressed

A camera and a subscriber in this process, `pose3d node` in another, on a network of this machine
alone. Images are those of the bundled clip at 640x480. The first seconds are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

from pose3d_ros.camera import Camera
from pose3d_ros.dds.participant import DdsNode
from pose3d_ros.messages import stamp_of
from pose3d_ros.node.qos import RESULT
from pose3d_ros.resources import resource
from pose3d_ros.sources import open_source
from pose3d_ros.standalone.camera import CameraNode
from pose3d_ros.standalone.names import Names
from pose3d_ros.types import Frame

SKELETONS = 'pose3d_ros/msg/Skeleton3DArray'
WARM_UP_S = 2.0


def main() -> None:
    """Measure each rate and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rates', type=float, nargs='+', default=[30.0, 120.0], metavar='HZ')
    parser.add_argument('--seconds', type=float, default=10.0, help='for each rate')
    parser.add_argument('--transport', choices=('raw', 'compressed'), default='raw')
    parser.add_argument('--best-effort', action='store_true', help='camera without resending')
    parser.add_argument('--json', metavar='FILE', help='write the numbers there too')
    parser.add_argument('node', nargs='*', metavar='OPTION', help='for `pose3d node`, after --')
    args = parser.parse_args()
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    os.environ['ROS_DOMAIN_ID'] = str(random.randint(1, 100))
    camera = Camera.load(resource('demo', 'jump.yaml'))
    frames = list(open_source(resource('demo', 'jump.mp4'), camera=camera))
    results = [measure(rate, frames, args) for rate in args.rates]
    print(
        f'{"camera":>8} {"sent":>6} {"answers":>8} {"median":>9} {"p95":>9} {"max":>9} {"drift":>9}'
    )
    for r in results:
        print(
            f'{r["rate_hz"]:5.0f} Hz {r["sent"]:6d} {r["answers"]:8d} {r["median_ms"]:6.1f} ms '
            f'{r["p95_ms"]:6.1f} ms {r["max_ms"]:6.1f} ms {r["drift_ms"]:6.1f} ms'
        )
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=2) + '\n', encoding='utf-8')


def measure(rate_hz: float, frames: list[Frame], args: argparse.Namespace) -> dict[str, float]:
    """Milliseconds from publishing to receiving at one rate.

    drift_ms: median of the last quarter less that of the first: a queue that grows shows there.
    """
    node = DdsNode(Names('bench'))
    camera = CameraNode(node, 'camera_optical_frame', reliable=not args.best_effort)
    delays: dict[int, float] = {}

    def received(raw: bytes) -> None:
        now = time.time_ns()
        stamp_ns = stamp_of(node.types.deserialize(raw, SKELETONS).header)
        # The empty array that ends the output has the stamp of the last image again.
        delays.setdefault(stamp_ns, (now - stamp_ns) * 1e-6)

    node.subscribe('/pose3d_estimator/skeletons', SKELETONS, RESULT, received)
    process = subprocess.Popen(
        [
            *(sys.executable, '-m', 'pose3d_ros.cli.main', 'node'),
            *('--image-transport', args.transport, *args.node),
        ]
    )
    spinner = threading.Thread(target=node.spin, daemon=True)
    spinner.start()
    try:
        camera.wait_for_listener(120.0, lambda seconds: process.poll() is not None)
        if process.poll() is not None:
            sys.exit('the node did not start')
        sent = 0
        begin = due = time.monotonic()
        while time.monotonic() - begin < WARM_UP_S + args.seconds:
            camera.send(frames[sent % len(frames)], time.time_ns())
            sent += 1
            due += 1 / rate_hz
            time.sleep(max(0.0, due - time.monotonic()))
        time.sleep(0.5)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(10)
        node.stop()
        spinner.join()
        node.close()
    stamps = sorted(delays)
    kept = [delays[s] for s in stamps if s - stamps[0] > WARM_UP_S * 1e9]
    quarter = max(1, len(kept) // 4)
    return {
        'rate_hz': rate_hz,
        'sent': sent,
        'answers': len(delays),
        'median_ms': statistics.median(kept),
        'p95_ms': statistics.quantiles(kept, n=20)[-1],
        'max_ms': max(kept),
        'drift_ms': statistics.median(kept[-quarter:]) - statistics.median(kept[:quarter]),
    }


if __name__ == '__main__':
    main()
