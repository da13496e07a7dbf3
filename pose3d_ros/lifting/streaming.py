# SPDX-License-Identifier: Apache-2.0
"""Temporal convolutions that keep what they computed: a new frame costs one column per layer.

The dilated form of the network, fed frame by frame. Each block remembers the columns of its input
that it will need again; the network itself is a plain function of the newest frames and of those
columns (see `zoo.networks`), so that any runtime computes it, for many people at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Step = Callable[[Mapping[str, Array]], Mapping[str, Array]]


class Stream:
    """The columns of one person.

    kernels: of the stem and the blocks. bodies: networks side by side, two with a trajectory.
    """

    def __init__(self, kernels: Sequence[int], width: int, bodies: int = 1) -> None:
        self.frames: Array = np.zeros(0, np.float32)
        self.count = 0
        self._kernels = tuple(kernels[1:])
        self._dilations = tuple(int(np.prod(kernels[: k + 1])) for k in range(len(kernels) - 1))
        self._rings = [
            np.zeros(((kernel - 1) * dilation, width), np.float32)
            for _ in range(bodies)
            for kernel, dilation in zip(self._kernels, self._dilations)
        ]

    def past(self, ring: int) -> Array:
        """(C, k - 1) columns that the block's kernel touches beside the newest, oldest first."""
        block = ring % len(self._kernels)
        kernel, dilation = self._kernels[block], self._dilations[block]
        length = (kernel - 1) * dilation
        at = [(self.count - k * dilation) % length for k in range(kernel - 1, 0, -1)]
        return self._rings[ring][at].T

    def push(self, ring: int, column: Array) -> None:
        """Remember the newest input column (C,) of a block."""
        buffer = self._rings[ring]
        if len(buffer):
            buffer[self.count % len(buffer)] = column

    def fill(self, ring: int, column: Array) -> None:
        """Let the past be the same column throughout."""
        self._rings[ring][:] = column


class Streaming:
    """Runs the step network for many people.

    step: inputs `frames` (B, 2 J, k0) and `past_<k>` (B, C, kernel - 1); outputs `joints` and, by
    model, `root`, and `new_<k>` (B, C).
    """

    def __init__(self, step: Step, kernels: Sequence[int], width: int, bodies: int = 1) -> None:
        self._step = step
        self._kernels, self._width, self._bodies = tuple(kernels), width, bodies
        self._count = bodies * (len(kernels) - 1)

    def start(self, frame: Array) -> Stream:
        """A person whose past is this frame (2 J,) repeated, as windows begin."""
        stream = Stream(self._kernels, self._width, self._bodies)
        stream.frames = np.repeat(frame.astype(np.float32)[:, None], self._kernels[0], axis=1)
        # Each pass makes the past of one more block right.
        for _ in self._kernels:
            out = self._run([stream])
            for ring in range(self._count):
                stream.fill(ring, out[f'new_{ring}'][0])
        return stream

    def advance(self, streams: Sequence[Stream], frames: Array) -> Mapping[str, Array]:
        """The newest frame (B, 2 J) of each person in; `joints` (B, 3 J), and `root`, out.

        They belong to the frame half a receptive field back (to the newest in causal networks).
        """
        for stream, frame in zip(streams, frames):
            stream.frames = np.concatenate(
                [stream.frames[:, 1:], frame.astype(np.float32)[:, None]], axis=1
            )
        out = self._run(streams)
        for row, stream in enumerate(streams):
            for ring in range(self._count):
                stream.push(ring, out[f'new_{ring}'][row])
            stream.count += 1
        return out

    def _run(self, streams: Sequence[Stream]) -> Mapping[str, Array]:
        inputs = {'frames': np.stack([stream.frames for stream in streams])}
        for ring in range(self._count):
            inputs[f'past_{ring}'] = np.stack([stream.past(ring) for stream in streams])
        return self._step(inputs)
