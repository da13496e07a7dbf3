# SPDX-License-Identifier: Apache-2.0
"""Runs one node in a process until it is told to end."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from ..errors import Pose3DError

# Whatever hangs then (a network in the middle of compilation, say) ends with the process.
DEADLINE_S = 1.7


class Spinner:
    """Runs a node's callbacks in a thread of its own."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(node)
        self._stop = False
        self._thread = threading.Thread(target=self._spin, name='executor', daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Wait for the callback at hand, end the thread."""
        self._stop = True
        self._executor.create_task(lambda: None)  # wakes it
        self._thread.join()
        self._executor.shutdown()

    def _spin(self) -> None:
        while not self._stop:
            try:
                self._executor.spin_once()
            except Exception as error:
                # One callback's failure must not be the node's.
                self._node.get_logger().error(f'{type(error).__name__}: {error}')


def run(make_node: Callable[[], Node], stop: threading.Event) -> int:
    """Make a node and spin it until `stop` is set; the exit code.

    The node's constructor must not block; a Pose3DError of it ends the process. stop: set by
    signals (startup.py) or by the node itself.
    """
    try:
        rclpy.init(args=sys.argv, signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:
        # Command line arguments or a parameters file that rclpy cannot read.
        print(f'cannot start: {error}', file=sys.stderr)
        return 1
    try:
        node = make_node()
    except Pose3DError as error:
        print(f'cannot start: {error}', file=sys.stderr)
        rclpy.try_shutdown()
        return 1
    spinner = Spinner(node)
    # The main thread only waits, because Python runs signal handlers in no other.
    stop.wait()
    watchdog = threading.Timer(DEADLINE_S, os._exit, args=(0,))
    watchdog.daemon = True
    watchdog.start()
    spinner.stop()
    node.destroy_node()
    rclpy.try_shutdown()
    watchdog.cancel()
    return 0
