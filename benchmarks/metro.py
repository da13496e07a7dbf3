#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""MeTRo's speed with full-size graphs of random weights, which run as fast as trained ones.

For each graph and batch: people per second of the network alone, and of the whole estimator with
boxes given, in rounds of both; and the time to make the crops of eight people in 1280x720.

python benchmarks/metro.py --strides 32,16 --precisions f32,bf16
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from pose3d_ros.camera import Camera
from pose3d_ros.estimators.metro import Estimator
from pose3d_ros.networks import metro as parts
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.types import Array, Frame

sys.path.append(str(Path(__file__).parents[1] / 'test'))

from support.metro_graph import MetroGraph, write_graph

_FEWEST = 5
SIZE = (1280, 720)
CAMERA = Camera(K=np.array([[900.0, 0, 640], [0, 900, 360], [0, 0, 1]]), size=SIZE)
BARREL = Camera(K=CAMERA.K, size=SIZE, model='plumb_bob', D=np.array([-0.2, 0.05, 0, 0, 0]))


def frame(count: int, camera: Camera) -> Frame:
    """A picture with so many boxes of people, next to each other."""
    image = np.random.default_rng(0).integers(0, 255, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    boxes = np.array([[20 + k * 150.0, 60 + 20 * k, 170, 480, 0.9] for k in range(count)])
    return Frame(image, camera=camera, boxes=boxes)


def load(graph: Path, args: argparse.Namespace, precision: str) -> Estimator:
    """The estimator without detector and 2D network."""
    options = {'detector': 'topic', 'keypoints': 'none', 'follow': False}
    return Estimator(
        PipelineConfig(
            estimator='metro', model=str(graph), precision=precision, threads=args.threads,
            allow_random_weights=True, max_people=100, min_score=0.0, options=options,
        )
    )  # fmt: skip


def rates(estimator: Estimator, count: int, seconds: float) -> tuple[Array, Array]:
    """Seconds per call of the network and of the estimator, (rounds, 2) each.

    A round is network, estimator, estimator, network: what drifts meets both alike.
    """
    picture = frame(count, CAMERA)
    tensor = np.random.default_rng(0).uniform(0, 1, (count, 256, 256, 3)).astype(np.float32)

    def network() -> float:
        start = time.perf_counter()
        estimator._run(tensor)
        return time.perf_counter() - start

    def whole() -> float:
        start = time.perf_counter()
        estimator.estimate([picture])
        return time.perf_counter() - start

    for _ in range(2):
        network(), whole()
    rounds = []
    end = time.perf_counter() + seconds
    while len(rounds) < _FEWEST or time.perf_counter() < end:
        first, second, third, fourth = network(), whole(), whole(), network()
        rounds.append([(first, fourth), (second, third)])
    times = np.array(rounds)
    return times[:, 0], times[:, 1]


def crops(estimator: Estimator, camera: Camera, rounds: int = 60) -> list[float]:
    """Seconds for the crops of eight people, tensor included."""
    picture = frame(8, camera)
    boxes: list[Array] = [np.asarray(picture.boxes)]
    spent = []
    for _ in range(rounds):
        start = time.perf_counter()
        estimator._tensor(estimator._crops([picture], boxes))
        spent.append(time.perf_counter() - start)
    return spent


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--strides', default='32,16')
    parser.add_argument('--precisions', default='f32,bf16')
    parser.add_argument('--batches', default='1,4,8')
    parser.add_argument('--seconds', type=float, default=4, help='for each graph and batch')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--width', type=int, default=64, help='64 is the published size')
    args = parser.parse_args()
    cv2.setNumThreads(args.threads)
    known = parts.JOINTS[19]
    print('medians; share: network / whole estimator, the median of what the rounds say')
    with tempfile.TemporaryDirectory() as folder:
        for stride in map(int, args.strides.split(',')):
            path = Path(folder) / f'rn50_st{stride}.pb'
            graph = MetroGraph(
                known.names, known.edges, known.internal, known.inside, stride=stride,
                width=args.width,
            )  # fmt: skip
            write_graph(path, graph)
            exact: Array | None = None
            for precision in args.precisions.split(','):
                estimator = load(path, args, precision)
                images = np.random.default_rng(0).uniform(0, 1, (4, 256, 256, 3))
                joints = estimator._run(images.astype(np.float32))['joints']
                exact = joints if exact is None else exact
                apart = np.linalg.norm(joints - exact, axis=2)
                print(
                    f'stride {stride} {precision}: joints moved by {apart.mean():.2f} mm on '
                    f'average, {apart.max():.1f} at most, against {args.precisions.split(",")[0]}'
                )
                for count in map(int, args.batches.split(',')):
                    network, whole = rates(estimator, count, args.seconds)
                    shares = network.sum(axis=1) / whole.sum(axis=1)
                    low, high = np.percentile(shares, (25, 75))
                    a, b = np.median(network), np.median(whole)
                    print(
                        f'  batch {count}: network {1e3 * a:6.1f} ms, whole {1e3 * b:6.1f} ms, '
                        f'share {np.median(shares):.3f} ({low:.3f} to {high:.3f} in half of '
                        f'{len(shares)} rounds; of the lowest times: '
                        f'{network.min() / whole.min():.3f}), {count / b:.1f} people/s',
                        flush=True,
                    )
        for name, camera in (('no distortion', CAMERA), ('with distortion', BARREL)):
            spent = crops(estimator, camera)
            print(
                f'crops of 8 people, {name}: median {1e3 * np.median(spent):.2f} ms, '
                f'lowest {1e3 * min(spent):.2f} ms'
            )


if __name__ == '__main__':
    main()
