# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging

import pytest

zenoh = pytest.importorskip('zenoh')
pytest.importorskip('xxhash')

from support.network import spin_until
from support.router import free_address, start_router

from pose3d_ros.errors import ConfigError
from pose3d_ros.node.qos import LATCHED, SENSOR_DATA, Profile
from pose3d_ros.standalone.names import Names
from pose3d_ros.zenoh import participant
from pose3d_ros.zenoh.keys import attachment, parse_attachment
from pose3d_ros.zenoh.participant import ZenohNode

STRING = 'std_msgs/msg/String'
ZENOH = pytest.mark.parametrize('network', ['zenoh'], indirect=True)


RELIABLE = Profile()


def listen(node, topic, profile=RELIABLE):
    heard = []
    subscription = node.subscribe(
        topic, STRING, profile, lambda raw: heard.append(node.types.deserialize(raw, STRING).data)
    )
    return heard, subscription


def say(publisher, node, text):
    publisher.publish(node.types(STRING)(data=text))


@ZENOH
@pytest.mark.parametrize('out', [Profile(), SENSOR_DATA])
@pytest.mark.parametrize('into', [Profile(), SENSOR_DATA])
def test_every_profile_hears_every_other(network, out, into):
    talker, listener = network.node('talker'), network.node('listener')
    publisher = talker.publisher('chatter', STRING, out)
    heard, subscription = listen(listener, '/chatter', into)
    spin_until([talker, listener], lambda: publisher.listeners() and subscription.publishers())
    for k in range(5):
        say(publisher, talker, f'text {k}')
        spin_until(listener, lambda k=k: len(heard) == k + 1)
    assert heard == [f'text {k}' for k in range(5)]
    assert subscription.incompatible() == publisher.incompatible() == ''
    assert subscription.lost() == 0


@ZENOH
def test_latched_messages_reach_those_who_come_late(network):
    talker = network.node('talker')
    publisher = talker.publisher('~/info', STRING, LATCHED)
    say(publisher, talker, 'old')
    say(publisher, talker, 'new')
    listener = network.node('listener')
    heard, _ = listen(listener, '/talker/info', LATCHED)
    spin_until(listener, lambda: heard)
    assert heard == ['new']


@ZENOH
def test_the_last_word_before_the_end_is_heard(network):
    talker, listener = network.node('talker'), network.node('listener')
    publisher = talker.publisher('/chatter', STRING, Profile())
    heard, _ = listen(listener, '/chatter')
    spin_until(listener, publisher.listeners)
    say(publisher, talker, 'bye')
    talker.close()
    spin_until(listener, lambda: heard == ['bye'])


@ZENOH
def test_messages_as_rmw_zenoh_sees_them(network):
    """By Zenoh alone: key, payload and attachment."""
    talker, other = network.node('talker'), network.node('other')
    samples = []
    session = other._session
    publisher = talker.publisher('/chatter', STRING, Profile())
    spin_until(other, lambda: other.graph.publishers('/chatter'))
    key = f'{network.domain}/chatter/std_msgs::msg::dds_::String_/{talker.types.type_hash(STRING)}'
    with session.declare_subscriber(key, samples.append):
        while len(samples) < 2:
            say(publisher, talker, 'hello')
            other.spin_once(0.05)
    (first, gid), (second, same) = (parse_attachment(bytes(s.attachment)) for s in samples[:2])
    assert (second, same) == (first + 1, gid)
    assert bytes(samples[0].payload) == b'\0\1\0\0\6\0\0\0hello\0'


@ZENOH
def test_what_got_lost_is_counted_by_the_publishers_numbers(network):
    listener, other = network.node('listener'), network.node('other')
    heard, subscription = listen(listener, '/chatter', Profile(depth=100))
    key = f'{network.domain}/chatter/std_msgs::msg::dds_::String_/{other.types.type_hash(STRING)}'
    text = bytes(other.types.serialize(other.types(STRING)(data='x'), STRING))
    publisher = other._session.declare_publisher(key)
    spin_until(listener, lambda: publisher.matching_status.matching)
    # The last one repeats what has come, and one has no attachment at all.
    for number in (5, 6, 9, 10, 8):
        publisher.put(text, attachment=attachment(number, 1, b'x' * 16))
    publisher.put(text)
    spin_until(listener, lambda: len(heard) == 6)
    assert subscription.lost() == 2


@ZENOH
def test_only_the_newest_wait(network):
    talker, listener = network.node('talker'), network.node('listener')
    publisher = talker.publisher('/chatter', STRING, Profile())
    heard, subscription = listen(listener, '/chatter', Profile(depth=2))
    spin_until(talker, publisher.listeners)
    for k in range(5):
        say(publisher, talker, f'{k}')
    spin_until(talker, lambda: subscription._numbers and max(subscription._numbers.values()) == 5)
    spin_until(listener, lambda: heard)
    assert heard == ['3', '4']


def test_a_router_that_comes_late_is_named_once_and_reached(monkeypatch, caplog):
    address = free_address()
    monkeypatch.setenv('ZENOH_CONFIG_OVERRIDE', f'connect/endpoints=["{address}"]')
    monkeypatch.setattr(participant, 'ALONE_AFTER_S', 0.1)
    with caplog.at_level(logging.WARNING):
        node = ZenohNode(Names('alone'))
        spin_until(node, lambda: caplog.records)
        router = start_router(address)
        spin_until(node, node._session.info.routers_zid)
        node.close()
        router.close()
    (record,) = caplog.records
    assert f'no Zenoh router reached within 0.1 s ({address})' in record.getMessage()


def test_humble_has_no_type_hashes():
    with pytest.raises(ConfigError, match='jazzy or later'):
        ZenohNode(Names('node'), distro='humble')
