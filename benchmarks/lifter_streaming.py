# SPDX-License-Identifier: Apache-2.0
"""A new frame for a lifter: streaming against windows, runtimes and precisions side by side.

Full-size networks with random weights, which cost what trained ones cost. Needs PyTorch to make
them (`pip install "pose3d_ros[convert,onnxruntime]"`):

    python benchmarks/lifter_streaming.py [--rounds 5] [--threads 2] [--motionbert]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from pose3d_ros.backends import Network, NetworkSpec, Port, RuntimeOptions, load_network
from pose3d_ros.errors import BackendError
from pose3d_ros.lifting.streaming import Streaming
from pose3d_ros.zoo.convert import convert
from pose3d_ros.zoo.networks import load_family

KERNELS, WIDTH = (3,) * 5, 1024
RUNTIMES = (('openvino', 'f32'), ('openvino', 'bf16'), ('onnxruntime', 'f32'))


def multiply_adds(step: bool) -> float:
    """Millions per new frame of VideoPose3D with 243 frames."""
    columns = [1] * 5 if step else [81, 27, 9, 3, 1]
    total = columns[0] * 34 * 3 * WIDTH + WIDTH * 51
    total += sum(n * (3 * WIDTH * WIDTH + WIDTH * WIDTH) for n in columns[1:])
    return total / 1e6


def loaded(path: Path, family: str, backend: str, precision: str, threads: int) -> Network:
    """A converted network in a runtime."""
    kind = load_family(family)
    ranks = {'window': 4 if family == 'motionbert' else 3, 'frames': 3}
    outputs = {n: Port((None,) * (4 if family == 'motionbert' else 2), n) for n in kind.outputs}
    spec = NetworkSpec(path, {n: Port((None,) * ranks.get(n, 3), n) for n in kind.inputs}, outputs)
    options = RuntimeOptions(
        device='CPU' if backend == 'openvino' else 'cpu', precision=precision, threads=threads,
        allow_random_weights=True,
    )  # fmt: skip
    return load_network(spec, options, backend)


def main() -> None:
    """Measure in interleaved rounds; print the median of each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--runs', type=int, default=20, help='in each round')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--motionbert', action='store_true', help='243 frames, slow')
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    jobs: dict[str, Callable[[], object]] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        families = ['videopose3d_243', 'videopose3d_243_step']
        families += ['motionbert'] * args.motionbert
        for family in families:
            convert(family, None, root / family, seed=1, formats=('onnx',))
        for backend, precision in RUNTIMES:
            label = f'{backend} {precision}'
            try:
                nets = {
                    f: loaded(root / f'{f}.onnx', f, backend, precision, args.threads)
                    for f in families
                }
            except BackendError as error:
                print(f'{label}: {error}')
                continue
            for people in (1, 5):
                window = rng.normal(0, 0.3, (people, 34, 243)).astype(np.float32)
                net = nets['videopose3d_243']
                jobs[f'window, {people} people, {label}'] = partial(net, {'window': window})
                streaming = Streaming(nets['videopose3d_243_step'], KERNELS, WIDTH)
                streams = [streaming.start(row[:, 0]) for row in window]
                frame = window[:, :, -1]
                name = f'stream, {people} people, {label}'
                jobs[name] = partial(streaming.advance, streams, frame)
            if args.motionbert:
                clip = rng.normal(0, 0.4, (1, 243, 17, 3)).astype(np.float32)
                jobs[f'MotionBERT, one window, {label}'] = partial(
                    nets['motionbert'], {'window': clip}
                )
        times: dict[str, list[float]] = {name: [] for name in jobs}
        for _ in range(args.rounds):
            for name, job in jobs.items():
                job()
                for _ in range(2 if 'MotionBERT' in name else args.runs):
                    start = time.perf_counter()
                    job()
                    times[name].append(1e3 * (time.perf_counter() - start))
    for name, values in times.items():
        print(f'{name:42s} {np.median(values):9.2f} ms')
        if 'MotionBERT' in name:
            for stride in (1, 5, 15):
                each = np.median(values) / stride
                print(f'  per output frame with lifter.stride={stride}: {each:.1f} ms')
    medians = {name: float(np.median(values)) for name, values in times.items()}
    cheapest = {
        kind: min(v for n, v in medians.items() if n.startswith(kind))
        for kind in ('window, 1', 'stream, 1', 'stream, 5')
    }
    sums = multiply_adds(True), multiply_adds(False)
    print(f'multiply-adds: {sums[0]:.1f} M streaming, {sums[1]:.0f} M windowed')
    print(f'streaming is {cheapest["window, 1"] / cheapest["stream, 1"]:.1f} times cheaper')
    print(f'five people cost {cheapest["stream, 5"] / cheapest["stream, 1"]:.2f} times one')


if __name__ == '__main__':
    main()
