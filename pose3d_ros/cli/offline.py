# SPDX-License-Identifier: Apache-2.0
"""Frames of a source through the pipeline into writers, with the time that each stage takes."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..outputs import Writer
from ..pipeline import Pipeline
from ..sources import Source
from ..types import Frame, FrameResult, Pose3D

Progress = Callable[[Iterable[Frame]], Iterable[Frame]]


@dataclass
class Stage:
    """Milliseconds of one stage: of all frames in total, and of the last ones in which it ran.

    A run may go on for days, so single values are not kept for ever.
    """

    total: float = 0.0
    runs: int = 0
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=10_000))

    def add(self, value: float) -> None:
        """Count a frame; 0: the stage did not run."""
        if value > 0:
            self.total += value
            self.runs += 1
            self.recent.append(value)


@dataclass
class Summary:
    """What a run did. stages: in the order of their work."""

    frames: int = 0
    people: int = 0
    most_people: int = 0
    with_people: int = 0
    absolute: int = 0
    ids: set[int] = field(default_factory=set)
    stages: dict[str, Stage] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    interrupted: bool = False

    def add_frame(self, stages: dict[str, float]) -> None:
        """Count a frame that went in. stages: milliseconds of each."""
        self.frames += 1
        for name, value in stages.items():
            self.stages.setdefault(name, Stage()).add(value)

    def add_people(self, poses: Sequence[Pose3D]) -> None:
        """Count the people of a frame that is finished."""
        self.people += len(poses)
        self.most_people = max(self.most_people, len(poses))
        self.with_people += bool(poses)
        self.absolute += sum(pose.absolute for pose in poses)
        self.ids |= {pose.track_id for pose in poses if pose.track_id}

    def mean_ms(self, *without: str) -> float:
        """Mean milliseconds per frame of all stages but those named, and but waiting."""
        without = (*without, 'delay')
        spent = sum(stage.total for name, stage in self.stages.items() if name not in without)
        return spent / max(self.frames, 1)


def run_offline(
    pipeline: Pipeline,
    source: Source,
    writers: Sequence[Writer] = (),
    *,
    max_frames: int = 0,
    progress: Progress = iter,
    each: Callable[[int, FrameResult], None] | None = None,
) -> Summary:
    """Process a source from a clean state; writers are closed at the end.

    Ctrl-C and SIGTERM end the run after the frame at hand, and what was written is kept, whole.
    After an error nothing is kept: a file with its name is a complete one. each: called with every
    finished frame and its number. max_frames: 0 for all.

    Raises what the source, the pipeline or a writer raises.
    """
    summary = Summary()
    indices: dict[int, int] = {}
    pipeline.reset()

    def deliver(finished: Iterable[FrameResult]) -> None:
        for result in finished:
            index = indices.pop(result.frame.stamp_ns, summary.frames)
            for writer in writers:
                writer.write(index, result)
            if each is not None:
                each(index, result)
            summary.add_people(result.people)

    try:
        with _stop_on_signals() as stopped:
            decoding: deque[float] = deque()
            frames = _timed(progress(source), decoding, max_frames)
            # A live source is not asked for its next frame before the last one is delivered.
            ahead = source.length is not None
            results = pipeline.stream(frames) if ahead else map(pipeline.process, frames)
            for index, result in enumerate(results):
                stages = {'decode image': decoding.popleft(), **result.timings}
                finished = list(result.finished)
                if source.independent:
                    finished += pipeline.flush()
                    pipeline.reset()
                start = time.perf_counter()
                indices[result.frame.stamp_ns] = index
                deliver(finished)
                if writers:
                    stages['write'] = (time.perf_counter() - start) * 1e3
                summary.add_frame(stages)
                if stopped.is_set():
                    summary.interrupted = True
                    break
            deliver(pipeline.flush())
            for writer in writers:
                writer.close()
    except BaseException:
        for writer in writers:
            writer.discard()
        raise
    summary.warnings += source.warnings
    return summary


def _timed(frames: Iterable[Frame], times: deque[float], limit: int) -> Iterator[Frame]:
    """Frames, at most limit (0: all); times gets the milliseconds that it took to get each."""
    iterator = iter(frames)
    for count in itertools.count(1):
        start = time.perf_counter()
        frame = next(iterator, None)
        if frame is None:
            return
        times.append((time.perf_counter() - start) * 1e3)
        yield frame
        if count == limit:
            return


@contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets; a second one interrupts as usual."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def stop(number: int, _: Any) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
