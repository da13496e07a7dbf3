# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pose3d_ros.errors import ConfigError
from pose3d_ros.estimators import ESTIMATORS, options_of
from pose3d_ros.resources import resource
from pose3d_ros.settings.node import (
    NodeConfig,
    fixed_changes,
    generated,
    node_settings,
    to_yaml,
    value_of,
    without_ros_parameters,
)
from pose3d_ros.settings.pipeline import from_mapping, load_yaml, read_yaml, settings_of

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
    assert text == generated(ROOT)[path], 'run python -m pose3d_ros.settings.node'


@pytest.mark.parametrize('name', ESTIMATORS)
def test_the_file_of_an_estimator_gives_its_defaults(name):
    config = load_yaml(NodeConfig, resource('config', f'estimators/{name}.yaml'))
    assert config.estimator == name
    for item in settings_of(options_of(name), prefix=f'{name}.'):
        assert value_of(config, item.name) == item.default


def test_file_is_a_ros_parameters_file():
    content = yaml.safe_load(to_yaml())
    assert list(content) == ['/**']
    assert list(content['/**']) == ['ros__parameters']


def test_file_gives_the_defaults():
    config = load_yaml(NodeConfig, resource('config', 'estimator.yaml'))
    for item in settings_of(NodeConfig):
        assert getattr(config, item.name) == item.default


def test_every_setting_is_described():
    for item in node_settings():
        assert len(item.doc) > 5, item.name


@pytest.mark.parametrize(
    ('values', 'complaint'),
    [
        ({'image_transport': 'theora'}, "image_transport must be one of raw, compressed, not 'th"),
        ({'publish_tf': 1}, 'publish_tf must be of type bool, not 1'),
        ({'max_failures': 0}, r'max_failures must lie in \[1, 10000\], not 0'),
        ({'marker_scale_m': float('nan')}, 'marker_scale_m must lie in'),
        ({'cameras': 'left,left'}, 'stands twice'),
        ({'cameras': 'left,2nd'}, "'2nd' is not a name"),
        ({'publish_tff': True}, "unknown setting 'publish_tff'; did you mean 'publish_tf'"),
        ({'blazepose': {'detector_interval': 'often'}}, 'detector_interval must be of type int'),
        ({'blazepose.detector_intervall': 3}, 'did you mean'),
    ],
)
def test_wrong_settings_are_named(values, complaint):
    with pytest.raises(ConfigError, match=complaint):
        from_mapping(NodeConfig, values)


@pytest.mark.parametrize('content', ['[1, 2]', 'a: b: c', '\x00', '"text"'])
def test_files_that_are_no_settings(tmp_path, content):
    path = tmp_path / 'broken.yaml'
    path.write_text(content)
    with pytest.raises(ConfigError, match=r'broken\.yaml'):
        load_yaml(NodeConfig, path)
    with pytest.raises(ConfigError, match=r'absent\.yaml'):
        load_yaml(NodeConfig, tmp_path / 'absent.yaml')


def test_camera_names():
    assert NodeConfig().camera_names == ('',)
    assert NodeConfig(cameras='left, right').camera_names == ('left', 'right')


def test_parameters_of_ros_are_left_out():
    values = {
        'use_sim_time': True,
        'qos_overrides': {'/image': {}},
        'qos_overrides./image.subscription.depth': 3,
        'publish_tf': True,
    }
    assert without_ros_parameters(values) == {'publish_tf': True}


def test_value_of():
    config = from_mapping(NodeConfig, {'blazepose.detector_interval': 3})
    assert value_of(config, 'blazepose.detector_interval') == 3
    assert value_of(NodeConfig(), 'blazepose.detector_interval') != 3
    assert value_of(config, 'max_people') == 5


def test_fixed_changes():
    old = NodeConfig()
    assert fixed_changes(old, old.replace(min_score=0.7, publish_tf=True)) == []
    assert fixed_changes(old, old.replace(device='GPU', camera_frame='x', min_score=0.7)) == [
        'device',
        'camera_frame',
    ]
