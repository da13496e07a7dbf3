# SPDX-License-Identifier: Apache-2.0
"""Compiles an estimator's or a detector's network as the settings say."""

from __future__ import annotations

from ..backends import Network, NetworkSpec, RuntimeOptions, cache_folder, load_network
from ..settings.pipeline import PipelineConfig
from ..types import ModelInfo
from .store import Model


def model_info(model: Model, network: Network) -> ModelInfo:
    """Of a model that a network was compiled from."""
    return ModelInfo(model.name, model.version, network.backend, network.device, network.precision)


def load(config: PipelineConfig, spec: NetworkSpec, precision: str) -> Network:
    """precision: what `auto` stands for, by the model's registry entry.

    Raises ModelError, BackendError.
    """
    options = RuntimeOptions(
        device=config.device,
        device_fallback=config.device_fallback,
        precision=precision if config.precision == 'auto' else config.precision,
        threads=config.threads,
        cache_dir=cache_folder(),
        allow_random_weights=config.allow_random_weights,
    )
    return load_network(spec, options, config.backend)
