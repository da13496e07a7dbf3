# SPDX-License-Identifier: Apache-2.0
"""A Zenoh router on this machine, as ROS 2's rmw_zenohd is one."""

from __future__ import annotations

import json
import socket

import zenoh


def free_address() -> str:
    """An address on this machine where nobody listens."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return f'tcp/127.0.0.1:{probe.getsockname()[1]}'


def start_router(address: str) -> zenoh.Session:
    """Close the session to end it."""
    config = zenoh.Config()
    for key, value in {
        'mode': 'router',
        'listen/endpoints': [address],
        'scouting/multicast/enabled': False,
    }.items():
        config.insert_json5(key, json.dumps(value))
    return zenoh.open(config)
