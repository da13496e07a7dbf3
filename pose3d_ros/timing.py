# SPDX-License-Identifier: Apache-2.0
"""How long the stages of a call took."""

from __future__ import annotations

import time


class StageTimer:
    """Milliseconds of each stage of the last call, added up where a stage comes several times."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}
        self._last = 0.0

    def start(self, *stages: str) -> None:
        """A new call with these stages, of which the first begins now."""
        self.milliseconds = dict.fromkeys(stages, 0.0)
        self.resume()

    def resume(self) -> None:
        """A stage begins now; the time since the last one ended counts for none."""
        self._last = time.perf_counter()

    def end(self, stage: str) -> None:
        """A stage ends and the next begins."""
        now = time.perf_counter()
        self.milliseconds[stage] = self.milliseconds.get(stage, 0.0) + (now - self._last) * 1e3
        self._last = now
