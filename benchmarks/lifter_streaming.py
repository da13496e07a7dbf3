# SPDX-License-Identifier: Apache-2.0
"""A new frame for a lifter: streaming against windows, runtimes and precisions side by side.

Full-size networks with random weights, which cost what trained ones cost. Needs PyTorch to make
them (`pip install "pose3d_ros[convert,onnxruntime]"`):

    python benchmarks/lifter_streaming.py [--rounds 5] [--threads 2]
    python benchmarks/lifter_streaming.py --motionbert
    python benchmarks/lifter_streaming.py --models

Errors are against windows in OpenVINO f32, of the largest coordinate. `step of n` takes n new
frames of each person at once (`lifter.frames_per_step`); its time is reported per frame.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pose3d_ros.backends import Network, NetworkSpec, Port, RuntimeOptions, load_network
from pose3d_ros.errors import BackendError
from pose3d_ros.estimators.lifter.models import step_ports
from pose3d_ros.estimators.lifter.streaming import Streaming
from pose3d_ros.tools.convert.export import convert

KERNELS, WIDTH, FIELD = (3,) * 5, 1024, 243
RUNTIMES = (
    ('openvino', 'f32'), ('openvino', 'bf16'), ('openvino', 'int8'), ('onnxruntime', 'f32')
)  # fmt: skip
FAMILIES = (
    ('simplebaseline3d', 1, 16), ('videopose3d_1', 1, 17), ('videopose3d_27', 27, 17),
    ('videopose3d_27_semi', 27, 17), ('videopose3d_81', 81, 17), ('videopose3d_243', FIELD, 17),
)  # fmt: skip
COMPARED = 40  # frames of a clip that errors are taken over


@dataclass
class Job:
    """What is timed. frames: that one run serves. error: against windows in f32."""

    run: Callable[[], object]
    frames: int = 1
    error: float = float('nan')
    ms: list[float] = field(default_factory=list)

    @property
    def per_frame(self) -> float:
        """Median milliseconds."""
        return float(np.median(self.ms)) / self.frames


def multiply_adds(step: bool) -> float:
    """Millions per new frame of VideoPose3D with 243 frames."""
    columns = [1] * 5 if step else [81, 27, 9, 3, 1]
    total = columns[0] * 34 * 3 * WIDTH + WIDTH * 51
    total += sum(n * (3 * WIDTH * WIDTH + WIDTH * WIDTH) for n in columns[1:])
    return total / 1e6


def loaded(
    path: Path, inputs: Mapping[str, Port], outputs: Mapping[str, Port], runtime: tuple[str, str],
    threads: int,
) -> Network:  # fmt: skip
    """A converted network in a runtime and precision."""
    backend, precision = runtime
    options = RuntimeOptions(
        device='CPU' if backend == 'openvino' else 'cpu', precision=precision, threads=threads,
        allow_random_weights=True,
    )  # fmt: skip
    return load_network(NetworkSpec(path, inputs, outputs), options, backend)


def reading(megabytes: float, threads: int) -> Callable[[], object]:
    """Reads that much memory once, and does next to nothing with it."""
    parts = np.array_split(np.ones(round(megabytes * 1e6 / 4), np.float32), threads)
    pool = ThreadPoolExecutor(threads)
    return lambda: list(pool.map(np.max, parts))


def videopose3d(root: Path, threads: int, counts: list[int]) -> dict[str, Job]:
    """Windows and steps, for one person and five."""
    for family in ('videopose3d_243', 'videopose3d_243_step'):
        convert(family, None, root / family, seed=1, formats=('onnx',))
    rng = np.random.default_rng(0)
    # People who move, in the units of the network: their joints are about 0.3 wide.
    walk = np.cumsum(rng.normal(0, 0.01, (5, COMPARED, 34)), axis=1) + rng.normal(
        0, 0.3, (5, 1, 34)
    )
    clips = walk.astype(np.float32)
    at = np.maximum(np.arange(COMPARED)[:, None] - np.arange(FIELD)[::-1], 0)
    windows = clips[0][at].transpose(0, 2, 1).copy()
    jobs = {'reading 67.8 MB, the weights': Job(reading(67.8, threads))}
    truth: Any = None
    for runtime in RUNTIMES:
        label = ' '.join(runtime)
        try:
            inputs = {'window': Port((None, 34, FIELD), 'window')}
            outputs = {'joints': Port((None, 51), 'joints')}
            net = loaded(root / 'videopose3d_243.onnx', inputs, outputs, runtime, threads)
        except BackendError as error:
            print(f'{label}: {error}')
            continue
        said = np.concatenate([net({'window': w[None]})['joints'] for w in windows])
        truth = said if truth is None else truth
        for people in (1, 5):
            run = partial(net, {'window': windows[:people]})
            jobs[f'window, {people} people, {label}'] = Job(run, 1, error_of(said, truth))
        for count in counts:
            ports = step_ports(KERNELS, count, 1)
            step = loaded(root / 'videopose3d_243_step.onnx', *ports, runtime, threads)
            streaming = Streaming(step, KERNELS, WIDTH, 1, count)
            stream = streaming.start(clips[0, 0])
            parts = [
                streaming.advance([stream], clips[:1, k : k + count])['joints'][0].copy()
                for k in range(0, COMPARED - count + 1, count)
            ]
            found = np.concatenate(parts)
            error = error_of(found, truth[: len(found)])
            for people in (1, 5):
                streams = [streaming.start(clip[0]) for clip in clips[:people]]
                fed = clips[:people, :count]
                name = f'step of {count}, {people} people, {label}'
                jobs[name] = Job(partial(streaming.advance, streams, fed), count, error)
    return jobs


def error_of(found: Any, truth: Any) -> float:
    """Largest difference, of the largest coordinate."""
    return float(np.abs(found - truth).max() / np.abs(truth).max())


def models(root: Path, threads: int) -> dict[str, Job]:
    """One window of each convolution network."""
    jobs: dict[str, Job] = {}
    rng = np.random.default_rng(0)
    for family, frames, joints in FAMILIES:
        convert(family, None, root / family, seed=1, formats=('onnx',))
        window = rng.normal(0, 0.3, (1, 34, frames)).astype(np.float32)
        outputs = {'joints': Port((None, 3 * joints), 'joints')}
        if family.endswith('semi'):
            outputs['root'] = Port((None, 3), 'root')
        truth: Any = None
        for runtime in RUNTIMES:
            try:
                inputs = {'window': Port((None, 34, frames), 'window')}
                net = loaded(root / f'{family}.onnx', inputs, outputs, runtime, threads)
            except BackendError as error:
                print(f'{" ".join(runtime)}: {error}')
                continue
            said = net({'window': window})['joints']
            truth = said if truth is None else truth
            run = partial(net, {'window': window})
            jobs[f'{family}, {" ".join(runtime)}'] = Job(run, 1, error_of(said, truth))
    return jobs


def motionbert(root: Path, threads: int) -> dict[str, Job]:
    """Windows of 243 frames."""
    convert('motionbert', None, root / 'motionbert', seed=1, formats=('onnx',))
    clip = np.random.default_rng(0).normal(0, 0.4, (1, FIELD, 17, 3)).astype(np.float32)
    jobs: dict[str, Job] = {}
    truth: Any = None
    for runtime in RUNTIMES:
        try:
            port = {k: Port((None, None, 17, 3), k) for k in ('window', 'joints')}
            inputs, outputs = {'window': port['window']}, {'joints': port['joints']}
            net = loaded(root / 'motionbert.onnx', inputs, outputs, runtime, threads)
        except BackendError as error:
            print(f'{" ".join(runtime)}: {error}')
            continue
        said = net({'window': clip})['joints']
        truth = said if truth is None else truth
        name = f'MotionBERT, one window, {" ".join(runtime)}'
        jobs[name] = Job(partial(net, {'window': clip}), 1, error_of(said, truth))
    return jobs


def measure(jobs: Mapping[str, Job], rounds: int, runs: int) -> None:
    """Time all jobs in interleaved rounds."""
    for _, job in itertools.product(range(rounds), jobs.values()):
        job.run()
        for _ in range(runs):
            start = time.perf_counter()
            job.run()
            job.ms.append(1e3 * (time.perf_counter() - start))


def report(jobs: Mapping[str, Job], counts: list[int]) -> None:
    """Ratios between the medians of one run."""
    times = {name: job.per_frame for name, job in jobs.items()}
    windows = {n: v for n, v in times.items() if n.startswith('window, 1 ')}
    best = min(windows, key=lambda name: windows[name])
    print(f'multiply-adds per frame: {multiply_adds(True):.1f} M streaming, '
          f'{multiply_adds(False):.0f} M windowed')  # fmt: skip
    print(f'cheapest window: {windows[best]:.2f} ms ({best})')
    print('one person: a window of the same runtime and precision, the cheapest window in f32, '
          'and the cheapest of all cost so many times a frame of the stream')  # fmt: skip
    exact = min(v for n, v in windows.items() if n.endswith('f32'))
    for runtime, count in itertools.product(RUNTIMES, counts):
        label = ' '.join(runtime)
        one = times.get(f'step of {count}, 1 people, {label}')
        if one is not None:
            five = times[f'step of {count}, 5 people, {label}']
            same = windows[f'window, 1 people, {label}'] / one
            print(
                f'  {label:16s} step of {count:2d}: {same:5.1f}, {exact / one:5.1f}, '
                f'{windows[best] / one:5.1f}; five people cost {five / one:.2f} times one'
            )


def main() -> None:
    """Measure in interleaved rounds; print the median of each."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--runs', type=int, default=12, help='in each round')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--frames-per-step', type=int, nargs='+', default=[1, 5, 10])
    parser.add_argument('--motionbert', action='store_true', help='243 frames, in its stead; slow')
    parser.add_argument('--models', action='store_true', help='windows of all networks')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if args.motionbert:
            jobs = motionbert(Path(folder), args.threads)
            measure(jobs, args.rounds, 1)
        elif args.models:
            jobs = models(Path(folder), args.threads)
            measure(jobs, args.rounds, args.runs)
        else:
            jobs = videopose3d(Path(folder), args.threads, args.frames_per_step)
            measure(jobs, args.rounds, args.runs)
    for name, job in jobs.items():
        low, high = np.percentile(job.ms, (10, 90)) / job.frames
        print(f'{name:44s} {job.per_frame:9.2f} ms per frame (10 to 90 %: {low:.2f} to '
              f'{high:.2f}), error {job.error:.1e}')  # fmt: skip
        if args.motionbert:
            each = ', '.join(f'{s}: {job.per_frame / s:.1f}' for s in (5, 15, 50, 122))
            print(f'  ms per output frame with lifter.stride of {each}')
    if not (args.motionbert or args.models):
        report(jobs, args.frames_per_step)


if __name__ == '__main__':
    main()
