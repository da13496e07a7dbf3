# SPDX-License-Identifier: Apache-2.0
"""Which estimators there are, and what each declares of itself before it is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import ConfigError
from .declare import Value
from .pipeline import PipelineConfig
from .plugins import Plugins

ESTIMATORS = Plugins(
    'estimator',
    {
        'blazepose': 'pose3d_ros.estimators.blazepose.estimator:Estimator',
        'lifter': 'pose3d_ros.estimators.lifter.estimator:Estimator',
        'openpose3d': 'pose3d_ros.estimators.openpose3d.estimator:Estimator',
        'metro': 'pose3d_ros.estimators.metro:Estimator',
        'metrabs': 'pose3d_ros.estimators.metrabs:Estimator',
        'lifting_from_the_deep': 'pose3d_ros.estimators.lifting_from_the_deep.estimator:Estimator',
        'pose_hg_3d': 'pose3d_ros.estimators.pose_hg_3d:Estimator',
    },
    'Estimator',
)


def _named(config: PipelineConfig) -> Sequence[str]:
    return (config.model,)


@dataclass(frozen=True)
class EstimatorSpec:
    """What an estimator's class declares as its attribute `spec`.

    options: dataclass of its own settings (declare.setting), called `<estimator>.<name>`. models:
    the registered models that a configuration needs; other names among them are left out.
    defaults: its own, of settings of the pipeline. overlaps: it has begin() and finish(), see
    estimators.Overlapping. lifts: it has lift() and flush(), see estimators.Lifting.
    """

    options: type
    models: Callable[[PipelineConfig], Sequence[str]] = _named
    defaults: Mapping[str, Value] = field(default_factory=dict)
    overlaps: bool = False
    lifts: bool = False


def spec_of(name: str) -> EstimatorSpec:
    """What the estimator of that name declares; ConfigError if there is none."""
    spec = getattr(ESTIMATORS.load(name), 'spec', None)
    if not isinstance(spec, EstimatorSpec):
        raise ConfigError(f'estimator {name!r}: its class has no `spec`, an EstimatorSpec')
    return spec


def options_of(name: str) -> type:
    """The dataclass of the estimator's own settings."""
    return spec_of(name).options


def defaults_of(name: str) -> Mapping[str, Value]:
    """Defaults that an estimator has for settings of the pipeline."""
    return spec_of(name).defaults


def models_of(config: PipelineConfig) -> tuple[str, ...]:
    """Names of the models that the configuration needs."""
    names = dict.fromkeys(spec_of(config.estimator).models(config))
    return tuple(name for name in names if name)
