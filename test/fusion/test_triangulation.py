# SPDX-License-Identifier: Apache-2.0
"""Points from rays, one of which may be wrong."""

from __future__ import annotations

import numpy as np

from pose3d_ros.fusion.triangulation import Rays, intersections, misses, solve

POINTS = np.array([[0.0, 0.0, 1.0], [0.5, -0.2, 1.4], [-0.3, 0.4, 0.1]])
PLACES = np.array([[4.0, 0, 1.5], [-2, 3.5, 1.5], [-2, -3.5, 1.5]])


def rays(points=POINTS, places=PLACES) -> tuple[Rays, np.ndarray]:
    away = points - places[:, None]
    depth = np.linalg.norm(away, axis=2)
    origins = np.broadcast_to(places[:, None], away.shape)
    return Rays(origins, away / depth[..., None], np.full(depth.shape, 0.02)), depth


def test_exact_rays_meet_in_the_points() -> None:
    exact, depth = rays()
    start = intersections(exact)
    np.testing.assert_allclose(start, POINTS, atol=1e-9)
    solved = solve(exact, start, depth, np.full(depth.shape, 0.1))
    np.testing.assert_allclose(solved.xyz, POINTS, atol=1e-6)
    assert solved.takes_part.all()


def test_a_wrong_ray_is_rolled_out() -> None:
    exact, depth = rays()
    turned = exact.directions.copy()
    turned[2, 1] += (0, 0.1, 0.05)
    turned[2, 1] /= np.linalg.norm(turned[2, 1])
    wrong = Rays(exact.origins, turned, exact.sigma)
    solved = solve(wrong, intersections(wrong), depth, np.full(depth.shape, 0.1))
    np.testing.assert_allclose(solved.xyz, POINTS, atol=0.01)
    assert not solved.takes_part[2, 1]
    assert solved.takes_part.sum() == 8


def test_a_joint_of_one_camera_is_where_that_camera_has_it_and_as_uncertain() -> None:
    exact, depth = rays()
    directions = exact.directions.copy()
    directions[1:, 0] = np.nan
    one = Rays(exact.origins, directions, exact.sigma)
    solved = solve(one, intersections(one), depth, np.full(depth.shape, 0.3))
    np.testing.assert_allclose(solved.xyz[0], POINTS[0], atol=1e-6)
    ahead = directions[0, 0]
    assert np.isclose(ahead @ solved.covariance[0] @ ahead, 0.09, rtol=1e-3)
    assert np.trace(solved.covariance[1]) < 0.01


def test_parallel_rays_do_not_meet_and_a_point_behind_misses() -> None:
    exact, _ = rays(places=np.array([[4.0, 0, 1.5], [4.0, 0, 1.5]]))
    assert np.isnan(intersections(exact)).all()
    assert np.isinf(misses(np.array([[9.0, 0, 2.0]] * 3), exact)).all()


def test_a_joint_that_nobody_sees_is_missing() -> None:
    exact, depth = rays()
    directions = exact.directions.copy()
    directions[:, 2] = np.nan
    none = Rays(exact.origins, directions, exact.sigma)
    solved = solve(none, intersections(none), depth, np.full(depth.shape, 0.1))
    assert np.isnan(solved.xyz[2]).all()
    assert np.isfinite(solved.xyz[:2]).all()
