# SPDX-License-Identifier: Apache-2.0
"""Inverses and determinants of stacks, against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

from pose3d_ros.estimators.lifting_from_the_deep.stacked_inverse import inverse


@pytest.mark.parametrize('size', [1, 2, 9, 10, 11, 17, 23])
@pytest.mark.parametrize('stack', [(), (7,), (3, 5)])
def test_like_numpy(size: int, stack: tuple[int, ...]) -> None:
    rng = np.random.default_rng(size)
    half = rng.normal(size=(*stack, size, 2 * size)) * 10 ** rng.uniform(-1, 1, size)[:, None]
    matrices = half @ half.swapaxes(-1, -2) + np.eye(size)
    kept = matrices.copy()
    found, determinant = inverse(matrices)
    np.testing.assert_array_equal(matrices, kept)
    expected = np.linalg.inv(matrices)
    np.testing.assert_allclose(found, expected, atol=1e-9 * np.abs(expected).max())
    np.testing.assert_allclose(determinant, np.linalg.slogdet(matrices)[1], rtol=1e-12)
