# SPDX-License-Identifier: Apache-2.0
"""An adult of known size who stands on the floor in front of a camera with distortion."""

from __future__ import annotations

import math

import numpy as np

from pose3d_ros.camera import Camera
from pose3d_ros.skeleton import SKELETONS, Skeleton
from pose3d_ros.types import Floor, JointStatus, Pose3D

CAMERA = Camera(
    K=np.array([[550.0, 0, 320], [0, 550, 240], [0, 0, 1]]),
    size=(640, 480),
    model='plumb_bob',
    D=np.array([-0.2, 0.05, 0, 0, 0]),
)
PITCH = math.radians(12)
UP = np.array([0.0, -math.cos(PITCH), -math.sin(PITCH)])
HEIGHT = 1.3
FLOOR = Floor(UP, HEIGHT)
FORWARD = np.array([0.0, -math.sin(PITCH), math.cos(PITCH)])
BLAZEPOSE = SKELETONS['blazepose_33']
# Heights above the floor, to the left or right; adult, standing.
HEIGHTS = {'shoulder': 1.4, 'hip': 0.9, 'knee': 0.5, 'ankle': 0.105, 'heel': 0.06}
TOES = {'blazepose_33': ('foot_index', 0.04), 'coco_17': None, 'cmu_22': ('toe', 0.04)}


def standing(
    skeleton: Skeleton = BLAZEPOSE, lift: float = 0.0, distance: float = 3.5, scale: float = 1.0
) -> tuple[Pose3D, np.ndarray]:
    """A root-relative adult as the network sees it, of a body of that size, and its true root."""
    heights, toe = dict(HEIGHTS), TOES[skeleton.name]
    if toe:
        heights[toe[0]] = toe[1]
    xyz = np.full((len(skeleton), 3), np.nan)
    for k, name in enumerate(skeleton.names):
        side, _, joint = name.partition('_')
        if joint in heights:
            x = np.array([0.15 if side == 'left' else -0.15, 0, 0])
            xyz[k] = scale * (x + heights[joint] * UP)
    xyz += distance * FORWARD + (lift - HEIGHT) * UP
    hips = [skeleton.index('left_hip'), skeleton.index('right_hip')]
    root = xyz[hips].mean(axis=0)
    present = np.isfinite(xyz[:, 0])
    pose = Pose3D(
        skeleton=skeleton,
        xyz=(xyz - root) / scale,
        confidence=np.where(present, 1.0, np.nan),
        pixels=CAMERA.project(xyz),
        status=np.where(present, JointStatus.MEASURED, JointStatus.INVALID).astype(np.uint8),
        covariance=np.tile(np.eye(3) * 1e-4, (len(skeleton), 1, 1)),
        size_px=250.0,
        track_id=1,
    )
    return pose, root
