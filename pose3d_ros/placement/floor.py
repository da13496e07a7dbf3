# SPDX-License-Identifier: Apache-2.0
"""Where the floor is, by what a frame tells."""

from __future__ import annotations

from ..settings.pipeline import PipelineConfig
from ..types import Floor, Frame
from .learnt_floor import FloorMemory

_GRAVITY_TILT_SIGMA, _CAMERA_HEIGHT_SIGMA_M = 0.015, 0.03


def floor_of(
    frame: Frame,
    config: PipelineConfig,
    learnt: FloorMemory | None = None,
    size_sigma: float = 0.1,
) -> Floor | None:
    """The floor of a frame as the settings want it known; None if it is not.

    learnt: from the people so far. size_sigma: of the network's sizes, relative.
    """
    if config.parity:
        return None
    if config.floor in ('tf', 'auto') and frame.floor is not None:
        return frame.floor
    if (
        config.floor in ('gravity', 'auto')
        and frame.gravity is not None
        and config.camera_height_m > 0
    ):
        return Floor(
            -frame.gravity, config.camera_height_m, _GRAVITY_TILT_SIGMA, _CAMERA_HEIGHT_SIGMA_M
        )
    if config.floor == 'people' and learnt is not None:
        return learnt.floor(frame, config, size_sigma)
    return None
