# SPDX-License-Identifier: Apache-2.0
"""Temporal convolutions that keep what they computed: a new frame costs one column per layer.

The dilated form of the network, fed with one or a few new frames at a time. Each block remembers
the columns of its input that it will need again; the network itself is a plain function of the
newest frames and of those columns (see `zoo.networks`), so that any runtime computes it, for many
people at once. What a step costs is reading the network's weights: several frames in one step, or
several people, share that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Step = Callable[[Mapping[str, Array]], Mapping[str, Array]]


def past_columns(kernels: Sequence[int], frames: int) -> list[int]:
    """How many older columns a step of so many frames wants of each block."""
    return [(k - 1) * min(frames, d) for k, d in zip(kernels[1:], _dilations(kernels))]


def _dilations(kernels: Sequence[int]) -> tuple[int, ...]:
    return tuple(int(np.prod(kernels[: k + 1])) for k in range(len(kernels) - 1))


class Stream:
    """The columns of one person.

    kernels: of the stem and the blocks. bodies: networks side by side, two with a trajectory.
    frames: new ones in each step.
    """

    def __init__(
        self, kernels: Sequence[int], width: int, bodies: int = 1, frames: int = 1
    ) -> None:
        self.frames: Array = np.zeros((0, 0), np.float32)
        """(k0 - 1, 2 J) the newest but the steps' own."""
        self._count = 0
        lengths = [(k - 1) * d for k, d in zip(kernels[1:], _dilations(kernels))]
        self._rings = [np.zeros((n, width), np.float32) for n in lengths * bodies]
        self._taps = [
            np.concatenate(
                [j * d - (k - 1) * d + np.arange(min(frames, d)) for j in range(k - 1)]
            ).astype(int)
            for k, d in zip(kernels[1:], _dilations(kernels))
        ] * bodies

    def past(self, ring: int) -> Array:
        """(columns, C) that the block's kernel touches beside those of the step, oldest first."""
        buffer = self._rings[ring]
        return np.asarray(buffer[(self._count + self._taps[ring]) % len(buffer)])

    def push(self, columns: Sequence[Array]) -> None:
        """Remember the newest input columns (n, C) of every block."""
        count = len(columns[0])
        for buffer, new in zip(self._rings, columns):
            kept = min(count, len(buffer))
            at = self._count + np.arange(count - kept, count)
            buffer[at % len(buffer)] = new[count - kept :]
        self._count += count

    def fill(self, ring: int, column: Array) -> None:
        """Let the past be the same column throughout."""
        self._rings[ring][:] = column

    def copy(self) -> Stream:
        """One that goes on by itself."""
        other = object.__new__(Stream)
        other.frames, other._count, other._taps = self.frames, self._count, self._taps
        other._rings = [ring.copy() for ring in self._rings]
        return other


class Streaming:
    """Runs the step network for many people.

    step: inputs `frames` (B, k0 - 1 + n, 2 J) and `past_<k>` (B, columns, C); outputs `joints`
    (B, n, 3 J) and, by model, `root` (B, n, 3), and `new_<k>` (B, n, C).
    frames: n, how many new ones a step takes.
    """

    def __init__(
        self,
        step: Step,
        kernels: Sequence[int],
        width: int,
        bodies: int = 1,
        frames: int = 1,
    ) -> None:
        self._step, self.frames = step, frames
        self._kernels, self._width, self._bodies = tuple(kernels), width, bodies
        self._count = bodies * (len(kernels) - 1)

    def start(self, frame: Array) -> Stream:
        """A person whose past is this frame (2 J,) repeated, as windows begin."""
        stream = Stream(self._kernels, self._width, self._bodies, self.frames)
        stream.frames = np.repeat(frame.astype(np.float32)[None], self._kernels[0] - 1, axis=0)
        # Each pass makes the past of one more block right.
        for _ in self._kernels:
            out = self._run([np.repeat(frame.astype(np.float32)[None], self.frames, 0)], [stream])
            for ring in range(self._count):
                stream.fill(ring, out[f'new_{ring}'][0, 0])
        return stream

    def advance(self, streams: Sequence[Stream], frames: Array) -> Mapping[str, Array]:
        """The newest frames (B, n, 2 J) of each person in; `joints` (B, n, 3 J), and `root`, out.

        They belong to the frames half a receptive field back (to these in causal networks).
        """
        fresh = np.asarray(frames, np.float32)
        out = self._run(fresh, streams)
        for row, stream in enumerate(streams):
            stream.frames = np.concatenate([stream.frames, fresh[row]])[self.frames :]
            stream.push([out[f'new_{ring}'][row] for ring in range(self._count)])
        return out

    def _run(
        self, fresh: Sequence[Array] | Array, streams: Sequence[Stream]
    ) -> Mapping[str, Array]:
        inputs = {
            'frames': np.stack([np.concatenate([s.frames, f]) for s, f in zip(streams, fresh)])
        }
        for ring in range(self._count):
            inputs[f'past_{ring}'] = np.stack([stream.past(ring) for stream in streams])
        return self._step(inputs)
