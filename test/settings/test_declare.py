# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from pose3d_ros.errors import ConfigError
from pose3d_ros.settings.parsing import from_mapping
from pose3d_ros.settings.pipeline import PipelineConfig


@pytest.mark.parametrize(
    ('name', 'value', 'told'),
    [
        ('max_people', 0, '[1, 100]'),
        ('max_people', 2.5, 'int'),
        ('max_people', True, 'int'),
        ('min_score', 1.5, '[0, 1]'),
        ('min_score', float('nan'), '[0, 1]'),
        ('min_score', 'high', 'float'),
        ('backend', 'tensorflow', 'openvino'),
        ('precision', 'fp32', 'f32'),
        ('smoothing', 1, 'bool'),
        ('skeleton', 'coco', 'coco_17'),
    ],
)
def test_bad_values_name_setting_value_and_what_is_allowed(
    name: str, value: object, told: str
) -> None:
    with pytest.raises(ConfigError) as error:
        from_mapping(PipelineConfig, {name: value})
    assert name in str(error.value)
    assert repr(value) in str(error.value)
    assert told in str(error.value)


def test_whole_numbers_serve_as_floats() -> None:
    assert from_mapping(PipelineConfig, {'min_score': 1}).min_score == 1.0
