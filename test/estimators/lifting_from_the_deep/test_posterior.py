# SPDX-License-Identifier: Apache-2.0
"""The fast form against the same probabilities with one dense covariance per hypothesis."""

from __future__ import annotations

import numpy as np
import pytest

from pose3d_ros.estimators.lifting_from_the_deep.posterior import PosteriorLifter, helmert
from pose3d_ros.estimators.lifting_from_the_deep.prior import Prior
from pose3d_ros.resources import resource


@pytest.fixture(scope='module')
def prior() -> Prior:
    return Prior.load(resource('config', 'pose_prior.npz'))


def dense(prior: Prior, points: np.ndarray, seen: np.ndarray, angles: int):
    """Shape (3, J) mm, mm per unit and cost: all hypotheses, covariances of image coordinates."""
    n = int(seen.sum())
    centre = np.kron(np.eye(2), np.linalg.svd(np.ones((1, n)))[2][1:])
    w = points[seen].T.ravel()
    scale = np.sqrt(((points[seen] - points[seen].mean(axis=0)) ** 2).mean())
    w = centre @ w / scale
    found = []
    for m in range(len(prior)):
        for angle in 2 * np.pi * np.arange(angles) / angles:
            c, t = np.sin(angle), np.cos(angle)
            turn = np.array([[c, t, 0], [-t, c, 0], [0, 0, 1]])  # right, away, up
            mean, steps = turn @ prior.mu[m], turn @ (prior.e[m] / prior.sigma[m][:, None, None])
            image, project = mean[:, seen], steps[..., seen]
            mu = centre @ np.concatenate([image[0], -image[2]])
            b = np.concatenate([project[:, 0], -project[:, 2]], axis=1) @ centre.T
            inverse = np.linalg.inv(b.T @ b + np.eye(len(mu)) / prior.noise[m] ** 2)
            ww, wm, free = w @ inverse @ w, w @ inverse @ mu, len(w)
            k = (wm + np.sqrt(wm * wm + 4 * ww * free)) / (2 * ww)
            away = k * w - mu
            cost = 0.5 * away @ inverse @ away - free * np.log(k)
            cost -= 0.5 * np.linalg.slogdet(inverse)[1] + np.log(prior.share[m])
            shape = mean + np.tensordot(b @ inverse @ away, steps, 1)
            found.append((cost, k, shape - shape[:, seen].mean(axis=1, keepdims=True)))
    cost = np.array([row[0] for row in found])
    chance = np.exp(cost.min() - cost)
    chance[(chance < 1e-3) | (cost > np.sort(cost)[63])] = 0
    chance /= chance.sum()
    k, shape = (np.tensordot(chance, np.array([row[i] for row in found]), 1) for i in (1, 2))
    return shape, k / scale, cost.min()


@pytest.mark.parametrize('hidden', [(), (0, 7, 9, 10), (0, 7, 9, 10, 3, 13, 16, 17, 20)])
def test_like_the_dense_form(prior: Prior, hidden: tuple[int, ...]) -> None:
    rng = np.random.default_rng(len(hidden))
    seen = np.ones(len(prior.joints), dtype=bool)
    seen[list(hidden)] = False
    x, y, z = prior.mu[4]
    for angle, size in ((0.4, 0.2), (3.9, 30.0)):
        points = np.stack([np.cos(angle) * x + np.sin(angle) * y, -z], axis=1)
        points = size * (points + rng.normal(0, 15, points.shape)) + rng.normal(0, 99, 2)
        points[~seen] = 1e9  # must have no influence
        shape, mm, _ = dense(prior, points, seen, 24)
        found = PosteriorLifter(prior).fit(points, seen)
        assert np.abs(found.shape - shape).max() < 1e-4
        assert found.mm_per_unit == pytest.approx(mm, rel=1e-8)
        # Of points that are scaled nothing is lost.
        again = PosteriorLifter(prior).fit(1.1 * points + 3, seen)
        assert found.cost == pytest.approx(again.cost, abs=1e-6)


def test_costs_compare_with_the_dense_form(prior: Prior) -> None:
    seen = np.ones(len(prior.joints), dtype=bool)
    lifter = PosteriorLifter(prior)
    sets = [prior.mu[m][[0, 2]].T * [1.0, -1.0] for m in (0, 5)]
    slow = [dense(prior, points, seen, 24)[2] for points in sets]
    fast = [lifter.fit(points, seen).cost for points in sets]
    assert fast[0] - fast[1] == pytest.approx(slow[0] - slow[1], abs=1e-6)
    np.testing.assert_allclose(lifter.costs(np.array(sets), seen), fast, rtol=1e-12)


def test_several_at_once(prior: Prior) -> None:
    rng = np.random.default_rng(3)
    seen = np.arange(len(prior.joints)) % 5 > 0
    points = rng.normal(size=(4, len(seen), 2))
    lifter = PosteriorLifter(prior, noise_mm=40.0)
    for one, together in zip(points, lifter.fit_all(points, seen), strict=True):
        alone = lifter.fit(one, seen)
        np.testing.assert_allclose(together.shape, alone.shape, atol=1e-6)
        assert together.mm_per_unit == pytest.approx(alone.mm_per_unit)
    with pytest.raises(ValueError, match='one place'):
        lifter.fit(np.ones((len(seen), 2)), seen)


def test_helmert() -> None:
    rows = helmert(7)
    np.testing.assert_allclose(rows @ rows.T, np.eye(6), atol=1e-12)
    np.testing.assert_allclose(rows.sum(axis=1), 0, atol=1e-12)
