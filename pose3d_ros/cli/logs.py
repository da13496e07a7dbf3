# SPDX-License-Identifier: Apache-2.0
"""Log lines of commands that run on."""

from __future__ import annotations

import logging
import sys


def log_to_stderr(verbose: bool = False) -> None:
    """Show the package's log on stderr, with the time."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter('[%(levelname)s] [%(asctime)s] %(message)s'))
    for name in ('pose3d', 'pose3d_ros'):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(logging.DEBUG if verbose else logging.INFO)
