# SPDX-License-Identifier: Apache-2.0
"""Images from callbacks through the pipeline in a thread of its own: what a node is without ROS."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..errors import ConfigError, InputError, Pose3DError
from ..pipeline import Job, Pipeline
from ..settings.node import NodeConfig, fixed_changes
from ..types import Frame, FrameResult, Result
from .monitor import Report, SourceStats, Throttle, Window

STOP_TIMEOUT_S = 2.0
# The order in which the way of an image is reported; stages of the pipeline come in between.
_FIRST, _LAST = ('transport', 'wait', 'decode image'), ('publish', 'total')

Log = Callable[[int, str], None]
"""Takes a level of `logging` and a line."""


@dataclass(frozen=True)
class Arrival:
    """An image as it came. received_ns: by the node's clock; monotonic_s: for durations."""

    source: str
    payload: Any
    received_ns: int
    monotonic_s: float


@dataclass(frozen=True)
class _Work:
    """Images that the network works on."""

    frames: list[Frame]
    arrivals: list[Arrival]
    job: Job


class FrameRunner:
    """Newest image first, one thread, settings swapped between images, failures survived.

    offer() comes from any thread and returns at once; decode, the pipeline and publish run in the
    worker. Where the pipeline's frames overlap, the network works on the next image while one is
    decoded and published. Each camera has one place for a waiting image (drop_policy newest) or all
    share one queue (none).

    decode: payload to Frame; InputError counts as a bad image and never ends the node.
    publish: takes finished frames, with the settings in force. wanted: whether somebody is
    interested in a camera's results.
    gave_up: called in the worker, once, after max_failures failures in a row; nothing is
    processed from then on until start(). clock: the node's, nanoseconds.
    timer: seconds of a clock that never goes back, for rates and durations.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        config: NodeConfig,
        *,
        decode: Callable[[Arrival], Frame],
        publish: Callable[[FrameResult, NodeConfig], None],
        clock: Callable[[], int] = time.time_ns,
        timer: Callable[[], float] = time.monotonic,
        wanted: Callable[[str], bool] = lambda source: True,
        gave_up: Callable[[str], None] = lambda reason: None,
        log: Log = lambda level, line: logging.getLogger(__name__).log(level, line),
    ) -> None:
        self._pipeline = pipeline
        self._config = config
        # What was accepted last; the worker takes it over before its next image.
        self._accepted = config
        self._decode = decode
        self._publish = publish
        self._clock = clock
        self._timer = timer
        self._wanted = wanted
        self._on_gave_up = gave_up
        self._log = log
        self._throttle = Throttle()
        # Guards all that follows; the worker holds it only while it looks.
        self._ready = threading.Condition()
        self._boxes: dict[str, Arrival] = {}
        self._queue: deque[Arrival] = deque()
        self._commands: deque[Callable[[], None]] = deque()
        self._busy = False
        self._stopping = False
        self._gave_up = False
        self._thread: threading.Thread | None = None
        self._stats: dict[str, SourceStats] = {}
        self._rates_in: dict[str, Window] = {}
        self._rates_out: dict[str, Window] = {}
        self._last_in: dict[str, float] = {}
        self._latency: dict[str, Window] = {}
        self._failures = 0
        self._in_a_row = 0
        self._resets = 0
        self._last_failure = ''
        for source in config.camera_names:
            self._source(source)

    @property
    def config(self) -> NodeConfig:
        """The settings in force from the next image on."""
        return self._accepted

    def start(self) -> None:
        """Start the worker; also after stop() or after giving up."""
        with self._ready:
            if self._thread is not None and self._thread.is_alive():
                if not self._stopping and not self._gave_up:
                    return
                raise Pose3DError('the worker is still busy with an image; stop() first')
            self._stopping = self._gave_up = False
            self._in_a_row = 0
            self._boxes.clear()
            self._queue.clear()
            self._thread = threading.Thread(target=self._run, name='pose3d', daemon=True)
            self._thread.start()

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> bool:
        """End the worker after the image at hand; whether it ended in time."""
        with self._ready:
            self._stopping = True
            thread = self._thread
            self._boxes.clear()
            self._queue.clear()
            self._ready.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)
            return not thread.is_alive()
        return True

    def offer(self, source: str, payload: Any) -> None:
        """Hand over an image; it may replace one that waits."""
        now = self._timer()
        arrival = Arrival(source, payload, self._clock(), now)
        with self._ready:
            stats = self._source(source)
            stats.received += 1
            self._rates_in[source].add(now)
            self._last_in[source] = now
            if self._stopping or self._gave_up or self._thread is None:
                stats.skipped += 1
                return
            if not self._accepted.enabled:
                stats.skipped += 1
                return
            if self._config.drop_policy == 'newest':
                stats.dropped += source in self._boxes
                self._boxes[source] = arrival
            elif len(self._queue) < self._config.queue_size:
                self._queue.append(arrival)
            else:
                stats.dropped += 1
                return
            self._ready.notify_all()

    def configure(self, config: NodeConfig) -> None:
        """Take over live settings before the next image; ConfigError for any other change."""
        fixed = fixed_changes(self._accepted, config)
        if fixed:
            raise ConfigError(
                f'{", ".join(fixed)} cannot change while the node is active: '
                'deactivate, clean up and configure again'
            )
        self._accepted = config
        self._between(lambda: self._apply(config))

    def reset(self, source: str | None = None) -> None:
        """Forget tracks and filters of one camera, or of all, before the next image."""
        self._between(lambda: self._pipeline.reset(source))

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until nothing is left to do; whether that came in time."""
        with self._ready:
            return self._ready.wait_for(
                lambda: not (self._busy or self._boxes or self._queue or self._commands), timeout_s
            )

    def report(self) -> Report:
        """Statistics as of now."""
        now = self._timer()
        with self._ready:
            sources = {}
            for name, stats in self._stats.items():
                last = self._last_in.get(name)
                sources[name] = dataclasses.replace(
                    stats,
                    rate_in=self._rates_in[name].rate(now),
                    rate_out=self._rates_out[name].rate(now),
                    age_s=None if last is None else now - last,
                )
            stages = [n for n in self._latency if n not in (*_FIRST, *_LAST)]
            latency = {}
            for name in (*_FIRST, *stages, *_LAST):
                window = self._latency.get(name)
                summary = window.mean_and_p95(now) if window else None
                if summary is not None:
                    latency[name] = summary
            return Report(
                sources=sources,
                latency_ms=latency,
                failures=self._failures,
                failures_in_a_row=self._in_a_row,
                last_failure=self._last_failure,
                resets=self._resets,
                enabled=self._accepted.enabled,
                gave_up=self._gave_up,
            )

    def _source(self, name: str) -> SourceStats:
        if name not in self._stats:
            self._stats[name] = SourceStats()
            self._rates_in[name], self._rates_out[name] = Window(), Window()
        return self._stats[name]

    def _apply(self, config: NodeConfig) -> None:
        self._pipeline.configure(config)
        self._config = config

    def _between(self, command: Callable[[], None]) -> None:
        """Run in the worker before its next image, or here if there is none."""
        with self._ready:
            thread = self._thread
            if thread is not None and thread.is_alive():
                if not self._stopping and not self._gave_up:
                    self._commands.append(command)
                    self._ready.notify_all()
                    return
        if thread is not None and thread is not threading.current_thread():
            thread.join(STOP_TIMEOUT_S)
        command()

    def _run(self) -> None:
        held: _Work | None = None
        while True:
            if held is not None:
                held.job.wait()
            with self._ready:
                if held is None:
                    self._busy = False
                    self._ready.notify_all()
                    self._ready.wait_for(
                        lambda: self._stopping or self._boxes or self._queue or self._commands
                    )
                commands = list(self._commands)
                self._commands.clear()
                stopping = self._stopping
                # Settings change between images: what is under way ends first.
                if stopping or (held is not None and commands):
                    batch = []
                elif self._queue:
                    batch = [self._queue.popleft()]
                else:
                    batch = list(self._boxes.values())
                    self._boxes.clear()
                self._busy = True
            if held is None:
                for command in commands:
                    self._guarded(command)
            # The network gets its next image before the last one is decoded and published.
            begun = self._handle(batch) if batch else None
            if held is not None and not stopping:
                self._complete(held)
                for command in commands:
                    self._guarded(command)
            held = begun
            if stopping:
                break
            if self._gave_up:
                self._on_gave_up(self._last_failure)
                break
        with self._ready:
            self._busy = False
            self._ready.notify_all()

    def _handle(self, batch: list[Arrival]) -> _Work | None:
        """Process images, or only begin with them if the pipeline's frames overlap."""
        frames, arrivals = [], []
        for arrival in batch:
            frame = self._decoded(arrival)
            if frame is not None:
                frames.append(frame)
                arrivals.append(arrival)
        if not frames:
            return None
        if self._pipeline.overlaps:
            try:
                return _Work(frames, arrivals, self._pipeline.begin(frames))
            except Exception as error:
                if len(frames) == 1:
                    self._failed(error)
                    return None
        elif self._process(arrivals, partial(self._pipeline.process_batch, frames)):
            return None
        self._one_by_one(frames, arrivals)
        return None

    def _complete(self, work: _Work) -> None:
        """Take the results of what was begun."""
        frames, arrivals = work.frames, work.arrivals
        if not self._process(arrivals, partial(self._pipeline.finish, work.job)):
            self._one_by_one(frames, arrivals)

    def _one_by_one(self, frames: list[Frame], arrivals: list[Arrival]) -> None:
        """One camera's image must not take the others' away."""
        if len(frames) > 1:
            for frame, arrival in zip(frames, arrivals):
                self._process([arrival], partial(self._pipeline.process_batch, [frame]))

    def _decoded(self, arrival: Arrival) -> Frame | None:
        begin = self._timer()
        stats = self._stats[arrival.source]
        try:
            if not self._wanted(arrival.source):
                stats.skipped += 1
                return None
            frame = self._decode(arrival)
        except InputError as error:
            with self._ready:
                stats.bad += 1
                stats.problem = str(error)
            if self._throttle(str(error)):
                self._log(logging.ERROR, f'{arrival.source or "image"}: {error}')
            return None
        except Exception as error:
            self._failed(error)
            return None
        with self._ready:
            last = stats.last_stamp_ns
            stats.problem = ''
            stats.backwards += last is not None and frame.stamp_ns < last
            stats.equal += last is not None and frame.stamp_ns == last
            stats.last_stamp_ns, stats.last_frame_id = frame.stamp_ns, frame.frame_id
            stats.size = frame.size
            self._took('transport', (arrival.received_ns - frame.stamp_ns) * 1e-9)
            self._took('wait', begin - arrival.monotonic_s)
            self._took('decode image', self._timer() - begin)
        return frame

    def _process(self, arrivals: list[Arrival], compute: Callable[[], list[Result]]) -> bool:
        """Compute and publish; False if it failed."""
        try:
            results = compute()
        except Exception as error:
            if len(arrivals) == 1:
                self._failed(error)
            return False
        with self._ready:
            for stage, milliseconds in results[0].timings.items():
                self._took(stage, milliseconds * 1e-3)
        for result in results:
            self._deliver(result)
        return True

    def _deliver(self, result: Result) -> None:
        """Hand over the frames that are finished with one that came."""
        begin = self._timer()
        try:
            for finished in result.finished:
                self._publish(finished, self._config)
        except Exception as error:
            self._failed(error)
            return
        now = self._timer()
        with self._ready:
            self._in_a_row = 0
            self._resets += result.restarted
            stats = self._stats[result.frame.source]
            stats.processed += 1
            stats.people = len(result.people)
            for finished in result.finished:
                stats.ended += len(finished.ended)
                self._rates_out[result.frame.source].add(now)
            self._took('publish', now - begin)
            self._took('total', (self._clock() - result.frame.stamp_ns) * 1e-9)

    def _took(self, part: str, seconds: float) -> None:
        self._latency.setdefault(part, Window()).add(self._timer(), 1e3 * seconds)

    def _failed(self, error: Exception) -> None:
        line = str(error) if isinstance(error, Pose3DError) else f'{type(error).__name__}: {error}'
        with self._ready:
            self._failures += 1
            self._in_a_row += 1
            self._last_failure = line
            self._gave_up = self._in_a_row >= self._config.max_failures
        if self._throttle(line) or self._gave_up:
            end = f'; giving up after {self._in_a_row} in a row' if self._gave_up else ''
            self._log(logging.ERROR, f'an image failed: {line}{end}')
            if not isinstance(error, Pose3DError):
                logging.getLogger(__name__).debug('where it failed', exc_info=error)

    def _guarded(self, command: Callable[[], None]) -> None:
        try:
            command()
        except Exception as error:
            self._failed(error)
