# SPDX-License-Identifier: Apache-2.0
"""Networks on a machine that is busy with something else: threads tied to cores, free, and one.

Rounds are interleaved, so that the ratios hold whatever else the machine does.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time

import numpy as np
import openvino as ov

from pose3d_ros.zoo import find_model

WAYS = {
    'tied to cores': {'ENABLE_CPU_PINNING': True},
    'free': {'ENABLE_CPU_PINNING': False},
    'free, one thread': {'ENABLE_CPU_PINNING': False, 'INFERENCE_NUM_THREADS': 1},
}


def burn() -> None:
    """Keep a core busy."""
    while True:
        pass


def compiled(path: str, kind: type, way: dict[str, object]) -> tuple[ov.InferRequest, np.ndarray]:
    """A network that takes (1, 256, 256, 3), and an image for it."""
    core = ov.Core()
    model = core.read_model(path)
    model.reshape({model.inputs[0]: ov.PartialShape([1, 256, 256, 3])})
    settings = {'PERFORMANCE_HINT': 'LATENCY', 'INFERENCE_PRECISION_HINT': 'f32', **way}
    image = np.random.default_rng(0).integers(0, 255, (1, 256, 256, 3)).astype(kind)
    request = core.compile_model(model, 'CPU', settings).create_infer_request()
    request.infer({0: image})
    return request, image


def main() -> None:
    """Print medians and 90th percentiles in milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--busy', type=int, default=2 * (os.cpu_count() or 1), metavar='PROCESSES')
    parser.add_argument('--rounds', type=int, default=15)
    args = parser.parse_args()
    files = {
        'finder': (str(find_model('movenet_multipose').files['network']), np.int32),
        'landmarks': (str(find_model('blazepose', 'landmarks').files['landmarks']), np.float32),
    }
    requests = {
        (name, how): compiled(path, kind, way)
        for name, (path, kind) in files.items()
        for how, way in WAYS.items()
    }
    others = [multiprocessing.Process(target=burn, daemon=True) for _ in range(args.busy)]
    for other in others:
        other.start()
    times: dict[tuple[str, str], list[float]] = {key: [] for key in requests}
    for _ in range(args.rounds):
        for key, (request, image) in requests.items():
            start = time.perf_counter()
            request.infer({0: image})
            times[key].append((time.perf_counter() - start) * 1e3)
    for other in others:
        other.kill()
    print(f'{args.busy} busy processes, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}')
    for (name, how), spent in times.items():
        print(f'{name:10} {how:17} {np.median(spent):7.0f} {np.quantile(spent, 0.9):7.0f}')


if __name__ == '__main__':
    main()
