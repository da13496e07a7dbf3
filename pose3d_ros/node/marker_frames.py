# SPDX-License-Identifier: Apache-2.0
"""In which frame the markers of an image are drawn.

A robot's place in `odom` or `map` is known later than what its camera sees, and RViz does not wait
for it with markers: it shows nothing. So they go out in such a frame, transformed here at the stamp
of the image, and ask RViz for the newest transform of what lies above.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import numpy as np

from ..messages import MarkerFrame
from ..settings.node import NodeConfig
from ..types import Array, Frame
from .frames import FIXED, Z_UP, FrameTree
from .image_frames import axes_of

AUTO = 'auto'

_LOOK_AGAIN_S = 1.0
_LEVEL_UP = np.array([0.0, -1.0, 0.0])


class Transforms(Protocol):
    """What is asked of the adapter."""

    def frames(self) -> FrameTree:
        """What transforms connect now. Transforms are listened to from the first call on."""

    def lookup(
        self, target: str, source: str, stamp_ns: int, timeout_s: float
    ) -> tuple[Array, Array]:
        """As Adapter.lookup of node/host.py."""


class MarkerFrames:
    """Chooses frames for the images of one camera, by the setting marker_frame."""

    def __init__(self, transforms: Transforms, clock: Callable[[], float] = time.monotonic) -> None:
        self._transforms, self._clock = transforms, clock
        self._source = ''
        self._candidates: list[str] = []
        self._settled = False
        self._look_at = 0.0

    def of(
        self, frame: Frame, output: MarkerFrame, config: NodeConfig, timeout_s: float
    ) -> MarkerFrame:
        """Where to draw the markers of an image.

        output: the frame of its skeletons. timeout_s: how long to wait for a transform. Raises
        LookupError if it does not come.
        """
        if config.marker_frame == AUTO:
            candidates = self._upright(frame.frame_id)
        else:
            candidates = [config.marker_frame] if config.marker_frame else []
        if not candidates:
            return _with_up(output, frame)
        if output.frame_id in candidates:
            return _with_up(replace(output, newest=True), frame)
        for candidate in candidates[:-1]:
            try:
                return self._in(candidate, frame, config, 0.0)
            except LookupError:
                continue
        try:
            return self._in(candidates[-1], frame, config, timeout_s)
        except LookupError:
            # It may be that nobody publishes it any more.
            self._settled = False
            raise

    def _in(self, name: str, frame: Frame, config: NodeConfig, timeout_s: float) -> MarkerFrame:
        rotation, translation = self._transforms.lookup(
            name, frame.frame_id, frame.stamp_ns, timeout_s
        )
        rotation = rotation @ axes_of(config)
        made = MarkerFrame(
            frame.stamp_ns, name, rotation, translation, camera=frame.camera, newest=True
        )
        return _with_up(made, frame)

    def _upright(self, source: str) -> list[str]:
        """Frames with z up, the outermost first: those of the world, else one of the robot."""
        now = self._clock()
        if source != self._source or (not self._settled and now >= self._look_at):
            self._source, self._look_at = source, now + _LOOK_AGAIN_S
            tree = self._transforms.frames()
            names = [tree.upright(source, [name]) for name in FIXED]
            self._candidates = [name for name in names if name]
            self._settled = bool(self._candidates)
            if not self._settled and tree.upright(source):
                self._candidates = [tree.upright(source)]
        return self._candidates


def _with_up(place: MarkerFrame, frame: Frame) -> MarkerFrame:
    """With the direction up in the camera's frame: as the frame says by its name, or gravity."""
    if place.frame_id.rpartition('/')[2] in Z_UP:
        up = place.rotation[2]
    else:
        up = _LEVEL_UP if frame.gravity is None else -frame.gravity
    return replace(place, up=np.asarray(up))
