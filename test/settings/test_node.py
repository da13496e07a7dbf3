# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from pose3d_ros.errors import ConfigError
from pose3d_ros.settings.node import (
    NodeConfig,
    fixed_changes,
    idle_settings,
    node_settings,
    value_of,
)
from pose3d_ros.settings.parsing import from_mapping


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
        (
            {'metro': {'detector_interval': 'often'}, 'estimator': 'metro'},
            'detector_interval must be of type int',
        ),
        ({'metro.detector_intervall': 3, 'estimator': 'metro'}, 'did you mean'),
    ],
)
def test_wrong_settings_are_named(values, complaint):
    with pytest.raises(ConfigError, match=complaint):
        from_mapping(NodeConfig, values)


def test_camera_names():
    assert NodeConfig().camera_names == ('',)
    assert NodeConfig(cameras='left, right').camera_names == ('left', 'right')


def test_value_of():
    config = from_mapping(NodeConfig, {'metro.detector_interval': 3, 'estimator': 'metro'})
    assert value_of(config, 'metro.detector_interval') == 3
    assert value_of(NodeConfig(), 'metro.detector_interval') != 3
    assert value_of(config, 'max_people') == 5


def test_fixed_changes():
    old = NodeConfig()
    assert fixed_changes(old, old.replace(min_score=0.7, publish_tf=True)) == []
    assert fixed_changes(old, old.replace(device='GPU', camera_frame='x', min_score=0.7)) == [
        'device',
        'camera_frame',
    ]


def test_idle_settings():
    config = NodeConfig(tf_late='newest', queue_size=5)
    assert [line.partition(':')[0] for line in idle_settings(config)] == ['queue_size', 'tf_late']
    assert idle_settings(config.replace(target_frame='map', drop_policy='none')) == []
    assert idle_settings(NodeConfig()) == []
