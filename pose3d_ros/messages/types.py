# SPDX-License-Identifier: Apache-2.0
"""What the builders know of message classes."""

from __future__ import annotations

import array
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Message = Any
Types = Callable[[str], type[Any]]
"""The message class of a name such as 'std_msgs/msg/Header'."""


def stamp_of(header: Message) -> int:
    """Nanoseconds of a header's stamp."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


def make_time(types: Types, stamp_ns: int) -> Message:
    """builtin_interfaces/Time of nanoseconds."""
    sec, nanosec = divmod(stamp_ns, 1_000_000_000)
    return types('builtin_interfaces/msg/Time')(sec=sec, nanosec=nanosec)


def make_header(types: Types, stamp_ns: int, frame_id: str) -> Message:
    """std_msgs/Header."""
    return types('std_msgs/msg/Header')(stamp=make_time(types, stamp_ns), frame_id=frame_id)


def fill(message: Message, name: str, values: NDArray[Any]) -> None:
    """Set a sequence of numbers: array.array in ROS's classes, NumPy in the standalone ones."""
    current = getattr(message, name)
    if isinstance(current, array.array):
        filled = array.array(current.typecode)
        # Through frombytes, because ROS's classes look at every element of anything else.
        filled.frombytes(np.ascontiguousarray(values, dtype=current.typecode).data.cast('B'))
        setattr(message, name, filled)
    else:
        setattr(message, name, np.ascontiguousarray(values, dtype=current.dtype).ravel())
