# SPDX-License-Identifier: Apache-2.0
"""A network of one's own, on this machine alone: a domain or router that nobody uses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from pose3d_ros.standalone.names import Names
from pose3d_ros.standalone.wire import WireNode
from support.domains import free_domain

ROOT = Path(__file__).resolve().parents[2]


class Network:
    """Makes nodes in this process, and runs commands beside it."""

    def __init__(self, folder: Path, node_class: type[WireNode], *options: str) -> None:
        """options: of the commands, for the same transport as that class."""
        self._class, self._options = node_class, options
        self.domain = free_domain()
        self.folder = folder
        self._nodes: list[WireNode] = []
        self._processes: list[subprocess.Popen[str]] = []

    def node(self, name='tester', remaps=(), **options) -> WireNode:
        node = self._class(Names(name, remaps=tuple(remaps)), domain=self.domain, **options)
        self._nodes.append(node)
        return node

    def run(self, *arguments) -> subprocess.Popen[str]:
        """Start `pose3d ...`; its output goes to a file."""
        log = (self.folder / f'log{len(self._processes)}.txt').open('w+')
        process = subprocess.Popen(
            [sys.executable, '-m', 'pose3d_ros.cli.main', *map(str, arguments), *self._options],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                'PYTHONFAULTHANDLER': '1',
                'ROS_DOMAIN_ID': str(self.domain),
                'PYTHONPATH': os.pathsep.join([str(ROOT), str(ROOT / 'test')]),
            },
            text=True,
        )
        process.log = Path(log.name)
        log.close()
        self._processes.append(process)
        return process

    def end(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in self._processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired as error:
                # Where it hangs, by the grace of faulthandler.
                process.send_signal(signal.SIGABRT)
                process.wait()
                raise AssertionError(f'it did not end: {process.log.read_text()}') from error
        for node in self._nodes:
            node.close()


def spin_until(nodes, condition, timeout_s=20.0):
    """Serve nodes until something holds."""
    if isinstance(nodes, WireNode):
        nodes = [nodes]
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, 'it did not come to that in time'
        for node in nodes:
            node.spin_once(0.01)
