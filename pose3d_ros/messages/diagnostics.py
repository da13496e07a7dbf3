# SPDX-License-Identifier: Apache-2.0
"""Diagnostic statuses (REP-107) and their message."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from .types import Message, Types, make_header

OK, WARN, ERROR = 0, 1, 2


@dataclass
class Status:
    """One line of /diagnostics. level: that of diagnostic_msgs/DiagnosticStatus."""

    name: str
    level: int = OK
    message: str = ''
    values: dict[str, str] = field(default_factory=dict)

    def problem(self, level: int, message: str) -> None:
        """Raise the level; the message of the worst problem stands first."""
        if level > self.level:
            self.message = f'{message}; {self.message}' if self.message else message
        else:
            self.message = f'{self.message}; {message}' if self.message else message
        self.level = max(self.level, level)


def diagnostic_array(
    types: Types, statuses: Iterable[Status], *, stamp_ns: int, node: str, hardware_id: str = 'none'
) -> Message:
    """diagnostic_msgs/DiagnosticArray; node: its full name, put in front of each status."""
    status_class = types('diagnostic_msgs/msg/DiagnosticStatus')
    key_value = types('diagnostic_msgs/msg/KeyValue')
    # A `byte` is bytes in ROS's classes.
    as_bytes = isinstance(status_class().level, bytes)
    return types('diagnostic_msgs/msg/DiagnosticArray')(
        header=make_header(types, stamp_ns, ''),
        status=[
            status_class(
                level=bytes([status.level]) if as_bytes else status.level,
                name=f'{node}: {status.name}',
                message=status.message,
                hardware_id=hardware_id,
                values=[key_value(key=k, value=v) for k, v in status.values.items()],
            )
            for status in statuses
        ],
    )
