# SPDX-License-Identifier: Apache-2.0
"""Skeleton3DArray of a 2D estimator in another node, for any message classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from pose3d_ros.camera import Camera
from pose3d_ros.skeleton import SKELETONS, Skeleton

SIZE = (640, 480)
CAMERA = Camera(K=np.array([[600.0, 0, 319.5], [0, 600, 239.5], [0, 0, 1]]), size=SIZE)
COCO = SKELETONS['coco_17']
# x right, y down: somebody who stands, metres about the pelvis, in COCO's order.
STANDING = np.array(
    [[0, -.65, -.1], [.03, -.68, -.08], [-.03, -.68, -.08], [.07, -.66, 0], [-.07, -.66, 0],
     [.18, -.5, 0], [-.18, -.5, 0], [.22, -.22, 0], [-.22, -.22, 0], [.24, .03, -.05],
     [-.24, .03, -.05], [.1, 0, 0], [-.1, 0, 0], [.1, .42, 0], [-.1, .42, 0], [.1, .84, 0.05],
     [-.1, .84, 0.05]]
)  # fmt: skip

# Joints that COCO lacks, by meaning; hands and feet lie at wrists and ankles.
_OTHERS = {
    'pelvis': (0, 0, 0), 'spine': (0, -.25, 0), 'thorax': (0, -.5, 0), 'mid_shoulder': (0, -.5, 0),
    'upper_neck': (0, -.58, 0), 'skull_base': (0, -.62, 0), 'head_top': (0, -.82, 0),
}  # fmt: skip
_NEAR = {
    'pinky': 'wrist', 'index': 'wrist', 'thumb': 'wrist', 'heel': 'ankle', 'toe': 'ankle',
    'foot_index': 'ankle', 'big_toe': 'ankle', 'small_toe': 'ankle', 'eye_inner': 'eye',
    'eye_outer': 'eye',
}  # fmt: skip


def standing_in(skeleton: Skeleton) -> np.ndarray:
    """(J, 3) the same person in another convention."""
    out = []
    for meaning in skeleton.by_meaning:
        side, _, part = meaning.partition('_')
        name = f'{side}_{_NEAR[part]}' if part in _NEAR else meaning
        if name.startswith('mouth'):
            name = 'nose'
        out.append(_OTHERS[name] if name in _OTHERS else STANDING[COCO.index(name)])
    return np.array(out, float)


def pixels_at(x: float = 0.0, z: float = 4.0) -> np.ndarray:
    """(17, 2) where the joints of somebody there are in the image."""
    return CAMERA.project(STANDING + np.array([x, 0.0, z]))


def array_of(
    types: Any, header: Any, *people: np.ndarray, convention: str = 'coco_17', **changes: Any
) -> Any:
    """Of people's pixels (J, 2); joints of NaN are left out. changes: of the array's fields."""
    message = types('pose3d_ros/msg/Skeleton3DArray')(
        header=header, convention=convention, image_width=SIZE[0], image_height=SIZE[1]
    )
    for pixels in people:
        skeleton = types('pose3d_ros/msg/Skeleton3D')(score=0.9)
        for k, (x, y) in enumerate(pixels.tolist()):
            if x == x:
                joint = types('pose3d_ros/msg/Joint3D')(id=k, status=1, confidence=0.9)
                joint.pixel_x, joint.pixel_y = x, y
                skeleton.joints.append(joint)
        message.skeletons.append(skeleton)
    for name, value in changes.items():
        setattr(message, name, value)
    return message
