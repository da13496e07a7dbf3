# SPDX-License-Identifier: Apache-2.0
"""People to make messages of."""

from __future__ import annotations

import numpy as np

from pose3d_ros.skeleton import get_skeleton
from pose3d_ros.types import JointStatus, Pose3D, PositionSource, TrackingState

from .blobs import SKELETON, body


def person(track_id=1, at=(0.0, 0.0, 3.0), **changes) -> Pose3D:
    """Somebody who stands and faces the camera, mid hips at that place."""
    fields = {
        'skeleton': SKELETON,
        'xyz': body() + at,
        'confidence': np.full(17, 0.8),
        'pixels': 320 + 100 * body()[:, :2],
        'status': np.full(17, JointStatus.MEASURED, np.uint8),
        'position_source': PositionSource.ASSUMED,
        'score': 0.75,
        'track_id': track_id,
        'tracking_state': TrackingState.TRACKED,
    }
    return Pose3D(**{**fields, **changes})


def random_person(rng, name='blazepose_33', **changes) -> Pose3D:
    """Joints anywhere, with covariances."""
    skeleton = get_skeleton(name)
    joints = len(skeleton)
    fields = {
        'skeleton': skeleton,
        'xyz': rng.normal((0, 0, 3), size=(joints, 3)),
        'confidence': rng.random(joints),
        'pixels': rng.uniform(0, 480, (joints, 2)),
        'status': np.full(joints, JointStatus.MEASURED, np.uint8),
        'covariance': np.tile(np.diag([0.01, 0.02, 0.03]), (joints, 1, 1)),
        'position_source': PositionSource.METRIC,
        'score': 0.9,
        'track_id': 1,
    }
    return Pose3D(**{**fields, **changes})
