# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from pose3d_ros.errors import ConfigError
from pose3d_ros.standalone.wire import domain_id


def test_domain(monkeypatch):
    assert domain_id() == 0
    monkeypatch.setenv('ROS_DOMAIN_ID', '42')
    assert domain_id() == 42
    assert domain_id(7) == 7
    monkeypatch.setenv('ROS_DOMAIN_ID', 'seven')
    with pytest.raises(ConfigError, match="ROS_DOMAIN_ID must be a number, not 'seven'"):
        domain_id()
    with pytest.raises(ConfigError, match=r'\[0, 232\], not 233'):
        domain_id(233)
