# SPDX-License-Identifier: Apache-2.0
"""A DDS domain of one's own."""

from __future__ import annotations

import os
import random
import socket


def free_domain() -> int:
    """A domain whose first ports nobody has bound; another one in each worker of pytest-xdist."""
    worker = int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0').removeprefix('gw'))
    workers = int(os.environ.get('PYTEST_XDIST_WORKER_COUNT', '1'))
    while True:
        domain = random.choice(range(1 + worker % 100, 101, min(workers, 100)))
        try:
            for offset in range(4):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                    probe.bind(('127.0.0.1', 7410 + 250 * domain + offset))
        except OSError:
            continue
        return domain
