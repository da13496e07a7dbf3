# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from pathlib import Path

import pytest

from pose3d_ros.node import qos

ROOT = Path(__file__).parents[2]


def words(profile: qos.Profile) -> str:
    parts = ['reliable' if profile.reliable else 'best effort']
    if profile.transient_local:
        return ', '.join([*parts, 'transient local'])
    return ', '.join([*parts, f'{profile.depth}'])


@pytest.mark.parametrize('page', ['ros2.md', 'standalone.md'])
def test_both_pages_tell_the_same_profiles(page: str) -> None:
    text = (ROOT / 'docs' / page).read_text(encoding='utf-8')
    table = dict(re.findall(r'^\| `(\S+)`.*?\| `[^|]*\| ([^|]+?) \|', text, re.MULTILINE))
    for topic, profile in (
        ('image', qos.SENSOR_DATA),
        ('camera_info', qos.SENSOR_DATA),
        ('~/skeletons', qos.RESULT),
        ('~/estimator_info', qos.LATCHED),
    ):
        told = re.sub(r'depth |keep last ', '', table[topic])
        assert told.startswith(words(profile)), topic
