# SPDX-License-Identifier: Apache-2.0
"""Quality of service of every topic, for all transports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """What can be chosen; history is always the last `depth` samples."""

    reliable: bool = True
    transient_local: bool = False
    depth: int = 10


SENSOR_DATA = Profile(reliable=False, depth=5)
"""Images, calibrations and what comes beside them: whatever the publisher offers."""
CYCLONE_BUFFERS = '<Internal><SocketReceiveBufferSize min="default" max="10MB"/></Internal>'
"""Large images come in bursts of fragments; as much of this as the kernel allows."""
RESULT = Profile(depth=10)
"""Reliable, which serves both kinds of subscribers."""
LATCHED = Profile(transient_local=True, depth=1)
"""What does not change: those who come late get it too."""
TRANSFORMS = Profile(depth=100)
STATIC_TRANSFORMS = Profile(transient_local=True, depth=100)
"""Both as tf2 has them."""
