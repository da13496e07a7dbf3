# SPDX-License-Identifier: Apache-2.0
"""Networks that keep their activations, for the people of one camera, on one grid of time."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ...types import Array
from .history import History
from .models import Lifted, TemporalConvolution, View
from .streaming import Stream, Streaming

# Of a frame period: frames this close to a point of the grid are on it.
TOLERANCE = 0.2


@dataclass(frozen=True)
class _Output:
    """What the network said of a time. joints (3 J,), root (3,) or None."""

    stamp_ns: int
    joints: Array
    root: Array | None

    def to(self, other: _Output, share: float) -> _Output:
        """In between."""
        root = None
        if self.root is not None and other.root is not None:
            root = (1 - share) * self.root + share * other.root
        return _Output(0, (1 - share) * self.joints + share * other.joints, root)


@dataclass(eq=False)
class Run:
    """A person's stream. step: number of the next one; outputs: by time."""

    stream: Stream
    step: int
    outputs: deque[_Output] = field(default_factory=lambda: deque(maxlen=256))
    ahead: Run | None = None
    """The same as if the person stood still from now on, for frames after they were last seen."""


class Streams:
    """Advances the streams of many people together.

    Points of the grid are one period apart, from the first frame of the camera on; every n of
    them make a step, for everybody at the same time, so that weights are read once for all.
    """

    def __init__(self, step: TemporalConvolution, frames: int, period_ns: int, lag: int) -> None:
        """lag: frames between the newest of a window and the one that its output belongs to."""
        kernels = step.kind.kernels
        self.frames, self._step, self._period = frames, step, period_ns
        self.lag_ns = lag * period_ns
        self._near = round(TOLERANCE * period_ns)
        self._streaming = Streaming(step.network, kernels, step.width, step.bodies, frames)

    def newest(self, origin_ns: int, now_ns: int) -> int:
        """The time up to which everything is computed, origin: of the grid."""
        length = self.frames * self._period
        return (now_ns + self._near - origin_ns + self._period) // length * length + (
            origin_ns - self._period
        )

    def advance(self, people: Sequence[tuple[History, Run | None]], origin_ns: int) -> list[Run]:
        """Each person's stream as far as they were seen; new ones begin."""
        runs = [run or self._start(history, origin_ns) for history, run in people]
        while True:
            ready = [
                (history, run)
                for (history, _), run in zip(people, runs)
                if self._end(run, origin_ns) <= history.last_ns + self._near
            ]
            if not ready:
                return runs
            self._advance(ready, origin_ns)
            for _, run in ready:
                run.ahead = None

    def at(self, history: History, run: Run, stamp_ns: int, origin_ns: int, view: View) -> Lifted:
        """What the network says of a time, between two of its outputs."""
        wanted = stamp_ns - self._near
        end = run
        causal = self.lag_ns == 0 and self.frames == 1
        if not causal and not (run.outputs and run.outputs[-1].stamp_ns >= wanted):
            # Not seen since: windows repeat the last frame, and so does a copy of the stream. The
            # stream itself waits, because the person may be back in a moment.
            if run.ahead is None:
                run.ahead = Run(run.stream.copy(), run.step, run.outputs.copy())
            end = run.ahead
            while not (end.outputs and end.outputs[-1].stamp_ns >= wanted):
                self._advance([(history, end)], origin_ns)
        outputs = end.outputs
        before = [item for item in outputs if item.stamp_ns <= stamp_ns]
        after = [item for item in outputs if item.stamp_ns >= stamp_ns]
        if not before or not after:
            output = min(outputs, key=lambda item: abs(item.stamp_ns - stamp_ns))
        else:
            a, b = before[-1], after[0]
            share = (stamp_ns - a.stamp_ns) / max(b.stamp_ns - a.stamp_ns, 1)
            near = TOLERANCE * self._period
            if stamp_ns - a.stamp_ns <= near:
                share = 0.0
            elif b.stamp_ns - stamp_ns <= near:
                share = 1.0
            output = a.to(b, share)
        said = {'joints': output.joints[None]}
        if output.root is not None:
            said['root'] = output.root[None]
        return self._step.lifted(said, [view])[0]

    def _start(self, history: History, origin_ns: int) -> Run:
        first, _ = history.sample(np.array([history.first_ns]), 0)
        length = self.frames * self._period
        step = (history.first_ns + self._near - origin_ns) // length
        return Run(self._streaming.start(first[0].reshape(-1)), int(step))

    def _end(self, run: Run, origin_ns: int) -> int:
        """The last point of a person's next step."""
        return origin_ns + ((run.step + 1) * self.frames - 1) * self._period

    def _advance(self, ready: Sequence[tuple[History, Run]], origin_ns: int) -> None:
        back = np.arange(1 - self.frames, 1) * self._period
        times = [self._end(run, origin_ns) + back for _, run in ready]
        rows = [
            history.sample(t, self._near)[0].reshape(self.frames, -1)
            for (history, _), t in zip(ready, times)
        ]
        said = self._streaming.advance([run.stream for _, run in ready], np.stack(rows))
        for k, (_, run) in enumerate(ready):
            run.step += 1
            for column, time in enumerate(times[k]):
                root = said['root'][k, column].astype(float) if 'root' in said else None
                joints = said['joints'][k, column].astype(float)
                run.outputs.append(_Output(int(time) - self.lag_ns, joints, root))
