#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Time of `lifting_from_the_deep` without its 2D source: 2D joints in, poses out.

Each row: so many people, whose joints seen are the same as in the frame before or, the worst case,
sets that were never met, another for each person in each frame. Both methods, in turn in every
round; the camera's pitch is known, or being learnt, which costs most in the first ten frames.

OPENBLAS_NUM_THREADS=2 python benchmarks/lifting.py
"""

from __future__ import annotations

import argparse

import numpy as np

from pose3d_ros.camera import Camera
from pose3d_ros.estimators.lifting_from_the_deep.estimator import Estimator
from pose3d_ros.estimators.lifting_from_the_deep.level_view import down
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.skeleton import SKELETONS
from pose3d_ros.types import Array, Frame, Pose3D, pose_2d

BLAZEPOSE = SKELETONS['blazepose_33']
SIZE = (640, 480)
CAMERA = Camera(K=np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), size=SIZE)
IMAGE = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
# Joints of BlazePose that the prior has.
USED = [
    BLAZEPOSE.index(f'{side}_{joint}')
    for side in ('left', 'right')
    for joint in ('shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle', 'ear', 'foot_index')
]


def people(count: int, fresh: bool, random: np.random.Generator, standing: Array) -> list[Pose3D]:
    """2D joints, of which three are hidden: always the same ones, or others each time."""
    out = []
    for k in range(count):
        place = np.array([k - 0.5 * (count - 1), 0.0, 5.0])
        body = standing + place + random.normal(0, 0.02, standing.shape)
        confidence = np.ones(len(BLAZEPOSE))
        confidence[random.choice(USED, 3, replace=False) if fresh else USED[:3]] = 0.0
        out.append(pose_2d(BLAZEPOSE, CAMERA.project(body), confidence, 0.9, SIZE))
    return out


def standing() -> Array:
    """(33, 3) metres about the hips, x right, y down: somebody with arms half raised."""
    heights = {'shoulder': -0.5, 'elbow': -0.3, 'wrist': -0.5, 'hip': 0.0, 'knee': 0.42}
    heights |= {'ankle': 0.84, 'ear': -0.68, 'index': 0.9}
    out = np.zeros((len(BLAZEPOSE), 3))
    for k, name in enumerate(BLAZEPOSE.names):
        side = -1 if name.startswith('left') else 1
        kind = name.rpartition('_')[2]
        reach = {'shoulder': 0.18, 'elbow': 0.35, 'wrist': 0.4, 'ear': 0.07}.get(kind, 0.1)
        out[k] = (side * reach, heights.get(kind, -0.65), -0.1 if kind == 'index' else 0.0)
    return out


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=60)
    parser.add_argument('--prior', default='', help="shape models; empty: the package's own")
    args = parser.parse_args()
    loaded = {}
    for method in ('posterior', 'published'):
        options: dict[str, object] = {'keypoints': 'topic', 'method': method, 'prior': args.prior}
        loaded[method] = Estimator(
            PipelineConfig(estimator='lifting_from_the_deep', options=options)
        )
    body, random = standing(), np.random.default_rng(0)
    cases = [
        (method, count, fresh, learning)
        for method in loaded
        for count in (1, 5)
        for fresh in (False, True)
        for learning in ((False, True) if method == 'posterior' else (False,))
    ]
    took: dict[tuple[str, int, bool, bool], list[float]] = {case: [] for case in cases}
    for turn in range(args.rounds + 2):
        for case in cases:
            method, count, fresh, learning = case
            estimator = loaded[method]
            estimator.reset()
            frame = Frame(
                IMAGE,
                camera=CAMERA,
                gravity=None if learning else down(0.1),
                keypoints=people(count, fresh, random, body),
            )
            (found,) = estimator.estimate([frame])
            assert len(found) == count
            if turn >= 2:
                took[case].append(estimator.timings()['lift'])
    print('method     people  joints seen  pitch         ms: median    p95')
    for (method, count, fresh, learning), times in took.items():
        seen = 'new sets' if fresh else 'known sets'
        pitch = 'being learnt' if learning else 'known'
        print(
            f'{method:10} {count:6}  {seen:11}  {pitch:12} '
            f'{np.median(times):11.2f} {np.percentile(times, 95):6.2f}'
        )


if __name__ == '__main__':
    main()
