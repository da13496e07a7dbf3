# SPDX-License-Identifier: Apache-2.0
"""Motion of a made-up body."""

from __future__ import annotations

from typing import Any

import numpy as np

from pose3d_ros.estimators.lifter.features import COUNT, JOINTS, WINDOW
from pose3d_ros.tools.training.motion import Take


def walker() -> Take:
    """Somebody of random joints who slides two metres along."""
    rng = np.random.default_rng(0)
    pose = rng.normal(0, 0.3, (1, COUNT, 3)) + np.array([0, 0, 1])
    steps = np.linspace(0, 2, 200)[:, None, None] * np.array([1.0, 0, 0])
    return Take('01_01', '01', (pose + steps).astype(np.float32))


def standing(count: int) -> Any:
    """(B, T, 22, 3) somebody 4 m away who faces the camera, arms hanging."""
    import torch

    index = {name: k for k, name in enumerate(JOINTS)}
    body = torch.zeros(count, WINDOW, COUNT, 3)
    places = {
        'pelvis': (0, 0), 'spine': (0, -0.2), 'thorax': (0, -0.48), 'neck': (0, -0.6),
        'head': (0, -0.72), 'nose': (0, -0.6),
    }  # fmt: skip
    sides = {
        'hip': (0.1, 0), 'knee': (0.1, 0.4), 'ankle': (0.1, 0.8), 'toe': (0.1, 0.85),
        'shoulder': (0.18, -0.46), 'elbow': (0.3, -0.2), 'wrist': (0.32, 0.05), 'ear': (0.07, -0.6),
    }  # fmt: skip
    for name, (x, y) in places.items():
        body[:, :, index[name], :2] = torch.tensor([x, y])
    for name, (x, y) in sides.items():
        body[:, :, index[f'left_{name}'], :2] = torch.tensor([x, y])
        body[:, :, index[f'right_{name}'], :2] = torch.tensor([-x, y])
    body[:, :, index['nose'], 2] -= 0.1
    return body + torch.tensor([0, 0, 4.0])
