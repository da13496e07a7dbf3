# SPDX-License-Identifier: Apache-2.0
"""Against recorded results of the published lifting."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from shared import PARITY, parity_files, stem_of

from pose3d_ros.estimators.lifting_from_the_deep import prior as lifting

FOLDER = 'lifting_from_the_deep'
LIFTS = parity_files(FOLDER, 'lift_*.npz') + parity_files(FOLDER, 'quirk_*split*.npz')
FAULTS = [path for path in parity_files(FOLDER, 'quirk_*.npz') if 'split' not in path.stem]
# Least squares and the fast form, mm.
FORMS = [(True, 0.01), (False, 0.1)]
# The recorded skeletons' prior is not in every folder of cases; then there is nothing to compare.
# Slots of h36m_17 that the 14 joints of CPM fill.
SLOTS = np.array([10, 8, 14, 15, 16, 11, 12, 13, 1, 2, 3, 4, 5, 6])
PRIORS = parity_files(FOLDER, 'prob_model_*.mat')


@pytest.fixture(scope='module')
def lifter() -> lifting.Lifter:
    if not PRIORS:
        pytest.skip(f'no recorded results in {PARITY / FOLDER}')
    return lifting.Lifter(lifting.Prior.load(PRIORS[0]))


def slots(data: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (P, 17, 2) as x, y and visibility (P, 17)."""
    if 'pose_2d_17' in data:
        return np.asarray(data['pose_2d_17']), np.asarray(data['weights'][:, 0] > 0)
    people = len(data['pose_2d'])
    pixels, seen = np.zeros((people, 17, 2)), np.zeros((people, 17), dtype=bool)
    pixels[:, SLOTS] = data['pose_2d'][..., ::-1]
    seen[:, SLOTS] = data['visible']
    return pixels, seen


def read(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as data:
        return {name: data[name] for name in data.files}


def check(lifter: lifting.Lifter, path: Path, exact: bool, limit: float, faults: bool) -> None:
    data = read(path)
    pixels, seen = slots(data)
    np.testing.assert_array_equal(seen, data['weights'][:, 0] > 0)
    found = lifting.lift_as_published(lifter, pixels, seen, faults=faults, exact=exact)
    for body, expected in zip(found, data['pose_3d'], strict=True):
        assert body is not None
        assert np.abs(body - expected).max() < limit


@pytest.mark.slow
@pytest.mark.parametrize(('exact', 'limit'), FORMS, ids=['least_squares', 'fast'])
@pytest.mark.parametrize('path', LIFTS, ids=stem_of)
def test_poses(lifter: lifting.Lifter, path: Path, exact: bool, limit: float) -> None:
    check(lifter, path, exact, limit, faults=False)


@pytest.mark.parametrize(('exact', 'limit'), FORMS, ids=['least_squares', 'fast'])
@pytest.mark.parametrize('path', FAULTS, ids=stem_of)
def test_faults_only_when_asked_for(
    lifter: lifting.Lifter, path: Path, exact: bool, limit: float
) -> None:
    check(lifter, path, exact, limit, faults=True)
    data = read(path)
    pixels, seen = slots(data)
    together = lifting.lift_as_published(lifter, pixels, seen)
    for k, body in enumerate(together):
        (alone,) = lifting.lift_as_published(lifter, pixels[k : k + 1], seen[k : k + 1])
        assert body is not None
        assert alone is not None
        np.testing.assert_allclose(body, alone)


@pytest.mark.slow
@pytest.mark.parametrize('path', LIFTS, ids=stem_of)
def test_fits(lifter: lifting.Lifter, path: Path) -> None:
    data = read(path)
    pixels, seen = slots(data)
    for k in range(len(pixels)):
        points, half = lifting.normalise(pixels[k], seen[k])
        assert half == pytest.approx(data['half_height'][k], rel=1e-9)
        np.testing.assert_allclose(points[seen[k]], data['normalised_2d'][k].T[seen[k]], atol=1e-9)
        if 'chart_residual' not in data:
            continue
        for fit in (lifter.fit(points, seen[k]), lifter.fit_least_squares(points, seen[k])):
            np.testing.assert_allclose(fit.residuals, data['chart_residual'][:, k], rtol=1e-6)
            np.testing.assert_allclose(fit.scales, data['chart_scale'][:, k], rtol=1e-6)
            np.testing.assert_array_equal(fit.angles, data['chart_angle_index'][:, k])
            np.testing.assert_allclose(fit.scores, data['chart_score'][:, k], rtol=1e-6)
            assert fit.component == data['best_chart'][k]


@pytest.mark.parametrize('path', parity_files(FOLDER, 'prob_model_*.npz'), ids=stem_of)
def test_mat_and_npz_hold_the_same(path: Path) -> None:
    if not path.with_suffix('.mat').is_file():
        pytest.skip('no .mat beside it')
    a, b = lifting.Prior.load(path), lifting.Prior.load(path.with_suffix('.mat'))
    for name in ('mu', 'e', 'sigma', 'noise'):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
