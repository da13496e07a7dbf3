# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from pose3d_ros.estimators.lifter.history import History, held


def test_history_interpolates_and_begins_anew() -> None:
    history = History(span_ns=1000, gap_ns=500)
    history.add(0, np.array([[0.0, 1.0]]))
    history.add(100, np.array([[1.0, np.nan]]))
    values, inside = history.sample(np.array([-100, 0, 50, 100, 200]), 10)
    np.testing.assert_array_equal(inside, [False, True, True, True, False])
    np.testing.assert_allclose(values[:, 0, 0], [0, 0, 0.5, 1, 1])
    np.testing.assert_array_equal(np.isnan(values[:, 0, 1]), [False, False, True, True, True])
    assert history.add(700, np.array([[5.0, 5.0]]))
    assert len(history) == 1


def test_held_repeats_the_nearest() -> None:
    values = np.array([np.nan, 1.0, np.nan, 3.0]).reshape(-1, 1, 1)
    np.testing.assert_array_equal(held(values).ravel(), [1, 1, 1, 3])
