# SPDX-License-Identifier: Apache-2.0
"""How cameras do."""

from __future__ import annotations

import numpy as np
import pytest

from pose3d_ros.fusion.corrections import Corrections
from pose3d_ros.fusion.health import Health
from pose3d_ros.fusion.sighting import View
from pose3d_ros.tools.rig import CAMERA

S = 1_000_000_000


def test_rate_delay_and_a_camera_that_stopped_or_never_came() -> None:
    health = Health(['a', 'b', 'c'])
    for k in range(90):
        for name in 'ab'[: 2 if k < 30 else 1]:
            stamp = k * S // 30
            health.received(View(name, stamp, CAMERA, np.eye(3), np.zeros(3), (), stamp + S // 20))
    a, b, c = health.states(3 * S, Corrections())
    assert a.rate_hz == pytest.approx(30, rel=0.01)
    assert a.delay_s == pytest.approx(0.05)
    assert a.problem == ''
    assert 'stopped 2.0 s ago' in b.problem
    assert c.problem == 'nothing has come of it'


def test_no_common_view_is_named() -> None:
    health = Health(['a'])
    health.received(View('a', 0, CAMERA, np.eye(3), np.zeros(3), ()))
    for _ in range(40):
        health.matched('a', 1, 0)
    health.missed('a', 0.01)
    (state,) = health.states(0, Corrections())
    assert 'no common view' in state.problem
    assert state.share_matched == 0
    assert state.error_px == pytest.approx(0.01 * CAMERA.focal)
