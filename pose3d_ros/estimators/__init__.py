# SPDX-License-Identifier: Apache-2.0
"""Estimators: one file or folder each, all behind one small interface.

To add one, write a module with a class `Estimator` and put its name into `settings.estimators`.
An estimator knows joints, crops and decoding; it never imports a runtime.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

from ..backends import Network
from ..settings.estimators import ESTIMATORS, EstimatorSpec
from ..settings.pipeline import PipelineConfig
from ..skeleton import Skeleton
from ..types import EstimatorInfo, Frame, Pose3D
from ..zoo import Model
from ..zoo.loading import model_info


def info_of(model: Model, network: Network, *, metric: bool, **traits: Any) -> EstimatorInfo:
    """Of a model that a network was compiled from; traits: other fields of EstimatorInfo."""
    return EstimatorInfo(**vars(model_info(model, network)), metric=metric, **traits)


class Estimator(Protocol):
    """What every estimator offers.

    Poses come raw: without ids, unsmoothed, and root-relative unless the estimator itself knows
    where people are. Pipeline does the rest. Its class is made with a PipelineConfig.
    """

    spec: EstimatorSpec
    """Of the class: what it declares before it is loaded."""
    skeleton: Skeleton
    info: EstimatorInfo

    def estimate(self, frames: Sequence[Frame]) -> list[list[Pose3D]]:
        """People of each frame. One batch: several cameras share the compiled networks.

        State, if any, is kept per `Frame.source`.
        """

    def reset(self, source: str | None = None) -> None:
        """Forget the state of one source, or of all."""

    def configure(self, config: PipelineConfig) -> None:
        """Take over changed live settings."""

    def timings(self) -> dict[str, float]:
        """Milliseconds of each stage of the last estimate()."""


class Pending(Protocol):
    """Frames that an estimator has begun."""

    def wait(self) -> None:
        """Until all that is left to do is finish()."""


class Overlapping(Estimator, Protocol):
    """An estimator whose network can run while the frame before is decoded (spec.overlaps)."""

    def begin(self, frames: Sequence[Frame]) -> Any:
        """Start work on frames and return at once, with what finish() takes, a Pending."""

    def finish(self, pending: Any) -> list[list[Pose3D]]:
        """People of the frames that begin() was given; in the order of the calls."""


class Lifting(Estimator, Protocol):
    """An estimator that must know who is who before it can tell a pose (spec.lifts).

    Its estimate() gives people in 2D, which the pipeline then gives ids.
    """

    def lift(self, frame: Frame, poses: Sequence[Pose3D]) -> list[tuple[Frame, list[Pose3D]]]:
        """The frames that poses are due for now, oldest first, and those, with their ids.

        They may be earlier than the one given; often it is one, and none at the beginning.
        """

    def flush(self, source: str) -> list[tuple[Frame, list[Pose3D]]]:
        """All frames of a source that still wait for later ones, which will not come."""


def overlapping(estimator: Estimator) -> Overlapping | None:
    """The estimator, if it declares that frames can overlap."""
    return cast(Overlapping, estimator) if estimator.spec.overlaps else None


def lifting(estimator: Estimator) -> Lifting | None:
    """The estimator, if it declares that it lifts people in 2D."""
    return cast(Lifting, estimator) if estimator.spec.lifts else None


def create(config: PipelineConfig) -> Estimator:
    """Load the configured estimator with its models.

    Raises ConfigError, ModelError or BackendError.
    """
    estimator: Estimator = ESTIMATORS.load(config.estimator)(config)
    return estimator
