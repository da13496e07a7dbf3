# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from pose3d_ros.errors import InputError
from pose3d_ros.placement.floor import floor_of
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.types import Floor, Frame

IMAGE = np.zeros((4, 4, 3), np.uint8)
DOWN = np.array([0.0, 1.0, 0.0])
TOLD = Floor(-DOWN, 1.2)


def test_what_tells_of_the_floor() -> None:
    frame = Frame(IMAGE, gravity=DOWN, floor=TOLD)
    assert floor_of(frame, PipelineConfig()) is TOLD
    assert floor_of(frame, PipelineConfig(floor='tf')) is TOLD
    assert floor_of(frame, PipelineConfig(floor='none')) is None
    assert floor_of(frame, PipelineConfig(parity=True)) is None
    assert floor_of(frame, PipelineConfig(floor='gravity')) is None  # of no known height
    made = floor_of(frame, PipelineConfig(floor='gravity', camera_height_m=0.9))
    assert made is not None
    assert made.height_m == 0.9
    np.testing.assert_allclose(made.up, -DOWN)
    assert floor_of(Frame(IMAGE), PipelineConfig(camera_height_m=0.9)) is None


def test_no_floor_at_all() -> None:
    with pytest.raises(InputError, match='unit vector'):
        Floor(np.array([0, -2.0, 0]), 1.0)
    with pytest.raises(InputError, match='above the floor'):
        Floor(-DOWN, -0.1)
