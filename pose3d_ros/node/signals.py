# SPDX-License-Identifier: Apache-2.0
"""Signals of commands that run until they are told to end."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Signals:
    """In this context SIGINT and SIGTERM set `stopped`, SIGHUP sets `reload`.

    A launcher may send SIGINT several times: once stopping, it stays ignored until the process
    ends. Otherwise the handlers are as before when left. Does nothing outside the main thread.
    """

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self.reload = threading.Event()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._on_stop)
            if hasattr(signal, 'SIGHUP'):
                self._before[signal.SIGHUP] = signal.signal(signal.SIGHUP, self._on_reload)
        return self

    def __exit__(self, *exception: object) -> None:
        ended = self.stopped.is_set()
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_IGN if ended else handler)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        self.stopped.set()

    def _on_reload(self, number: int, frame: FrameType | None) -> None:
        self.reload.set()
