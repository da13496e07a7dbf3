# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from pose3d_ros.errors import ConfigError
from pose3d_ros.node.qos import LATCHED, SENSOR_DATA, Profile
from pose3d_ros.standalone.overrides import Overrides


def test_overrides_of_a_file():
    overrides = Overrides.of(
        {
            'use_sim_time': True,
            'qos_overrides': {
                '/camera/image': {'subscription': {'reliability': 'reliable', 'depth': 1}}
            },
        }
    )
    changed = overrides.apply(SENSOR_DATA, '/camera/image', 'subscription')
    assert changed == Profile(reliable=True, depth=1)
    assert overrides.apply(SENSOR_DATA, '/camera/image', 'publisher') == SENSOR_DATA
    assert overrides.apply(SENSOR_DATA, '/image', 'subscription') == SENSOR_DATA


@pytest.mark.parametrize(
    'values',
    [
        {'qos_overrides./x.publisher.durability': 'volatile'},
        {'qos_overrides./x.publisher': {'durability': 'volatile'}},
        {'qos_overrides./x': {'publisher': {'durability': 'volatile'}}},
    ],
)
def test_dots_in_place_of_nesting(values):
    assert not Overrides.of(values).apply(LATCHED, '/x', 'publisher').transient_local


@pytest.mark.parametrize(
    ('values', 'complaint'),
    [
        (3, 'qos_overrides must be a mapping, not 3'),
        ({'/x': {'subscriber': {}}}, r'qos_overrides\./x\.subscriber: must be subscription or'),
        ({'/x': {'publisher': {'depth': 0}}}, r'publisher\.depth must be a whole number in \[1,'),
        ({'/x': {'publisher': {'depth': True}}}, 'whole number'),
        ({'/x': {'publisher': {'speed': 1}}}, 'one of depth, reliability'),
        ({'/x': {'publisher': {'reliability': 'maybe'}}}, 'one of reliable, best_effort, not'),
        ({'/x': {'publisher': {'history': 'keep_all'}}}, "one of keep_last, not 'keep_all'"),
    ],
)
def test_wrong_overrides_are_named(values, complaint):
    with pytest.raises(ConfigError, match=complaint):
        Overrides.of({'qos_overrides': values})
