# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

pytest.importorskip('cyclonedds')

from support.network import Network


@pytest.fixture
def network(tmp_path, monkeypatch):
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    monkeypatch.delenv('CYCLONEDDS_URI', raising=False)
    monkeypatch.delenv('ROS_LOCALHOST_ONLY', raising=False)
    made = Network(tmp_path)
    yield made
    made.end()
