#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Frames per second of pose3d_ros (BlazePose) and of MediaPipe 0.10.21's own pipeline.

Both get the same 640x480 BGR frames out of memory, and 2 CPU cores. Two processes take turns, round
by round, so that a machine that gets slower slows down both. All stages count, from the BGR frame
to the smoothed result; for MediaPipe that includes the conversion to RGB.

    python benchmarks/compare_mediapipe.py

MediaPipe gets a virtual environment of its own, made on the first run (needs Python 3.9 to 3.12 and
a network once).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MEDIAPIPE = 'mediapipe==0.10.21'
WARM_UP_FRAMES = 10
OURS = ('auto', 'f32')


def main() -> int:
    """Compare, and print the ratio of each round and the median."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--rounds', type=int, default=7, help='(default: 7)')
    parser.add_argument('--cores', type=int, default=2, help='CPU cores for each (default: 2)')
    parser.add_argument('--clip', default='jump', help='clip with one person (default: jump)')
    parser.add_argument('--data', default='', help='folder of clips (default: as pose3d evaluate)')
    parser.add_argument('--max-people', type=int, default=5, help='of pose3d_ros (default: 5)')
    parser.add_argument('--python', default='', help='Python 3.9 to 3.12 for MediaPipe')
    parser.add_argument('--environment', default='', help='folder of its virtual environment')
    parser.add_argument('--json', default='', help='write the numbers into this file')
    parser.add_argument('--worker', nargs=2, metavar=('KIND', 'FRAMES'), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return work(*args.worker, cores=args.cores, max_people=args.max_people)
    return compare(args)


def compare(args: argparse.Namespace) -> int:
    """Start the workers, let them take turns."""
    import numpy as np

    from pose3d_ros.cli.loading import make_pipeline
    from pose3d_ros.settings.pipeline import PipelineConfig
    from pose3d_ros.tools.benchmark import machine
    from pose3d_ros.tools.evaluate import find_clips

    theirs = mediapipe_python(args)
    make_pipeline(PipelineConfig())  # fetches the model if need be
    (clip,) = find_clips(args.data, [args.clip])
    names = ['mediapipe', *OURS]
    with tempfile.TemporaryDirectory() as folder:
        frames = Path(folder) / 'frames.npz'
        images = np.stack([frame.image for frame in clip.frames()])
        np.savez(frames, images=images, K=clip.camera.K)
        workers = {
            name: start(theirs if name == 'mediapipe' else sys.executable, name, frames, args)
            for name in names
        }
        try:
            about = {name: ask(worker) for name, worker in workers.items()}
            rounds = []
            for number in range(args.rounds):
                rounds.append({name: ask(worker, 'go') for name, worker in workers.items()})
                fps = '  '.join(f'{name} {rounds[-1][name]["fps"]:.1f}' for name in names)
                print(f'round {number + 1}: frames/s  {fps}', flush=True)
        finally:
            for worker in workers.values():
                worker.stdin.close()
                worker.wait(timeout=30)
    here = machine()
    print(f'\n{here["cpu"]}, {args.cores} cores each, load {here["load"]}; clip {clip.name}')
    print(f'mediapipe: {about["mediapipe"]["about"]}')
    for name in OURS:
        ratios = [turn[name]['fps'] / turn['mediapipe']['fps'] for turn in rounds]
        frames = [turn['mediapipe']['median_ms'] / turn[name]['median_ms'] for turn in rounds]
        each = ' '.join(f'{ratio:.2f}' for ratio in ratios)
        print(
            f'pose3d_ros {name} ({about[name]["about"]}): {statistics.median(ratios):.2f} times '
            f'the frames per second of MediaPipe (median; rounds: {each}); '
            f'{statistics.median(frames):.2f} times by the median frame, which load disturbs less'
        )
    if args.json:
        content = {'machine': here, 'cores': args.cores, 'about': about, 'rounds': rounds}
        Path(args.json).write_text(json.dumps(content, indent=1) + '\n')
    return 0


def mediapipe_python(args: argparse.Namespace) -> str:
    """Python of the environment that holds MediaPipe; made if it is not there."""
    import platformdirs

    folder = Path(args.environment or platformdirs.user_cache_path('pose3d_ros') / MEDIAPIPE)
    python = folder / 'bin' / 'python'
    check = [str(python), '-c', 'import mediapipe']
    if python.exists() and not subprocess.run(check, capture_output=True, check=False).returncode:
        return str(python)
    print(f'making an environment with {MEDIAPIPE} in {folder}', file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([suitable_python(args.python), '-m', 'venv', str(folder)], check=True)
    install = [str(python), '-m', 'pip', 'install', '--disable-pip-version-check', '-q', MEDIAPIPE]
    subprocess.run(install, check=True)
    return str(python)


def suitable_python(named: str) -> str:
    """A Python that MediaPipe 0.10.21 has wheels for."""
    candidates = [named] if named else [sys.executable, 'python3.11', 'python3.12', 'python3.10']
    for candidate in candidates:
        found = shutil.which(candidate)
        code = 'import sys, venv; sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, 12))'
        if found and not subprocess.run([found, '-c', code], capture_output=True).returncode:
            return found
    raise SystemExit(f'{MEDIAPIPE} needs Python 3.9 to 3.12 with venv; name one with --python')


def start(python: str, kind: str, frames: Path, args: argparse.Namespace) -> subprocess.Popen:
    """Start a worker process."""
    command = [python, str(Path(__file__).resolve()), '--worker', kind, str(frames)]
    command += ['--cores', str(args.cores), '--max-people', str(args.max_people)]
    root = str(Path(__file__).resolve().parents[1])
    environment = {**os.environ, 'GLOG_minloglevel': '2', 'TF_CPP_MIN_LOG_LEVEL': '3'}
    if kind != 'mediapipe':
        environment['PYTHONPATH'] = os.pathsep.join(
            [root, *filter(None, [os.environ.get('PYTHONPATH')])]
        )
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if kind == 'mediapipe' else None,
        text=True,
        env=environment,
    )


def ask(worker: subprocess.Popen, line: str = '') -> dict:
    """Send a line, unless empty, and return the answer."""
    if line:
        print(line, file=worker.stdin, flush=True)
    answer = worker.stdout.readline()
    if not answer:
        raise SystemExit(f'a worker ended early with code {worker.wait()}')
    return json.loads(answer)


def work(kind: str, path: str, cores: int, max_people: int) -> int:
    """Process all frames each time that a line comes in; runs in both environments."""
    import numpy as np

    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    with np.load(path) as data:
        images, K = list(data['images']), data['K']
    make = mediapipe_worker if kind == 'mediapipe' else pose3d_worker
    about, reset, process = make(kind, cores, max_people, K)
    once(images, reset, process)
    print(json.dumps({'about': about}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(once(images, reset, process)), flush=True)
    return 0


def once(images: list, reset, process) -> dict:
    """Frames per second, and milliseconds of the median frame, of all frames but the first few."""
    reset()
    times = []
    for index, image in enumerate(images):
        start = time.perf_counter()
        found = process(index, image)
        times.append(time.perf_counter() - start)
        if not found:
            raise SystemExit(f'nobody found in frame {index}')
    counted = times[WARM_UP_FRAMES:]
    return {'fps': len(counted) / sum(counted), 'median_ms': 1e3 * statistics.median(counted)}


def mediapipe_worker(kind: str, cores: int, max_people: int, K):
    """MediaPipe's own pipeline: the full model, video mode, smoothing on."""
    import cv2
    import mediapipe

    cv2.setNumThreads(cores)
    pose = mediapipe.solutions.pose.Pose(
        static_image_mode=False, model_complexity=1, smooth_landmarks=True
    )

    def process(index: int, image) -> bool:
        result = pose.process(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        return result.pose_world_landmarks is not None

    return f'{mediapipe.__version__}, mp.solutions.pose, complexity 1, video', pose.reset, process


def pose3d_worker(precision: str, cores: int, max_people: int, K):
    """Our pipeline with its default settings: tracking, smoothing, absolute placement."""
    import cv2

    from pose3d_ros.camera import Camera
    from pose3d_ros.pipeline import Pipeline
    from pose3d_ros.settings.pipeline import PipelineConfig
    from pose3d_ros.types import Frame

    cv2.setNumThreads(cores)
    config = PipelineConfig(precision=precision, threads=cores, max_people=max_people)
    pipeline = Pipeline(config)
    camera = Camera(K=K, size=(640, 480))

    def process(index: int, image) -> bool:
        frame = Frame(image, round(index * 1e9 / 30), 'camera', camera)
        return bool(pipeline.process(frame).people)

    info = pipeline.info
    return f'{info.backend} {info.device} {info.precision}', pipeline.reset, process


if __name__ == '__main__':
    sys.exit(main())
