# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pose3d_ros.estimators.lifter.streaming import Streaming, past_columns

KERNELS, WIDTH = (3, 3, 3), 16


def networks(causal: bool, trajectory: bool) -> tuple[Any, Any, list[str]]:
    """A whole network, its step as a function of arrays, and the names of its outputs."""
    torch = pytest.importorskip('torch')
    from pose3d_ros.tools.families.temporal import Lifter, StepLifter

    torch.manual_seed(0)
    whole = Lifter(34, WIDTH, KERNELS, 51, trajectory, causal).eval().requires_grad_(False)
    step = StepLifter(34, WIDTH, KERNELS, 51, trajectory, causal).eval().requires_grad_(False)
    step.load_state_dict(whole.state_dict())
    bodies = 2 if trajectory else 1
    names = ['joints', *['root'][: bodies - 1], *(f'new_{k}' for k in range(2 * bodies))]

    def run(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        order = ['frames', *(f'past_{k}' for k in range(2 * bodies))]
        out = step(*(torch.from_numpy(np.ascontiguousarray(inputs[k])) for k in order))
        return {name: y.numpy() for name, y in zip(names, out)}

    return whole, run, names


@pytest.mark.parametrize('count', [1, 2, 3, 5, 10, 25])
@pytest.mark.parametrize(('causal', 'trajectory'), [(False, False), (True, False), (False, True)])
def test_a_stream_equals_windows(causal: bool, trajectory: bool, count: int) -> None:
    """However many frames a step takes: less than, as many as, more than the dilations."""
    torch = pytest.importorskip('torch')
    whole, run, names = networks(causal, trajectory)
    streaming = Streaming(run, KERNELS, WIDTH, 2 if trajectory else 1, count)
    clip = np.random.default_rng(0).normal(size=(2, 50, 34)).astype(np.float32)
    streams = [streaming.start(person[0]) for person in clip]
    for first in range(0, 50 - count + 1, count):
        found = streaming.advance(streams, clip[:, first : first + count])
        for column in range(count):
            frames = np.maximum(np.arange(first + column - 26, first + column + 1), 0)
            window = torch.from_numpy(np.ascontiguousarray(clip[:, frames].transpose(0, 2, 1)))
            wanted = whole(window)
            for name, y in zip(names, wanted if trajectory else (wanted,)):
                np.testing.assert_allclose(found[name][:, column], y.numpy(), atol=1e-5)


def test_a_copy_goes_its_own_way() -> None:
    _, run, _ = networks(causal=False, trajectory=False)
    streaming = Streaming(run, KERNELS, WIDTH, frames=2)
    clip = np.random.default_rng(0).normal(size=(4, 34)).astype(np.float32)
    stream = streaming.start(clip[0])
    streaming.advance([stream], clip[None, :2])
    other = stream.copy()
    streaming.advance([other], 7 * clip[None, 2:])
    after = streaming.advance([stream], clip[None, 2:])['joints']
    again = streaming.start(clip[0])
    streaming.advance([again], clip[None, :2])
    np.testing.assert_array_equal(after, streaming.advance([again], clip[None, 2:])['joints'])


def test_older_columns_that_a_step_wants() -> None:
    assert past_columns((3, 3, 3, 3, 3), 1) == [2, 2, 2, 2]
    assert past_columns((3, 3, 3, 3, 3), 10) == [6, 18, 20, 20]
