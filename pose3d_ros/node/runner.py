# SPDX-License-Identifier: Apache-2.0
"""Images from callbacks through the pipeline in a thread of its own: what a node is without ROS."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..errors import ConfigError, InputError, Pose3DError, describe
from ..pipeline import Job, Pipeline
from ..settings.node import NodeConfig, fixed_changes
from ..types import Frame, FrameResult, Result
from .host import Host
from .monitor import Monitor, Report

STOP_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class Arrival:
    """An image as it came. received_ns: by the node's clock; received_s: by its timer."""

    source: str
    payload: Any
    received_ns: int
    received_s: float


Admit = Callable[[float], None]
"""Gives an image its turn; takes for how long it may wait until the one before it has gone."""


class FrameRunner:
    """Newest image first, one thread, settings swapped between images, failures survived.

    offer() comes from any thread and returns at once; decode, the pipeline and publish run in the
    worker. Where the pipeline's frames overlap, the network works on the next image while one is
    decoded and published. Each camera has one place for a waiting image (drop_policy newest) or all
    share one queue (none).

    decode: payload to Frame; InputError counts as a bad image and never ends the node.
    publish: takes finished frames, with the settings in force. needed: whether somebody is
    interested in a camera's results. hold: calls back, at once or later, when an image may have its
    turn, in the order of the images. on_halt: called in the worker with the reason, once, after
    max_failures failures in a row; nothing is processed from then on until start().
    """

    def __init__(
        self,
        pipeline: Pipeline,
        config: NodeConfig,
        host: Host,
        *,
        decode: Callable[[Arrival], Frame],
        publish: Callable[[FrameResult, NodeConfig], None],
        needed: Callable[[str], bool] = lambda source: True,
        hold: Callable[[Arrival, Admit], None] = lambda arrival, admit: admit(0.0),
        on_halt: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._pipeline = pipeline
        self._config = config
        # What was accepted last; the worker takes it over before its next image.
        self._accepted = config
        self._host = host
        self._decode = decode
        self._publish = publish
        self._needed = needed
        self._hold = hold
        self._on_halt = on_halt
        self._monitor = Monitor(config.camera_names, host.timer)
        # Guards all that follows; the worker holds it only to find out what to do next.
        self._ready = threading.Condition()
        self._newest: dict[str, Arrival] = {}
        self._queue: deque[Arrival] = deque()
        self._commands: deque[Callable[[], None]] = deque()
        self._busy = False
        self._stopping = False
        self._halted = False
        self._thread: threading.Thread | None = None

    @property
    def config(self) -> NodeConfig:
        """The settings in force from the next image on."""
        return self._accepted

    def start(self) -> None:
        """Start the worker; also after stop() or after it halted."""
        with self._ready:
            if self._thread is not None and self._thread.is_alive():
                if self._working:
                    return
                raise Pose3DError('the worker is still busy with an image; stop() first')
            self._stopping = self._halted = False
            self._monitor.start()
            self._newest.clear()
            self._queue.clear()
            self._thread = threading.Thread(target=self._run, name='pose3d', daemon=True)
            self._thread.start()

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> bool:
        """End the worker after the image at hand; whether it ended in time."""
        with self._ready:
            self._stopping = True
            thread = self._thread
            self._newest.clear()
            self._queue.clear()
            self._ready.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)
            return not thread.is_alive()
        return True

    def offer(self, source: str, payload: Any) -> None:
        """Hand over an image; it may replace one that waits."""
        now = self._host.timer()
        arrival = Arrival(source, payload, self._host.clock(), now)
        self._monitor.received(source, now)
        if self._thread is None or not self._working or not self._accepted.enabled:
            self._monitor.skipped(source)
            return
        self._hold(arrival, lambda wait_s: self._admit(arrival, wait_s))

    def _admit(self, arrival: Arrival, wait_s: float) -> None:
        """Let an image wait for the worker; wait_s: how long at most for the one before it."""
        source = arrival.source
        with self._ready:
            if wait_s > 0:
                self._ready.wait_for(
                    lambda: source not in self._newest or not self._working, wait_s
                )
            if not self._working:
                self._monitor.skipped(source)
                return
            if self._config.drop_policy == 'newest':
                if source in self._newest:
                    self._monitor.dropped(source)
                self._newest[source] = arrival
            elif len(self._queue) < self._config.queue_size:
                self._queue.append(arrival)
            else:
                self._monitor.dropped(source)
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
        self._between_images(lambda: self._apply(config))

    def reset(self, source: str | None = None) -> None:
        """Forget tracks and filters of one camera, or of all, before the next image."""
        self._between_images(lambda: self._pipeline.reset(source))

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until nothing is left to do; whether that came in time."""
        with self._ready:
            return self._ready.wait_for(lambda: not (self._busy or self._has_work), timeout_s)

    def report(self) -> Report:
        """Statistics as of now."""
        return self._monitor.report(enabled=self._accepted.enabled, halted=self._halted)

    @property
    def _working(self) -> bool:
        return not (self._stopping or self._halted)

    @property
    def _has_work(self) -> bool:
        return bool(self._newest or self._queue or self._commands)

    def _apply(self, config: NodeConfig) -> None:
        self._pipeline.configure(config)
        self._config = config

    def _between_images(self, command: Callable[[], None]) -> None:
        """Run in the worker before its next image, or here if there is none."""
        with self._ready:
            thread = self._thread
            if thread is not None and thread.is_alive() and self._working:
                self._commands.append(command)
                self._ready.notify_all()
                return
        if thread is not None and thread is not threading.current_thread():
            thread.join(STOP_TIMEOUT_S)
        command()

    def _run(self) -> None:
        begun: tuple[list[Frame], Job] | None = None
        stopping = False
        while not stopping and not self._halted:
            if begun is not None:
                begun[1].wait()
            commands, batch, stopping = self._next(idle=begun is None)
            if begun is None:
                self._execute(commands)
            # The network gets its next image before the last one is decoded and published.
            following = self._handle(batch) if batch else None
            if begun is not None:
                if not stopping:
                    self._complete(*begun)
                self._execute(commands)
            begun = following
        if not stopping:
            self._on_halt(self._monitor.last_failure)
        with self._ready:
            self._busy = False
            self._ready.notify_all()

    def _next(self, *, idle: bool) -> tuple[list[Callable[[], None]], list[Arrival], bool]:
        """Commands, images, whether to stop; if nothing is under way, it waits for any of them."""
        with self._ready:
            if idle:
                self._busy = False
                self._ready.notify_all()
                self._ready.wait_for(lambda: self._stopping or self._has_work)
            self._busy = True
            commands = list(self._commands)
            self._commands.clear()
            # Settings change between images: what is under way ends first.
            if self._stopping or (commands and not idle):
                return commands, [], self._stopping
            if self._queue:
                return commands, [self._queue.popleft()], False
            batch = list(self._newest.values())
            self._newest.clear()
            self._ready.notify_all()
            return commands, batch, False

    def _handle(self, batch: Sequence[Arrival]) -> tuple[list[Frame], Job] | None:
        """Process images, or only begin with them if the pipeline's frames overlap."""
        frames = [frame for arrival in batch if (frame := self._decoded(arrival)) is not None]
        if not frames:
            return None
        if self._pipeline.overlaps:
            try:
                return frames, self._pipeline.begin(frames)
            except Exception as error:
                self._retry(frames, error)
        else:
            self._process(frames, partial(self._pipeline.process_batch, frames))
        return None

    def _complete(self, frames: list[Frame], job: Job) -> None:
        """Take the results of what was begun."""
        self._process(frames, partial(self._pipeline.finish, job))

    def _decoded(self, arrival: Arrival) -> Frame | None:
        begin = self._host.timer()
        monitor, source = self._monitor, arrival.source
        try:
            if not self._needed(source):
                monitor.skipped(source)
                return None
            frame = self._decode(arrival)
        except InputError as error:
            monitor.bad(source, str(error))
            self._host.report(logging.ERROR, f'{source or "image"}: {error}', key=str(error))
            return None
        except Exception as error:
            self._failed(error)
            return None
        monitor.decoded(frame)
        monitor.took('transport', (arrival.received_ns - frame.stamp_ns) * 1e-9)
        monitor.took('wait', begin - arrival.received_s)
        monitor.took('decode image', self._host.timer() - begin)
        return frame

    def _process(self, frames: Sequence[Frame], compute: Callable[[], list[Result]]) -> None:
        try:
            results = compute()
        except Exception as error:
            self._retry(frames, error)
            return
        for stage, milliseconds in results[0].timings.items():
            self._monitor.took(stage, milliseconds * 1e-3)
        for result in results:
            self._deliver(result)

    def _retry(self, frames: Sequence[Frame], error: Exception) -> None:
        """Process images of a failed batch one by one: one camera's must not harm the others'."""
        if len(frames) == 1:
            self._failed(error)
            return
        for frame in frames:
            self._process([frame], partial(self._pipeline.process_batch, [frame]))

    def _deliver(self, result: Result) -> None:
        """Publish the frames that an image finished: the only way out of the runner."""
        begin = self._host.timer()
        try:
            for finished in result.finished:
                self._publish(finished, self._config)
        except Exception as error:
            self._failed(error)
            return
        self._monitor.delivered(result)
        self._monitor.took('publish', self._host.timer() - begin)
        self._monitor.took('total', (self._host.clock() - result.frame.stamp_ns) * 1e-9)

    def _failed(self, error: Exception) -> None:
        line = describe(error)
        in_a_row = self._monitor.failed(line)
        self._halted = in_a_row >= self._config.max_failures
        end = f'; giving up after {in_a_row} in a row' if self._halted else ''
        # The last one is always logged.
        key = f'halted {in_a_row}' if self._halted else line
        logged = self._host.report(logging.ERROR, f'an image failed: {line}{end}', key=key)
        if logged and not isinstance(error, Pose3DError):
            logging.getLogger(__name__).debug('where it failed', exc_info=error)

    def _execute(self, commands: Sequence[Callable[[], None]]) -> None:
        for command in commands:
            try:
                command()
            except Exception as error:
                self._failed(error)
