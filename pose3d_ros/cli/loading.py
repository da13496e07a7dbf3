# SPDX-License-Identifier: Apache-2.0
"""A pipeline with its models at hand, fetched first if they are missing."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from ..config import PipelineConfig
from ..estimators import helper_models
from ..pipeline import Pipeline
from ..zoo import Entry, fetch, load_registry, models_folder, problems


def make_pipeline(config: PipelineConfig, *, offline: bool = False) -> Pipeline:
    """Load the pipeline; a registered model that is missing is downloaded with visible progress.

    Raises ConfigError, ModelError or BackendError.
    """
    place = models_folder(config.models_dir)
    for entry in [] if offline else _needed_models(config):
        if problems(entry, place / entry.name):
            print(
                f'fetching the model {entry.name} ({entry.download / 1e6:.0f} MB, '
                f'{entry.licence}) into {place / entry.name}',
                file=sys.stderr,
            )
            fetch(entry, config.models_dir)
    return Pipeline(config)


def _needed_models(config: PipelineConfig) -> list[Entry]:
    """The registered models that the configuration asks for, files of the user's own left out."""
    registry = load_registry()
    needed = [_model(config, registry)]
    needed += [registry.get(name) for name in helper_models(config)]
    return [entry for entry in needed if entry is not None]


def _model(config: PipelineConfig, registry: Mapping[str, Entry]) -> Entry | None:
    if config.model:
        return registry.get(config.model)
    ours = [entry for entry in registry.values() if entry.estimator == config.estimator]
    named = [entry for entry in ours if entry.name == config.estimator]
    return next(iter(named or ours), None)


def describe(pipeline: Pipeline) -> str:
    """One line: which model runs where."""
    info = pipeline.info
    return f'{info.model} on {info.backend} {info.device}, {info.precision}'
