# SPDX-License-Identifier: Apache-2.0
"""Which frame the images of a camera are in, and whether it can be an optical one.

All estimation happens in optical axes (REP 103: x right, y down, z forward). Simulators and some
drivers name a body frame in their images (x forward, y left, z up). By the setting image_frame the
axes of results are those of such a frame (body), or another frame stands for it (a name).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np

from ..settings.node import NodeConfig
from ..types import Array
from .frames import Z_UP, FrameTree

OPTICAL, BODY = 'optical', 'body'
BODY_AXES = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""x_body = BODY_AXES x_optical (REP 103)."""

_UPRIGHT = math.cos(math.radians(30))
_LOOK_AGAIN_S = 1.0


def frame_of(named: str, config: NodeConfig) -> str:
    """The frame of an image whose header names that one."""
    if config.image_frame not in (OPTICAL, BODY):
        return config.image_frame
    return named or config.camera_frame


def axes_of(config: NodeConfig) -> Array:
    """(3, 3) x_frame = axes x_optical, for the frames of images."""
    return BODY_AXES if config.image_frame == BODY else np.eye(3)


class Transforms(Protocol):
    """What is asked of the adapter."""

    def frames(self) -> FrameTree:
        """What transforms connect now. Transforms are listened to from the first call on."""

    def newest(self, target: str, source: str) -> tuple[Array, Array, int | None]:
        """As Adapter.newest of node/host.py."""


class OpticalCheck:
    """Whether transforms contradict that the images of a camera are in an optical frame.

    problem: what is wrong and what to set; empty if nothing is known to be.
    """

    def __init__(self, transforms: Transforms, timer: Callable[[], float]) -> None:
        self.problem = ''
        self._transforms, self._timer = transforms, timer
        self._frame = ''
        self._settled = False
        self._look_at = 0.0

    def look(self, frame: str, config: NodeConfig) -> bool:
        """Take note of the frame of an image; whether a problem has come up just now."""
        if config.image_frame != OPTICAL or not frame or OPTICAL in frame.lower():
            self.problem = ''
            return False
        now = self._timer()
        if frame != self._frame:
            self._frame, self._settled, self._look_at = frame, False, now
        if self._settled or now < self._look_at:
            return False
        self._look_at = now + _LOOK_AGAIN_S
        before, self.problem = self.problem, self._contradiction(frame, config)
        return bool(self.problem) and self.problem != before

    def _contradiction(self, frame: str, config: NodeConfig) -> str:
        tree = self._transforms.frames()
        upright = [config.gravity_frame, *(tree.upright(frame, [name]) for name in Z_UP)]
        if OPTICAL not in config.target_frame.lower():
            # The last to be asked: nothing says that its z axis points up.
            upright.append(config.target_frame)
        for reference in upright:
            if not reference or reference == frame or not tree.connects(frame, reference):
                continue
            try:
                rotation, _, _ = self._transforms.newest(reference, frame)
            except LookupError:
                continue
            # What looks ahead now is an optical frame, even if its head looks up later.
            self._settled = float(rotation[2, 2]) < _UPRIGHT
            return '' if self._settled else _problem(frame, reference)
        return ''


def _problem(frame: str, reference: str) -> str:
    return (
        f'images are in {frame}, and its z axis points up in {reference}: that is no optical frame '
        'of a camera that looks ahead, so people come out in wrong places; set image_frame: body '
        f'if x points forward in {frame}, or image_frame to the name of the optical frame '
        f'(image_frame: {frame} if the camera does look up)'
    )
