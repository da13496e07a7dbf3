# SPDX-License-Identifier: Apache-2.0
"""How each camera does: rate, delay, share of its people that others see too, reprojection."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .corrections import Corrections
from .sighting import View

_WINDOW_NS = 5_000_000_000
_STOPPED_NS = 1_000_000_000


@dataclass(frozen=True)
class CameraHealth:
    """State of a camera over the last seconds; NaN: unknown.

    rate_hz: of views. delay_s: from stamp to arrival. share_matched: of its people, those whom
    other cameras see too. error_px: median distance in the image from where the other cameras have
    the joints. problem: what is wrong, empty if nothing is.
    """

    name: str
    rate_hz: float
    delay_s: float
    share_matched: float
    error_px: float
    problem: str


@dataclass
class _Counts:
    views: deque[tuple[int, int, float]] = field(default_factory=deque)
    people: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=150))
    misses: deque[float] = field(default_factory=lambda: deque(maxlen=300))


class Health:
    """Counts by camera."""

    def __init__(self, cameras: Sequence[str]) -> None:
        self._counts = {name: _Counts() for name in cameras}
        self._first_ns: int | None = None

    def received(self, view: View) -> None:
        """A view came."""
        now = view.stamp_ns if view.received_ns is None else view.received_ns
        views = self._counts[view.source].views
        if self._first_ns is None or now < self._first_ns:
            self._first_ns = now
        if views and now < views[-1][0]:
            views.clear()
        views.append((now, view.stamp_ns, view.camera.focal))
        while now - views[0][0] > _WINDOW_NS:
            views.popleft()

    def matched(self, name: str, people: int, shared: int) -> None:
        """So many people were in a camera's view at a common time, of them so many with others."""
        if people:
            self._counts[name].people.append((people, shared))

    def missed(self, name: str, angle: float) -> None:
        """Take in a median angle, radians, between rays of a camera and what the others see."""
        self._counts[name].misses.append(angle)

    def states(self, now_ns: int, corrections: Corrections) -> list[CameraHealth]:
        """The state of each camera."""
        return [self._state(name, now_ns, corrections) for name in self._counts]

    def _state(self, name: str, now_ns: int, corrections: Corrections) -> CameraHealth:
        counts = self._counts[name]
        views = [v for v in counts.views if now_ns - v[0] <= _WINDOW_NS]
        delays = [(received - stamp) * 1e-9 for received, stamp, _ in views]
        span = (views[-1][0] - views[0][0]) * 1e-9 if len(views) > 1 else 0.0
        people = sum(many for many, _ in counts.people)
        shared = sum(some for _, some in counts.people)
        focal = views[-1][2] if views else math.nan
        error = float(np.median(counts.misses)) * focal if counts.misses else math.nan
        problem = ''
        if not counts.views:
            if self._first_ns is not None and now_ns - self._first_ns > _STOPPED_NS:
                problem = 'nothing has come of it'
        elif now_ns - counts.views[-1][0] > _STOPPED_NS:
            problem = f'stopped {(now_ns - counts.views[-1][0]) * 1e-9:.1f} s ago'
        elif name in corrections.applied:
            problem = f'disagrees with the others: {corrections.applied[name]} (corrected)'
        elif name in corrections.suspects:
            others = ', '.join(other for other in corrections.suspects if other != name)
            problem = f'disagrees with {others}: one of them was moved, or its clock is off'
        elif people > 30 and not shared:
            problem = 'sees nobody whom another camera sees: no common view, or its place is wrong'
        return CameraHealth(
            name=name,
            rate_hz=(len(views) - 1) / span if span > 0 else 0.0,
            delay_s=float(np.median(delays)) if delays else math.nan,
            share_matched=shared / people if people else math.nan,
            error_px=error,
            problem=problem,
        )
