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

# Whatever hangs then (a network in the middle of compilation, say) ends with the process.
DEADLINE_S = 1.7


def run(make_node: Callable[[], Node], stop: threading.Event) -> int:
    """Make a node and spin it until `stop` is set; the exit code.

    The node's constructor must not block. stop: set by signals (startup.py) or by the node itself.
    """
    try:
        rclpy.init(args=sys.argv, signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:
        # Command line arguments or a parameters file that rclpy cannot read.
        print(f'cannot start: {error}', file=sys.stderr)
        return 1
    node = make_node()
    executor = SingleThreadedExecutor()
    executor.add_node(node)

    def spin() -> None:
        while not stop.is_set():
            try:
                executor.spin_once()
            except Exception as error:
                # One callback's failure is not the node's; rclpy raises for a mere transition
                # that does not fit the state.
                node.get_logger().error(f'{type(error).__name__}: {error}')

    spinner = threading.Thread(target=spin, name='executor', daemon=True)
    spinner.start()
    # The main thread only waits, because Python runs signal handlers in no other.
    stop.wait()
    watchdog = threading.Timer(DEADLINE_S, os._exit, args=(0,))
    watchdog.daemon = True
    watchdog.start()
    executor.create_task(lambda: None)  # wakes it
    spinner.join()
    node.destroy_node()
    executor.shutdown()
    rclpy.try_shutdown()
    watchdog.cancel()
    return 0
