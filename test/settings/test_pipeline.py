# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from pose3d_ros.errors import ConfigError
from pose3d_ros.settings.pipeline import PipelineConfig, from_mapping, load_yaml, settings_of


def test_defaults_are_valid_and_described() -> None:
    PipelineConfig()
    for item in settings_of(PipelineConfig):
        assert item.doc
        assert item.check(item.default) == item.default


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


def test_unknown_names_get_a_hint() -> None:
    with pytest.raises(ConfigError, match="did you mean 'smoothing'"):
        from_mapping(PipelineConfig, {'smothing': True})
    with pytest.raises(ConfigError, match='detector_interval'):
        from_mapping(PipelineConfig, {'blazepose.detector_intervall': 3})
    with pytest.raises(ConfigError, match='blazepos'):
        from_mapping(PipelineConfig, {'blazepos.detector_interval': 3})


def test_options_of_the_estimator_flat_or_nested() -> None:
    flat = from_mapping(PipelineConfig, {'blazepose.detector_interval': 3})
    nested = from_mapping(PipelineConfig, {'blazepose': {'detector_interval': 3}})
    assert flat.options == nested.options == {'detector_interval': 3}
    with pytest.raises(ConfigError, match='detector_interval'):
        from_mapping(PipelineConfig, {'blazepose': {'detector_interval': 0}})


def test_yaml_plain_and_in_ros_form(tmp_path: Path) -> None:
    path = tmp_path / 'a.yaml'
    path.write_text('max_people: 2\n')
    assert load_yaml(PipelineConfig, path).max_people == 2
    path.write_text('/**:\n  ros__parameters:\n    max_people: 3\n')
    assert load_yaml(PipelineConfig, path).max_people == 3
    path.write_text('')
    assert load_yaml(PipelineConfig, path) == PipelineConfig()


@pytest.mark.parametrize('text', ['- a\n- b\n', 'a: [1', 'max_people: 1000\n', 'nothing: 1\n'])
def test_broken_files_are_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / 'broken.yaml'
    path.write_text(text)
    with pytest.raises(ConfigError, match='broken'):
        load_yaml(PipelineConfig, path)
    with pytest.raises(ConfigError, match='missing'):
        load_yaml(PipelineConfig, tmp_path / 'missing.yaml')


def test_replace_checks_again() -> None:
    with pytest.raises(ConfigError):
        PipelineConfig().replace(max_people=-1)
