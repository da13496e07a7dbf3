# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

pytest.importorskip('zenoh')
pytest.importorskip('xxhash')

from support.network import spin_until

from pose3d_ros.node.graph import Peer, unheard
from pose3d_ros.node.qos import LATCHED, SENSOR_DATA, Profile

STRING = 'std_msgs/msg/String'
pytestmark = pytest.mark.parametrize('network', ['zenoh'], indirect=True)


def test_nodes_and_publishers_come_and_go(network):
    here, talker = network.node('here'), network.node('talker')
    spin_until(here, lambda: sorted(here.graph.nodes()) == ['/here', '/talker'])
    talker.publisher('chatter', STRING, SENSOR_DATA)
    spin_until(here, lambda: here.graph.publishers('/chatter'))
    (peer,) = here.graph.publishers('/chatter')
    assert (peer.node, peer.type_name) == ('/talker', STRING)
    assert unheard(peer, STRING, LATCHED) == ''
    assert here.graph.topics() == [('/chatter', STRING)]
    talker.close()
    spin_until(here, lambda: here.graph.nodes() == ['/here'] and not here.graph.topics())


def test_two_definitions_of_a_message(network, monkeypatch):
    here, talker = network.node('here'), network.node('talker')
    other = 'RIHS01_' + '0' * 64
    monkeypatch.setattr(talker.types, 'type_hash', lambda name: other)
    publisher = talker.publisher('/chatter', STRING, Profile())
    subscription = here.subscribe('/chatter', STRING, Profile(), lambda raw: None)
    spin_until([here, talker], lambda: subscription.incompatible() and publisher.incompatible())
    assert 'type hash' in subscription.incompatible()
    assert subscription.publishers() == publisher.listeners() == 0
    (peer,) = here.graph.publishers('/chatter')
    assert isinstance(peer, Peer)
    assert f'another definition of {STRING} ({other})' in unheard(peer, STRING, Profile())


def test_what_is_no_token_of_a_node_is_ignored(network):
    here = network.node('here')
    session = network.node('other')._session
    stray = session.liveliness().declare_token(f'@ros2_lv/{network.domain}/stray')
    spin_until(here, lambda: len(here.graph.nodes()) == 2)
    stray.undeclare()
    assert sorted(here.graph.nodes()) == ['/here', '/other']
