# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from pose3d_ros.errors import ConfigError
from pose3d_ros.settings.node import NodeConfig
from pose3d_ros.settings.parsing import from_mapping, read_yaml, without_ros_parameters
from pose3d_ros.settings.pipeline import PipelineConfig


def load_yaml(config_class, path):
    return from_mapping(config_class, read_yaml(path), origin=str(path))


def test_unknown_names_get_a_hint() -> None:
    with pytest.raises(ConfigError, match="did you mean 'smoothing'"):
        from_mapping(PipelineConfig, {'smothing': True})
    with pytest.raises(ConfigError, match='detector_interval'):
        from_mapping(PipelineConfig, {'metro.detector_intervall': 3, 'estimator': 'metro'})
    with pytest.raises(ConfigError, match="did you mean 'metro'"):
        from_mapping(PipelineConfig, {'metr.detector_interval': 3})


def test_options_of_the_estimator_flat_or_nested() -> None:
    flat = from_mapping(PipelineConfig, {'metro.detector_interval': 3, 'estimator': 'metro'})
    nested = from_mapping(PipelineConfig, {'metro': {'detector_interval': 3}, 'estimator': 'metro'})
    assert flat.options == nested.options == {'detector_interval': 3}
    with pytest.raises(ConfigError, match='detector_interval'):
        from_mapping(PipelineConfig, {'metro': {'detector_interval': 0}, 'estimator': 'metro'})


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


@pytest.mark.parametrize('content', ['[1, 2]', 'a: b: c', '\x00', '"text"'])
def test_files_that_are_no_settings(tmp_path, content):
    path = tmp_path / 'broken.yaml'
    path.write_text(content)
    with pytest.raises(ConfigError, match=r'broken\.yaml'):
        load_yaml(NodeConfig, path)
    with pytest.raises(ConfigError, match=r'absent\.yaml'):
        load_yaml(NodeConfig, tmp_path / 'absent.yaml')


def test_parameters_of_ros_are_left_out():
    values = {
        'use_sim_time': True,
        'qos_overrides': {'/image': {}},
        'qos_overrides./image.subscription.depth': 3,
        'publish_tf': True,
    }
    assert without_ros_parameters(values) == {'publish_tf': True}
