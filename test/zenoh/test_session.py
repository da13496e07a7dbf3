# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest

pytest.importorskip('zenoh')
pytest.importorskip('xxhash')

from pose3d_ros.errors import ConfigError, Pose3DError
from pose3d_ros.zenoh.session import FILE, OVERRIDE, endpoints, open_session, session_config


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for name in (FILE, OVERRIDE):
        monkeypatch.delenv(name, raising=False)


def test_by_default_the_router_of_this_machine():
    config = session_config()
    assert endpoints(config) == 'tcp/localhost:7447'
    assert config.get_json('mode') == '"peer"'
    assert config.get_json('scouting/multicast/enabled') == 'false'


def test_a_file_and_changes_to_it(monkeypatch, tmp_path):
    path = tmp_path / 'session.json5'
    path.write_text('{mode: "client", connect: {endpoints: ["tcp/10.0.0.1:7447"]}}')
    monkeypatch.setenv(FILE, str(path))
    assert endpoints(session_config()) == 'tcp/10.0.0.1:7447'
    monkeypatch.setenv(OVERRIDE, 'connect/endpoints=["tcp/10.0.0.2:1"];listen/endpoints=[]')
    config = session_config()
    assert endpoints(config) == 'tcp/10.0.0.2:1'
    assert json.loads(config.get_json('mode')) == 'client'


@pytest.mark.parametrize(
    ('change', 'complaint'),
    [
        ('mode', f"{OVERRIDE}: 'mode' must be KEY=VALUE"),
        ('mode="bridge"', f'{OVERRIDE}: cannot set \'mode="bridge"\''),
        ('no/such/key=1', f"{OVERRIDE}: cannot set 'no/such/key=1'"),
    ],
)
def test_wrong_changes(monkeypatch, change, complaint):
    monkeypatch.setenv(OVERRIDE, change)
    with pytest.raises(ConfigError, match=complaint):
        session_config()


@pytest.mark.parametrize('text', [None, '{mode: '])
def test_wrong_files(monkeypatch, tmp_path, text):
    path = tmp_path / 'session.json5'
    if text is not None:
        path.write_text(text)
    monkeypatch.setenv(FILE, str(path))
    with pytest.raises(ConfigError, match=f"{FILE}: cannot read '{path}'"):
        session_config()


def test_an_address_that_is_none(monkeypatch):
    monkeypatch.setenv(OVERRIDE, 'listen/endpoints=["tcp/256.0.0.1:1"]')
    with pytest.raises(Pose3DError, match='cannot open a Zenoh session'):
        open_session(session_config())
