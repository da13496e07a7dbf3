#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Milliseconds per frame of everything that is not inference, for one and for five people.

Counted are the pipeline apart from its networks (crop, decode, tracking, smoothing, placement) and
the messages and markers of the node. Their serialisation, which is the standalone node's own, is
reported beside the sum; markers are made serialised. The frames come from a bundled
clip; five people are strips of it side by side in 640x480.

    python benchmarks/overhead.py
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator

import numpy as np

from pose3d_ros.cli.loading import make_pipeline
from pose3d_ros.cli.options import table
from pose3d_ros.messages import MarkerBuilder, MarkerFrame, SkeletonBuilder
from pose3d_ros.messages.standalone import StandaloneTypes
from pose3d_ros.resources import resource
from pose3d_ros.settings.node import NodeConfig
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.tools.clips import Clip
from pose3d_ros.types import Frame

INFERENCE = ('detector', 'landmarks')
WARM_UP_FRAMES = 20
BESIDE = 'serialised (CDR)'
LIMITS_MS = {1: 2.0, 5: 5.0}


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--rounds', type=int, default=5, help='(default: 5)')
    args = parser.parse_args()
    rows: dict[str, list[str]] = {}
    for people, limit in LIMITS_MS.items():
        parts = measure(list(frames(people)), people, args.rounds)
        beside = parts.pop(BESIDE)
        total = np.sum(list(parts.values()), axis=0)
        for name, values in {**parts, 'all of it': total, BESIDE: beside}.items():
            text = f'{np.median(values):.2f} ({np.percentile(values, 95):.2f})'
            rows.setdefault(name, []).append(text)
        rows.setdefault('wanted', []).append(f'under {limit:g}')
    header = ['ms per frame, median (p95)', *(f'{n} people' for n in LIMITS_MS)]
    print(table([[name, *cells] for name, cells in rows.items()], header))
    return 0


def frames(people: int) -> Iterator[Frame]:
    """Frames that show so many people: the clip jump, or strips of it side by side."""
    clip = Clip.load(resource('demo', 'jump.mp4'))
    images = [frame.image for frame in clip.frames()]
    middles = clip.pixels[:, 0, :, 0].mean(axis=1)
    for index in range(len(images)):
        image = images[index] if people == 1 else strips(images, middles, index, people)
        stamp = round(index * 1e9 / 30)
        yield Frame(image, stamp, 'camera', clip.camera)


def strips(images: list[np.ndarray], middles: np.ndarray, index: int, people: int) -> np.ndarray:
    """Strips around the person side by side in an image of the same size, of different moments."""
    width = images[0].shape[1] // people
    parts = []
    for number in range(people):
        moment = (index + 7 * number) % len(images)
        left = int(np.clip(middles[moment] - width / 2, 0, images[0].shape[1] - width))
        parts.append(images[moment][:, left : left + width])
    return np.hstack(parts)


def measure(shown: list[Frame], people: int, rounds: int) -> dict[str, np.ndarray]:
    """Milliseconds of each part in each frame that shows everybody."""
    pipeline = make_pipeline(PipelineConfig(max_people=people))
    types = StandaloneTypes()
    skeletons, markers, config = SkeletonBuilder(types), MarkerBuilder(types), NodeConfig()
    parts: dict[str, list[float]] = {}
    missed = 0
    for _ in range(rounds):
        pipeline.reset()
        for index, frame in enumerate(shown):
            times = [time.perf_counter()]
            result = pipeline.process(frame)
            poses = result.people
            times.append(time.perf_counter())
            array = skeletons.array(
                poses,
                stamp_ns=frame.stamp_ns,
                frame_id=frame.frame_id,
                size=frame.size,
                convention=pipeline.skeleton.name,
            )
            times.append(time.perf_counter())
            place = MarkerFrame(frame.stamp_ns, frame.frame_id, camera=frame.camera)
            markers.array(poses, place, config)
            times.append(time.perf_counter())
            types.serialize(array, 'pose3d_ros/msg/Skeleton3DArray')
            times.append(time.perf_counter())
            if index < WARM_UP_FRAMES:
                continue
            if len(poses) != people:
                missed += 1
                continue
            whole, messages, marking, writing = 1e3 * np.diff(times)
            stages = result.timings
            spent = {name: ms for name, ms in stages.items() if name not in INFERENCE}
            # What no stage claims is overhead as well.
            spent['between stages'] = whole - sum(stages.values())
            spent['messages'], spent['markers'] = messages, marking
            spent[BESIDE] = writing
            for name, ms in spent.items():
                parts.setdefault(name, []).append(ms)
    if missed:
        print(f'{people} people: left out {missed} frames in which not all were found')
    if not parts:
        raise SystemExit(f'no frame in which all {people} people were found')
    return {name: np.array(values) for name, values in parts.items()}


if __name__ == '__main__':
    sys.exit(main())
