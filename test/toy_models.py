# SPDX-License-Identifier: Apache-2.0
"""Small models to fetch, and what a web server gives of them."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from dataclasses import dataclass, field

from pose3d_ros.zoo import Entry, FileEntry, Npm, Wheel

WEIGHTS = bytes(range(256)) * 200
NOTICE = b'Do as you like.\n'


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def file_entry(file: str, content: bytes, **where: str) -> FileEntry:
    return FileEntry(file=file, size=len(content), sha256=digest(content), **where)


def entry(
    name: str = 'toy', wheel: Wheel | None = None, npm: Npm | None = None, **files: FileEntry
) -> Entry:
    return Entry(
        name=name,
        estimator='blazepose',
        title='a toy',
        skeleton='coco_17',
        licence='MIT',
        source='the test',
        files=files,
        wheel=wheel,
        npm=npm,
    )


@dataclass
class Server:
    """What a web server gives for each path, and what it was asked for."""

    address: str = ''
    contents: dict[str, bytes] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    """Bytes of each path."""
    cut: set[str] = field(default_factory=set)
    """Paths where the connection breaks off half-way."""
    cut_once: set[str] = field(default_factory=set)
    """The same, at the first request only."""
    resumable: set[str] = field(default_factory=set)
    """Paths that can be asked for from a byte on."""
    gates: dict[str, threading.Event] = field(default_factory=dict)
    """Paths that wait in the middle for an event."""
