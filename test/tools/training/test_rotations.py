# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('torch')

import torch
from scipy.spatial.transform import Rotation

from pose3d_ros.tools.training.rotations import rotation, trunk_axes


def test_rotations_are_those_of_scipy() -> None:
    vectors = np.random.default_rng(0).normal(0, 1.5, (20, 3))
    vectors[0] = 0
    found = rotation(torch.from_numpy(vectors)).numpy()
    np.testing.assert_allclose(found, Rotation.from_rotvec(vectors).as_matrix(), atol=1e-6)


def test_axes_of_somebody_who_faces_y() -> None:
    # z up; the left side lies at -x.
    axes = trunk_axes(torch.tensor([[-0.3, 0.0, 0.0]]), torch.tensor([[0.0, 0.05, 0.5]]))[0]
    left, back, up = axes.T.numpy()
    np.testing.assert_allclose(left, [-1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(
        back, [0, -np.cos(np.arctan(0.1)), np.sin(np.arctan(0.1))], atol=1e-6
    )
    assert up[2] > 0.99
