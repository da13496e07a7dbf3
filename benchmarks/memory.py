#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Resident memory over many frames: it must not grow.

The bundled clips run in turn, forwards, with the changes of scene, people and image size that a
robot sees; tracks are born and end, and the node's messages are built.

    python benchmarks/memory.py --frames 10000
"""

from __future__ import annotations

import argparse
import gc
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from pose3d_ros.cli.loading import make_pipeline
from pose3d_ros.messages import MarkerBuilder, MarkerFrame, SkeletonBuilder
from pose3d_ros.messages.standalone import StandaloneTypes
from pose3d_ros.resources import resource
from pose3d_ros.settings.node import NodeConfig
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.tools.clips import Clip
from pose3d_ros.types import Frame

WARM_UP_FRAMES = 1000


def main() -> int:
    """Print the memory every thousand frames; exit code 1 if it grew by more than allowed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--frames', type=int, default=10_000, help='(default: 10000)')
    parser.add_argument(
        '--allowed', type=float, default=5.0, help='growth after the warm-up, MB (default: 5)'
    )
    args = parser.parse_args()
    pipeline = make_pipeline(PipelineConfig())
    types = StandaloneTypes()
    skeletons, markers, config = SkeletonBuilder(types), MarkerBuilder(types), NodeConfig()
    samples = []
    for count, frame in enumerate(itertools.islice(endless(), args.frames + 1)):
        if count % 1000 == 0:
            gc.collect()
            samples.append(resident_mb())
            print(f'{count:6d} frames  {samples[-1]:7.1f} MB', flush=True)
        poses = pipeline.process(frame).people
        skeletons.array(
            poses,
            stamp_ns=frame.stamp_ns,
            frame_id=frame.frame_id,
            size=frame.size,
            convention=pipeline.skeleton.name,
        )
        place = MarkerFrame(frame.stamp_ns, frame.frame_id, camera=frame.camera)
        markers.array(poses, place, config)
    settled = samples[WARM_UP_FRAMES // 1000 :]
    if len(settled) < 2:
        raise SystemExit(f'--frames must be over {2 * WARM_UP_FRAMES}')
    growth = settled[-1] - settled[0]
    slope = np.polyfit(np.arange(len(settled)), settled, 1)[0]
    print(
        f'growth after the first {WARM_UP_FRAMES} frames: {growth:+.1f} MB ({slope:+.2f} MB/1000)'
    )
    return int(growth > args.allowed)


def endless() -> Iterator[Frame]:
    """Frames of both clips again and again, now and then in another size; time goes on."""
    clips = [Clip.load(resource('demo', f'{name}.mp4')) for name in ('jump', 'two_people')]
    frames = [(clip, list(clip.frames())) for clip in clips]
    stamp = 0
    for turn in itertools.count():
        clip, shown = frames[turn % 2]
        small = turn % 4 >= 2
        for frame in shown:
            image = cv2.resize(frame.image, (480, 360)) if small else frame.image
            camera = clip.camera.resized((480, 360)) if small else clip.camera
            yield Frame(image, stamp, 'camera', camera)
            stamp += 33_333_333
        # Everybody is gone for a moment, so that tracks end.
        for _ in range(20):
            yield Frame(np.zeros_like(image), stamp, 'camera', camera)
            stamp += 33_333_333


def resident_mb() -> float:
    """Resident memory of this process."""
    for line in Path('/proc/self/status').read_text(encoding='utf-8').splitlines():
        if line.startswith('VmRSS:'):
            return int(line.split()[1]) / 1024
    raise SystemExit('this system does not say how much memory is used')


if __name__ == '__main__':
    sys.exit(main())
