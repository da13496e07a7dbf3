# SPDX-License-Identifier: Apache-2.0
"""Motion of a made-up body."""

from __future__ import annotations

import numpy as np

from pose3d_ros.lifting.features import COUNT
from pose3d_ros.training.motion import Take


def walker() -> Take:
    """Somebody of random joints who slides two metres along."""
    rng = np.random.default_rng(0)
    pose = rng.normal(0, 0.3, (1, COUNT, 3)) + np.array([0, 0, 1])
    steps = np.linspace(0, 2, 200)[:, None, None] * np.array([1.0, 0, 0])
    return Take('01_01', '01', (pose + steps).astype(np.float32))
