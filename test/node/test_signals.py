# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

from pose3d_ros.node.signals import Signals


def test_flags_and_handlers():
    before = signal.getsignal(signal.SIGHUP), signal.getsignal(signal.SIGINT)
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGHUP)
        assert signals.reload.wait(1)
        assert not signals.stopped.is_set()
    assert (signal.getsignal(signal.SIGHUP), signal.getsignal(signal.SIGINT)) == before


def test_interrupts_stay_ignored_once_stopping():
    code = (
        'import os, signal; from pose3d_ros.node.signals import Signals\n'
        'with Signals() as signals:\n'
        '    for _ in range(3): os.kill(os.getpid(), signal.SIGINT)\n'
        '    os.kill(os.getpid(), signal.SIGTERM)\n'
        '    assert signals.stopped.wait(1)\n'
        'os.kill(os.getpid(), signal.SIGINT)\n'
        'print("at the end")'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout == 'at the end\n'


def test_outside_the_main_thread():
    before = signal.getsignal(signal.SIGINT)
    found = []

    def other():
        with Signals():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert found == [before]
