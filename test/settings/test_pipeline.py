# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import dataclass

import pytest

from pose3d_ros.errors import ConfigError
from pose3d_ros.settings.declare import settings_of
from pose3d_ros.settings.pipeline import PipelineConfig


def test_defaults_are_valid_and_described() -> None:
    PipelineConfig()
    for item in settings_of(PipelineConfig):
        assert item.doc
        assert item.check(item.default) == item.default


def test_replace_checks_again() -> None:
    with pytest.raises(ConfigError):
        PipelineConfig().replace(max_people=-1)


@dataclass(frozen=True)
class Options:
    often: int = 3
    name: str = 'a'


def test_the_estimators_own_settings_as_their_dataclass() -> None:
    config = PipelineConfig(options={'often': 5})
    assert config.typed_options(Options) == Options(5, 'a')
