# SPDX-License-Identifier: Apache-2.0
"""Estimators: one file each, all behind one small interface.

To add one, write a module with a class `Estimator` and a dataclass `Options`, and put its name
into `ESTIMATORS`. An estimator knows joints, crops and decoding; it never imports a runtime.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Protocol, runtime_checkable

from ..errors import ConfigError
from ..settings.pipeline import PipelineConfig, Value
from ..skeleton import Skeleton
from ..types import Frame, Pose3D

# Name of the setting -> module. A dotted name loads an estimator of another package.
ESTIMATORS: dict[str, str] = {
    'blazepose': 'pose3d_ros.estimators.blazepose',
    'lifter': 'pose3d_ros.estimators.lifter.estimator',
    'openpose3d': 'pose3d_ros.estimators.openpose3d',
    'metro': 'pose3d_ros.estimators.metro',
    'metrabs': 'pose3d_ros.estimators.metrabs',
    'lifting_from_the_deep': 'pose3d_ros.estimators.lifting_from_the_deep.estimator',
    'pose_hg_3d': 'pose3d_ros.estimators.pose_hg_3d',
}


@dataclass(frozen=True)
class EstimatorInfo:
    """What is told of a loaded estimator to the outside (EstimatorInfo.msg).

    version: of the model, or its checksum. metric: the model itself predicts metres.
    size_sigma: standard deviation of the predicted body size, relative to it. focal_share: focal
    length that is assumed for cameras without calibration, in image widths; 0: none. height_m: of
    a person of unit size, where people are scaled by an assumed height; 0: they are not.
    scaled_by_depth: depth images tell the sizes of people, not only where they are. weighs_pixels:
    poses are made of the 2D joints, whose errors are allowed for: they are not pulled towards them.
    """

    model: str
    version: str
    backend: str
    device: str
    precision: str
    metric: bool
    size_sigma: float = 0.1
    focal_share: float = 0.0
    height_m: float = 0.0
    scaled_by_depth: bool = False
    weighs_pixels: bool = False


class Estimator(Protocol):
    """What every estimator offers.

    Poses come raw: without ids, unsmoothed, and root-relative unless the estimator itself knows
    where people are. Pipeline does the rest.
    """

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


@runtime_checkable
class Lifting(Protocol):
    """What an estimator has in addition that must know who is who before it can tell a pose.

    Its estimate() gives people in 2D, which the pipeline then gives ids.
    """

    def lift(self, frame: Frame, poses: Sequence[Pose3D]) -> list[tuple[Frame, list[Pose3D]]]:
        """The frames that poses are due for now, oldest first, and those, with their ids.

        They may be earlier than the one given; often it is one, and none at the beginning.
        """

    def flush(self, source: str) -> list[tuple[Frame, list[Pose3D]]]:
        """All frames of a source that still wait for later ones, which will not come."""


def _module(name: str) -> ModuleType:
    if name not in ESTIMATORS and '.' not in name:
        raise ConfigError(f'estimator {name!r} is unknown; choose one of {", ".join(ESTIMATORS)}')
    target = ESTIMATORS.get(name, name)
    try:
        module = import_module(target)
    except ModuleNotFoundError as error:
        if error.name and target.startswith(error.name):
            raise ConfigError(f'estimator {name!r}: there is no module {target}') from error
        raise
    for attribute in ('Estimator', 'Options'):
        if not hasattr(module, attribute):
            raise ConfigError(f'estimator {name!r}: module {target} has no {attribute}')
    return module


def options_of(name: str) -> type:
    """The dataclass of the estimator's own settings."""
    options: type = _module(name).Options
    return options


def defaults_of(name: str) -> dict[str, Value]:
    """Defaults that an estimator (its `DEFAULTS`) has for settings of the pipeline."""
    return dict(getattr(_module(name), 'DEFAULTS', {}))


def models_of(config: PipelineConfig) -> tuple[str, ...] | None:
    """Names of the registered models that the configuration needs, by the estimator's own word.

    None if it has no function `models` to tell.
    """
    tell = getattr(_module(config.estimator), 'models', None)
    return None if tell is None else tuple(tell(config))


def create(config: PipelineConfig) -> Estimator:
    """Load the configured estimator with its models.

    Raises ConfigError, ModelError or BackendError.
    """
    estimator: Estimator = _module(config.estimator).Estimator(config)
    return estimator
