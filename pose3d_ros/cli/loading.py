# SPDX-License-Identifier: Apache-2.0
"""A pipeline with its models at hand, fetched first if they are missing."""

from __future__ import annotations

import sys

from ..config import PipelineConfig
from ..pipeline import Pipeline
from ..zoo import Entry, fetch, load_registry, models_folder, problems


def make_pipeline(config: PipelineConfig, *, offline: bool = False) -> Pipeline:
    """Load the pipeline; a registered model that is missing is downloaded with visible progress.

    Raises ConfigError, ModelError or BackendError.
    """
    entry = _needed_model(config)
    if entry is not None and not offline:
        place = models_folder(config.models_dir)
        if problems(entry, place / entry.name):
            print(
                f'fetching the model {entry.name} ({entry.download / 1e6:.0f} MB, '
                f'{entry.licence}) into {place / entry.name}',
                file=sys.stderr,
            )
            fetch(entry, config.models_dir)
    return Pipeline(config)


def _needed_model(config: PipelineConfig) -> Entry | None:
    """The registered model that the configuration asks for, None if it names files of its own."""
    registry = load_registry()
    if config.model:
        return registry.get(config.model)
    ours = [entry for entry in registry.values() if entry.estimator == config.estimator]
    named = [entry for entry in ours if entry.name == config.estimator]
    return next(iter(named or ours), None)


def describe(pipeline: Pipeline) -> str:
    """One line: which model runs where."""
    info = pipeline.info
    return f'{info.model} on {info.backend} {info.device}, {info.precision}'
