# SPDX-License-Identifier: Apache-2.0
"""2D joints for lifters: sources of `detectors`, and other estimators, whose 2D is taken."""

from __future__ import annotations

from collections.abc import Sequence

from ..detectors import keypoints
from ..detectors.boxes import FINDER
from ..detectors.finder import finder_models
from ..detectors.keypoints import KeypointSource
from ..errors import ConfigError, unknown
from ..settings.estimators import ESTIMATORS, models_of
from ..settings.pipeline import PipelineConfig
from . import best_keypoints, create


def create_source(name: str, config: PipelineConfig, model: str = '') -> KeypointSource:
    """The source of that name with its model: an estimator, or see detectors.keypoints.

    config: of the lifter. Raises ConfigError, ModelError, BackendError, InputError.
    """
    if name == config.estimator:
        raise ConfigError(f'{name} cannot be its own source of 2D joints; blazepose can')
    inner = source_config(name, config, model)
    if name in ESTIMATORS:
        return create(inner)
    if name == best_keypoints.NAME:
        return best_keypoints.BestKeypoints(inner)
    if not name.endswith(keypoints.FILES) and not keypoints.SOURCES.names(name):
        names = sorted({*keypoints.SOURCES, *ESTIMATORS, best_keypoints.NAME} - {config.estimator})
        raise ConfigError(
            f'{unknown("source of 2D joints", name, names)} (or a file: .json, .jsonl, .npz)'
        )
    return keypoints.create_source(name, inner)


def source_config(name: str, config: PipelineConfig, model: str = '') -> PipelineConfig:
    """The pipeline's settings as the source sees them; `model` and options are the lifter's."""
    return config.replace(estimator=name, model=model, parity=False, options={})


def source_models(name: str, config: PipelineConfig, model: str = '') -> Sequence[str]:
    """Registered models that the source of that name needs."""
    if name in ESTIMATORS:
        return models_of(source_config(name, config, model))
    if name == best_keypoints.NAME:
        return best_keypoints.BestKeypoints.models(source_config(name, config, model))
    out: list[str] = []
    for each in keypoints.models_of(name, model):
        out += finder_models(source_config(name, config, model)) if each == FINDER else [each]
    return tuple(out)
