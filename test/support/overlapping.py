# SPDX-License-Identifier: Apache-2.0
"""The estimator of blobs with its network in a thread of its own, so that frames overlap."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from pose3d_ros.settings.estimators import EstimatorSpec
from pose3d_ros.types import Frame, Pose3D

from . import blobs


class Pending:
    """Frames under way."""

    def __init__(self, frames: Sequence[Frame], future: Future[None]) -> None:
        self.frames, self._future = frames, future

    def wait(self) -> None:
        """Until the network is through."""
        self._future.result()


class Estimator(blobs.Estimator):
    """`calls` tells what happened in which order."""

    spec = EstimatorSpec(blobs.Options, overlaps=True)

    def __init__(self, config) -> None:
        super().__init__(config)
        self.calls: list[tuple[str, int]] = []
        self._slow_s = config.options.get('slow_ms', 0.0) * 1e-3
        self._threads = ThreadPoolExecutor(1)

    def begin(self, frames: Sequence[Frame]) -> Pending:
        """Start the network, which takes slow_ms."""
        self.calls.append(('begin', frames[0].stamp_ns))
        return Pending(frames, self._threads.submit(time.sleep, self._slow_s))

    def finish(self, pending: Pending) -> list[list[Pose3D]]:
        """Wait and decode."""
        pending.wait()
        self.calls.append(('finish', pending.frames[0].stamp_ns))
        return self.estimate(pending.frames)
