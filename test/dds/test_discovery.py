# SPDX-License-Identifier: Apache-2.0
"""Discovery variables; test/ros/test_discovery.py tries them against a ROS 2."""

from __future__ import annotations

import os

import pytest

from pose3d_ros.dds import discovery
from pose3d_ros.dds.discovery import cyclone_config, describe_reach
from pose3d_ros.errors import ConfigError


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for name in [name for name in os.environ if name.startswith(('ROS_', 'CYCLONEDDS_'))]:
        monkeypatch.delenv(name)


def test_by_default_the_subnet(monkeypatch):
    config = cyclone_config()
    assert '<ParticipantIndex>auto</ParticipantIndex>' in config
    assert '<Peers><Peer address="localhost"/></Peers>' in config
    assert 'AllowMulticast' not in config
    assert describe_reach() == 'SUBNET'
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'subnet')
    assert cyclone_config() == config


def test_static_peers(monkeypatch):
    monkeypatch.setenv('ROS_STATIC_PEERS', '10.0.0.1; 10.0.0.2:7410;')
    assert '<Peer address="10.0.0.1"/><Peer address="10.0.0.2:7410"/></Peers>' in cyclone_config()
    assert 'AllowMulticast' not in cyclone_config()
    assert describe_reach() == 'SUBNET, static peers 10.0.0.1, 10.0.0.2:7410'


def test_static_peers_that_mean_nothing(monkeypatch, caplog):
    monkeypatch.setenv('ROS_STATIC_PEERS', '10.0.0.1;robot.invalid;"<')
    assert '<Peer address="localhost"/><Peer address="10.0.0.1"/></Peers>' in cyclone_config()
    lines = [record.getMessage() for record in caplog.records]
    assert [line.partition(' (')[0] for line in lines] == [
        'ROS_STATIC_PEERS: robot.invalid is left out',
        'ROS_STATIC_PEERS: "< is left out',
    ]


def test_this_machine_alone(monkeypatch):
    monkeypatch.setenv('ROS_STATIC_PEERS', '10.0.0.1')
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    assert '<Peer address="localhost"/><Peer address="10.0.0.1"/>' in cyclone_config()
    assert '<AllowMulticast>false' in cyclone_config()
    # As in rcl, the older variable prevails over both.
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'OFF')
    monkeypatch.setenv('ROS_LOCALHOST_ONLY', '1')
    assert '<Peers><Peer address="localhost"/></Peers>' in cyclone_config()
    assert describe_reach() == 'LOCALHOST'


def test_off(monkeypatch):
    monkeypatch.setenv('ROS_STATIC_PEERS', '10.0.0.1')
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'OFF')
    config = cyclone_config()
    assert '<ParticipantIndex>none</ParticipantIndex><Tag>ros_discovery_off_' in config
    assert 'Peer' not in config
    assert '<AllowMulticast>false' in config
    assert describe_reach() == 'OFF'


def test_the_default_of_the_system(monkeypatch):
    monkeypatch.setenv('ROS_STATIC_PEERS', '10.0.0.1')
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'SYSTEM_DEFAULT')
    assert '<Discovery></Discovery>' in cyclone_config()
    assert 'AllowMulticast' not in cyclone_config()


def test_a_range_that_does_not_exist(monkeypatch):
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'GALAXY')
    with pytest.raises(ConfigError, match='ROS_AUTOMATIC_DISCOVERY_RANGE must be one of SUBNET'):
        cyclone_config()


LOOPBACK = '<NetworkInterface address="127.0.0.1" priority="0" multicast="false"/>'
CHOSEN = (
    '<CycloneDDS><Domain><General><Interfaces><NetworkInterface name="wlan0"/>'
    '</Interfaces></General></Domain></CycloneDDS>'
)


def test_the_loopback_interface_beside_the_automatic_one(monkeypatch, tmp_path):
    routes = tmp_path / 'route'
    monkeypatch.setattr(discovery, '_ROUTES', routes)
    assert 'NetworkInterface' not in cyclone_config()
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    automatic = '<Interfaces><NetworkInterface autodetermine="true" priority="1"/>'
    assert f'{automatic}{LOOPBACK}</Interfaces>' in cyclone_config()  # not Linux
    routes.write_text('Iface Destination\neth0 00000000\n')
    assert automatic in cyclone_config()
    # All interfaces are down: the loopback is the automatic one, and must not be named twice.
    routes.write_text('Iface Destination\n')
    assert 'NetworkInterface' not in cyclone_config()


def test_cyclones_own_configuration_comes_last(monkeypatch, tmp_path):
    file = tmp_path / 'dds.xml'
    file.write_text('<CycloneDDS><Domain/></CycloneDDS>')
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    monkeypatch.setenv('CYCLONEDDS_URI', file.as_uri())
    assert cyclone_config().endswith(f'</CycloneDDS>,{file.as_uri()}')
    assert LOOPBACK in cyclone_config()
    # Whoever names interfaces gets those alone.
    file.write_text(CHOSEN)
    assert LOOPBACK not in cyclone_config()
    monkeypatch.setenv('CYCLONEDDS_URI', str(file))
    assert LOOPBACK not in cyclone_config()
    monkeypatch.setenv('CYCLONEDDS_URI', CHOSEN)
    assert LOOPBACK not in cyclone_config()
    monkeypatch.setenv('CYCLONEDDS_URI', str(tmp_path / 'none.xml'))
    assert cyclone_config().endswith('none.xml')
