# SPDX-License-Identifier: Apache-2.0
"""A pipeline with its models at hand, fetched first if they are missing."""

from __future__ import annotations

import sys

from ..pipeline import Pipeline
from ..settings.estimators import models_of
from ..settings.pipeline import PipelineConfig
from ..zoo import Entry, fetch, load_registry, models_folder, problems


def make_pipeline(config: PipelineConfig, *, offline: bool = False) -> Pipeline:
    """Load the pipeline; a registered model that is missing is downloaded with visible progress.

    Raises ConfigError, ModelError or BackendError.
    """
    for entry in () if offline else needed_models(config):
        place = models_folder(config.models_dir)
        if problems(entry, place / entry.name):
            size = f'{entry.download / 1e6:.0f} MB' if entry.download else 'size unknown'
            training = f'; training data: {entry.training}' if entry.training else ''
            print(
                f'fetching the model {entry.name} ({size}, licence {entry.licence}{training}) '
                f'into {place / entry.name}',
                file=sys.stderr,
            )
            fetch(entry, config.models_dir)
    return Pipeline(config)


def needed_models(config: PipelineConfig) -> list[Entry]:
    """The registered models that the configuration asks for; none if it names files of its own."""
    registry = load_registry()
    return [registry[name] for name in models_of(config) if name in registry]


def describe(pipeline: Pipeline) -> str:
    """One line: which model runs where."""
    info = pipeline.info
    return f'{info.model} on {info.backend} {info.device}, {info.precision}'
