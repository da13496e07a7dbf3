# SPDX-License-Identifier: Apache-2.0
"""Work that waits for something late, beside the images: they must not wait for it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

_LIMIT = 64
_STOP_TIMEOUT_S = 2.0

Job = Callable[[float], None]
"""Takes the seconds for which it has waited for its turn."""


def at_once(job: Job) -> None:
    """Do it here and now."""
    job(0.0)


class WaitingLine:
    """Jobs in their order, in a thread of their own while it is started, else at once.

    Each has its own time limit, counted from put(): those behind one that waits lose nothing by it.
    put() blocks once `limit` jobs wait, so that memory is bounded. timer: seconds of a clock that
    never goes back. on_error: called in the thread with what a job raised.
    """

    def __init__(
        self,
        name: str,
        timer: Callable[[], float],
        on_error: Callable[[Exception], None],
        limit: int = _LIMIT,
    ) -> None:
        self._name, self._timer, self._on_error, self._limit = name, timer, on_error, limit
        self._jobs: deque[tuple[Job, float]] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._busy = False

    def start(self) -> None:
        """From now on jobs run in the thread."""
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def stop(self, timeout_s: float = _STOP_TIMEOUT_S) -> bool:
        """Drop the jobs that wait and end after that at hand; whether it ended in time."""
        with self._changed:
            thread, self._thread = self._thread, None
            self._jobs.clear()
            self._changed.notify_all()
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(timeout_s)
        return not thread.is_alive()

    def put(self, job: Job) -> None:
        """Do it when its turn comes."""
        now = self._timer()
        with self._changed:
            if self._thread is not None:
                self._changed.wait_for(
                    lambda: self._thread is None or len(self._jobs) < self._limit
                )
                if self._thread is not None:
                    self._jobs.append((job, now))
                    self._changed.notify_all()
                return
        at_once(job)

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until no job is left; whether that came in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._busy or self._jobs), timeout_s)

    def _run(self) -> None:
        me = threading.current_thread()
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._thread is not me or bool(self._jobs))
                if self._thread is not me:
                    return
                job, since = self._jobs.popleft()
                self._busy = True
                self._changed.notify_all()
            try:
                job(max(0.0, self._timer() - since))
            except Exception as error:
                self._on_error(error)
