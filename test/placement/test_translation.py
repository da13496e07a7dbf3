# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from pose3d_ros.placement.translation import solve_translation

RNG = np.random.default_rng(3)


@pytest.mark.parametrize('depth', [None, 4.0])
def test_translation_is_recovered(depth: float | None) -> None:
    xyz, t = RNG.normal(scale=0.4, size=(20, 3)), np.array([0.7, -0.3, 4.0])
    rays = (xyz + t)[:, :2] / (xyz + t)[:, 2:]
    found = solve_translation(xyz, rays, np.ones(20), depth)
    assert found is not None
    np.testing.assert_allclose(found.t, t, atol=1e-9)
    assert found.residual < 1e-9


def test_translation_leaves_out_what_has_no_ray_or_weight() -> None:
    xyz, t = RNG.normal(scale=0.4, size=(20, 3)), np.array([0.0, 0.2, 3.0])
    rays = (xyz + t)[:, :2] / (xyz + t)[:, 2:]
    weights = np.ones(20)
    rays[0] = np.nan
    rays[1], weights[1] = 5.0, 0.0
    xyz[2] = np.nan
    found = solve_translation(xyz, rays, weights)
    assert found is not None
    np.testing.assert_allclose(found.t, t, atol=1e-9)


def test_translation_that_nothing_determines() -> None:
    xyz = RNG.normal(scale=0.4, size=(20, 3))
    same = np.zeros((20, 2))
    assert solve_translation(xyz, same, np.ones(20)) is None
    assert solve_translation(xyz[:2], same[:2], np.ones(2)) is None
    assert solve_translation(xyz, np.full((20, 2), np.nan), np.ones(20)) is None
    # Seen from behind the camera: the picture is upside down.
    flipped = -xyz[:, :2] / (xyz[:, 2:] + 4)
    assert solve_translation(xyz, flipped, np.ones(20)) is None
