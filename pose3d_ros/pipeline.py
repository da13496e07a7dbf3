# SPDX-License-Identifier: Apache-2.0
"""From a frame to people in metres: the whole way on one page."""

from __future__ import annotations

from collections.abc import Sequence

from . import estimators
from .config import PipelineConfig
from .skeleton import Skeleton
from .types import Frame, Pose3D


class Pipeline:
    """Estimate, place, track, smooth.

    >>> pipeline = Pipeline(PipelineConfig(estimator='blazepose'))
    >>> poses = pipeline.process(frame)

    The only object that the node, the bag runner and the command line need. Not thread-safe: one
    thread calls it.
    """

    skeleton: Skeleton
    """Convention of the poses that come out."""
    info: estimators.EstimatorInfo
    timings: dict[str, float]
    """Milliseconds of each stage of the last call."""
    lost: dict[str, list[int]]
    """Track ids that ended with the last call, by source."""
    resets: int
    """How often state was dropped because time went backwards or had a gap."""

    def __init__(self, config: PipelineConfig) -> None:
        """Load models; raises ConfigError, ModelError, BackendError."""
        raise NotImplementedError

    def process(self, frame: Frame) -> list[Pose3D]:
        """People in one frame."""
        return self.process_batch([frame])[0]

    def process_batch(self, frames: Sequence[Frame]) -> list[list[Pose3D]]:
        """People in each of several frames (of different sources), networks run in batches."""
        raise NotImplementedError

    def configure(self, config: PipelineConfig) -> None:
        """Take over changed live settings between two frames; ConfigError for any other change."""
        raise NotImplementedError

    def reset(self, source: str | None = None) -> None:
        """Forget tracks, filters and regions of interest of one source, or of all."""
        raise NotImplementedError
