# SPDX-License-Identifier: Apache-2.0
"""How an executable of this package begins: quickly, so that no signal comes too early."""

from __future__ import annotations

import signal
import threading
from importlib import import_module

from .environment import join_virtual_environment

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def start(module: str) -> int:
    """Import a module, slow as that may be, and run its main(stop); the exit code.

    stop: an event that SIGINT and SIGTERM set. A launch that is interrupted sends SIGINT twice,
    once through the terminal and once by itself: the second finds nothing to interrupt.
    """
    stop = threading.Event()
    for number in SIGNALS:
        signal.signal(number, lambda *_: stop.set())
    join_virtual_environment()
    code = int(import_module(module).main(stop))
    # Python takes its handlers down when it ends; a signal must not kill it then.
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    return code
