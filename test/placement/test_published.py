# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from pose3d_ros.placement.published import METHODS, place_as_published

T = np.array([0.3, -0.2, 4.0])


@pytest.mark.parametrize('method', METHODS)
def test_exact_rays_place_a_flat_body_exactly(method: str) -> None:
    xyz = np.random.default_rng(0).normal(0, 0.4, (17, 3))
    xyz[:, 2] *= 0.0 if method == 'metrabs_weak' else 1.0
    placed = xyz + T
    rays = placed[:, :2] / placed[:, 2:]
    trusted = np.ones(17, dtype=bool)
    # The ridge of the later release costs a few millimetres.
    atol = {'metrabs': 0.02, 'metrabs_2020': 1e-6, 'metrabs_weak': 1e-6}[method]
    np.testing.assert_allclose(place_as_published(method, xyz, rays, trusted), placed, atol=atol)
    rays[3] = np.nan
    trusted[5], rays[5] = False, rays[5] + 0.05
    moved = place_as_published(method, xyz, rays, trusted)
    # Joints that do not count move along with the others.
    np.testing.assert_allclose(moved, placed, atol=atol + 5e-3)
