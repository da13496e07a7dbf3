# SPDX-License-Identifier: Apache-2.0
"""Results as files: JSON lines, CSV, annotated video, pictures. docs/outputs.md describes them."""

from __future__ import annotations

from typing import Protocol

from ..types import FrameResult


class Writer(Protocol):
    """Takes frame by frame; the file has its name only once it is closed.

    Every method raises OutputError if the file cannot be written.
    """

    def write(self, index: int, result: FrameResult) -> None:
        """Add one frame; index: its number in the source."""

    def close(self) -> None:
        """Finish the file and give it its name, with what has been written so far."""

    def discard(self) -> None:
        """Give up: nothing is left behind."""
