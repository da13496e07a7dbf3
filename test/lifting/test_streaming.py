# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from pose3d_ros.lifting.streaming import Streaming


@pytest.mark.parametrize(('causal', 'trajectory'), [(False, False), (True, False), (False, True)])
def test_a_stream_equals_windows(causal: bool, trajectory: bool) -> None:
    torch = pytest.importorskip('torch')
    from pose3d_ros.zoo.networks._temporal import Lifter, StepLifter

    torch.manual_seed(0)
    kernels, width = (3, 3, 3), 16
    whole = Lifter(34, width, kernels, 51, trajectory, causal).eval().requires_grad_(False)
    step = StepLifter(34, width, kernels, 51, trajectory, causal).eval().requires_grad_(False)
    step.load_state_dict(whole.state_dict())
    bodies = 2 if trajectory else 1
    names = ['joints', *['root'][: bodies - 1], *(f'new_{k}' for k in range(2 * bodies))]

    def run(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        order = ['frames', *(f'past_{k}' for k in range(2 * bodies))]
        out = step(*(torch.from_numpy(np.ascontiguousarray(inputs[k])) for k in order))
        return {name: y.numpy() for name, y in zip(names, out)}

    streaming = Streaming(run, kernels, width, bodies)
    clip = np.random.default_rng(0).normal(size=(2, 50, 34)).astype(np.float32)
    streams = [streaming.start(person[0]) for person in clip]
    for newest in range(50):
        found = streaming.advance(streams, clip[:, newest])
        frames = np.maximum(np.arange(newest - 26, newest + 1), 0)
        window = torch.from_numpy(np.ascontiguousarray(clip[:, frames].transpose(0, 2, 1)))
        wanted = whole(window)
        for name, y in zip(names, wanted if trajectory else (wanted,)):
            np.testing.assert_allclose(found[name], y.numpy(), atol=1e-5)
