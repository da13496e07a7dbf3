# SPDX-License-Identifier: Apache-2.0
"""The node's state on /diagnostics, through diagnostic_updater."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from diagnostic_updater import Updater
from rclpy.node import Node

from ..messages.diagnostics import Status

_LEVELS = (DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR)


class Diagnostics:
    """Publishes what `statuses` returns, each second or as `diagnostic_updater.period` says.

    lifecycle: the state of the node itself, always there.
    """

    def __init__(
        self,
        node: Node,
        period_s: float,
        lifecycle: Callable[[], Status],
        statuses: Callable[[], list[Status]],
    ) -> None:
        self._lifecycle = lifecycle
        self._statuses = statuses
        self._names: list[str] = []
        self._found: dict[str, Status] = {}
        self._looked = 0.0
        self._updater = Updater(node, period=period_s)
        self._updater.setHardwareID('none')
        # Namespaced nodes of one name must not share their statuses.
        self._updater.node_name = node.get_fully_qualified_name()
        self._updater.add('lifecycle', self._fill_lifecycle)

    def begin(self) -> None:
        """Report `statuses` from now on."""
        self._look()
        for name in self._found:
            self._updater.add(name, partial(self._fill, name))
            self._names.append(name)

    def end(self) -> None:
        """Report only the lifecycle from now on."""
        for name in self._names:
            self._updater.removeByName(name)
        self._names.clear()
        self._found.clear()
        self._updater.force_update()

    def _look(self) -> None:
        self._found = {status.name: status for status in self._statuses()}
        self._looked = time.monotonic()

    def _fill_lifecycle(self, stat: Any) -> Any:
        return _filled(stat, self._lifecycle())

    def _fill(self, name: str, stat: Any) -> Any:
        # All statuses of one update come from one look.
        if time.monotonic() - self._looked > 0.05:
            self._look()
        return _filled(stat, self._found.get(name) or Status(name))


def _filled(stat: Any, status: Status) -> Any:
    stat.summary(_LEVELS[status.level], status.message)
    for key, value in status.values.items():
        stat.add(key, value)
    return stat
