# SPDX-License-Identifier: Apache-2.0
"""The estimator of blobs that tells poses of three frames at once, when it has seen the third."""

from __future__ import annotations

from collections.abc import Sequence

from pose3d_ros.settings.estimators import EstimatorSpec
from pose3d_ros.types import Frame, Pose3D

from . import blobs


class Estimator(blobs.Estimator):
    """See the module."""

    spec = EstimatorSpec(blobs.Options, lifts=True)

    def __init__(self, config) -> None:
        super().__init__(config)
        self._held: list[tuple[Frame, list[Pose3D]]] = []

    def lift(self, frame: Frame, poses: Sequence[Pose3D]) -> list[tuple[Frame, list[Pose3D]]]:
        """Nothing, or three frames."""
        self._held.append((frame, list(poses)))
        return self.flush('') if len(self._held) == 3 else []

    def flush(self, source: str) -> list[tuple[Frame, list[Pose3D]]]:
        """What is held."""
        held, self._held = self._held, []
        return held

    def reset(self, source: str | None = None) -> None:
        """Forget what is held."""
        self._held = []
