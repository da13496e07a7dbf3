# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pose3d_ros.resources import resource
from pose3d_ros.settings.declare import settings_of
from pose3d_ros.settings.estimators import ESTIMATORS, options_of
from pose3d_ros.settings.generated import generated, to_yaml
from pose3d_ros.settings.node import NodeConfig, node_settings, value_of
from pose3d_ros.settings.parsing import from_mapping, read_yaml

ROOT = Path(__file__).parents[2]


def test_file_names_every_setting_with_its_default():
    flat = {}
    for key, value in read_yaml(resource('config', 'estimator.yaml')).items():
        if isinstance(value, dict):
            flat |= {f'{key}.{name}': inner for name, inner in value.items()}
        else:
            flat[key] = value
    assert flat == {item.name: item.default for item in node_settings()}
    assert {k: type(v) for k, v in flat.items()} == {s.name: s.type for s in node_settings()}


@pytest.mark.parametrize('path', generated(ROOT), ids=lambda path: path.name)
def test_files_made_of_the_settings_are_up_to_date(path):
    text = path.read_text(encoding='utf-8') if path.is_file() else ''
    assert text == generated(ROOT)[path], 'run python -m pose3d_ros.settings.generated'


@pytest.mark.parametrize('name', ESTIMATORS.table)
def test_the_file_of_an_estimator_gives_its_defaults(name):
    config = from_mapping(NodeConfig, read_yaml(resource('config', f'estimators/{name}.yaml')))
    assert config.estimator == name
    for item in settings_of(options_of(name), prefix=f'{name}.'):
        assert value_of(config, item.name) == item.default


def test_file_is_a_ros_parameters_file():
    content = yaml.safe_load(to_yaml())
    assert list(content) == ['/**']
    assert list(content['/**']) == ['ros__parameters']


def test_file_gives_the_defaults():
    config = from_mapping(NodeConfig, read_yaml(resource('config', 'estimator.yaml')))
    for item in settings_of(NodeConfig):
        assert getattr(config, item.name) == item.default
