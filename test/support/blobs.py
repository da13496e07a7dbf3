# SPDX-License-Identifier: Apache-2.0
"""An estimator without a network: each bright blob is a person who stands facing the camera.

Its value for tests: the right answer is known for every image, it needs no model file, and it
is quick.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pose3d_ros.settings.estimators import EstimatorSpec
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.skeleton import get_skeleton
from pose3d_ros.types import EstimatorInfo, Frame, JointStatus, Pose3D

SKELETON = get_skeleton('coco_17')
HEIGHT_M = 1.6
# x to the right of the image, y down, metres from mid hips; the person's left is at the right.
_SIDE = {
    'eye': (0.03, -0.70),
    'ear': (0.07, -0.68),
    'shoulder': (0.18, -0.50),
    'elbow': (0.25, -0.25),
    'wrist': (0.28, 0.0),
    'hip': (0.10, 0.0),
    'knee': (0.11, 0.40),
    'ankle': (0.12, 0.80),
}


def body() -> np.ndarray:
    """(17, 3) metres, axes of the optical frame, origin mid hips."""
    joints = []
    for name in SKELETON.names:
        side, _, part = name.partition('_')
        x, y = _SIDE.get(part, (0.0, -0.66))
        joints.append((x if side == 'left' else -x, y, 0.0))
    return np.array(joints)


def draw(people: Sequence[tuple[float, float, float]], size: tuple[int, int] = (640, 480)):
    """BGR image with a bright bar for each person: centre x, y and height in pixels."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    for x, y, height in people:
        top, bottom = int(y - height / 2), int(y + height / 2)
        half = int(height / 8)
        cv2.rectangle(image, (int(x - half), top), (int(x + half), bottom), (255, 255, 255), -1)
    return image


@dataclass(frozen=True)
class Options:
    """None."""


class Estimator:
    """Finds bright blobs. A pure red image makes it fail: a network that throws."""

    spec = EstimatorSpec(Options)
    skeleton = SKELETON
    info = EstimatorInfo('blobs', '1', 'none', 'cpu', 'f32', True)
    slow_ms = 0.0

    def __init__(self, config: PipelineConfig) -> None:
        self._min_score = config.min_score
        self._timings: dict[str, float] = {}

    def estimate(self, frames: Sequence[Frame]) -> list[list[Pose3D]]:
        """One pose for each blob."""
        begin = time.perf_counter()
        time.sleep(self.slow_ms * 1e-3)
        people = [self._people(frame.image) for frame in frames]
        self._timings = {'landmarks': 1e3 * (time.perf_counter() - begin)}
        return people

    def _people(self, image: np.ndarray) -> list[Pose3D]:
        if tuple(image.reshape(-1, 3).mean(axis=0).round()) == (0, 0, 255):
            raise RuntimeError('the network failed on a red image')
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        mask = (grey > 127).astype(np.uint8)
        count, _, stats, _ = cv2.connectedComponentsWithStats(mask, ltype=cv2.CV_32S)
        poses = []
        for x, y, width, height, area in stats[1:count]:
            if area < 100:
                continue
            centre = np.array([x + (width - 1) / 2, y + (height - 1) / 2])
            xyz = body()
            poses.append(
                Pose3D(
                    skeleton=SKELETON,
                    xyz=xyz,
                    confidence=np.full(17, 0.9),
                    pixels=centre + xyz[:, :2] * (height / HEIGHT_M),
                    status=np.full(17, JointStatus.MEASURED, dtype=np.uint8),
                    score=0.9,
                    size_px=float(height),
                )
            )
        return poses

    def reset(self, source: str | None = None) -> None:
        """No state."""

    def configure(self, config: PipelineConfig) -> None:
        """Live settings."""
        self._min_score = config.min_score

    def timings(self) -> dict[str, float]:
        """Milliseconds of the last call."""
        return dict(self._timings)
