# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time

import numpy as np
import pytest

pytest.importorskip('cyclonedds')

from cyclonedds.builtin import BuiltinDataReader, BuiltinTopicDcpsPublication
from cyclonedds.qos import Policy
from cyclonedds.sub import DataReader
from support.network import spin_until

from pose3d_ros.dds import participant
from pose3d_ros.dds.qos import cyclone_qos
from pose3d_ros.node.qos import LATCHED, SENSOR_DATA, Profile
from pose3d_ros.standalone.overrides import Overrides

STRING, IMAGE = 'std_msgs/msg/String', 'sensor_msgs/msg/Image'
RELIABLE = Profile()
BEST_EFFORT = Profile(reliable=False)


class Ear:
    """Collects the texts of a topic."""

    def __init__(self, node, topic, profile=RELIABLE, **options):
        self.heard = []
        self.subscription = node.subscribe(
            topic,
            STRING,
            profile,
            lambda raw: self.heard.append(node.types.deserialize(raw, STRING).data),
            **options,
        )


def say(publisher, node, text):
    publisher.publish(node.types(STRING)(data=text))


@pytest.mark.parametrize('out', [RELIABLE, BEST_EFFORT])
@pytest.mark.parametrize('into', [RELIABLE, BEST_EFFORT])
def test_reliability(network, out, into):
    talker, listener = network.node('talker'), network.node('listener')
    publisher = talker.publisher('chatter', STRING, out)
    ear = Ear(listener, 'chatter', into)
    if into.reliable and not out.reliable:
        spin_until([talker, listener], ear.subscription.incompatible)
        assert ear.subscription.incompatible() == publisher.incompatible() == 'reliability'
        assert publisher.listeners() == ear.subscription.publishers() == 0
        return
    spin_until([talker, listener], publisher.listeners)
    for k in range(5):
        say(publisher, talker, f'text {k}')
        spin_until([talker, listener], lambda k=k: len(ear.heard) == k + 1)
    assert ear.heard == [f'text {k}' for k in range(5)]
    assert ear.subscription.incompatible() == ''


def test_latched_messages_reach_those_who_come_late(network):
    talker = network.node('talker')
    publisher = talker.publisher('~/info', STRING, LATCHED)
    say(publisher, talker, 'old')
    say(publisher, talker, 'new')
    ear = Ear(network.node('listener'), '/talker/info', LATCHED)
    spin_until(network._nodes, lambda: ear.heard)
    assert ear.heard == ['new']


def test_remapping_and_suffix(network):
    talker = network.node('talker')
    listener = network.node('listener', remaps=[('image', '/front/image')])
    publisher = talker.publisher('/front/image/compressed', STRING, RELIABLE)
    ear = Ear(listener, 'image', suffix='/compressed')
    spin_until([talker, listener], publisher.listeners)
    say(publisher, talker, 'x')
    spin_until([talker, listener], lambda: ear.heard)


def test_overrides(network):
    overrides = Overrides({'/chatter': {'subscription': {'reliability': 'best_effort'}}})
    talker, listener = network.node('talker'), network.node('listener', overrides=overrides)
    publisher = talker.publisher('chatter', STRING, BEST_EFFORT)
    Ear(listener, 'chatter', RELIABLE)
    spin_until([talker, listener], publisher.listeners)


def test_images_of_several_sizes(network):
    talker, listener = network.node('talker'), network.node('listener')
    publisher = talker.publisher('image', IMAGE, Profile(depth=1))
    got = []
    listener.subscribe(
        'image', IMAGE, SENSOR_DATA, lambda raw: got.append(listener.types.deserialize(raw, IMAGE))
    )
    spin_until([talker, listener], publisher.listeners)
    for size in (10, 100_000, 921_600, 6_220_800):
        data = np.arange(size, dtype=np.uint32).astype(np.uint8)
        end = time.monotonic() + 10
        got.clear()
        # Best effort may lose fragments of large ones.
        while not got and time.monotonic() < end:
            publisher.publish(talker.types(IMAGE)(data=data, encoding='mono8'))
            for _ in range(20):
                listener.spin_once(0.01)
        np.testing.assert_array_equal(got[0].data, data)


@pytest.mark.parametrize(('distro', 'length'), [('jazzy', 16), ('humble', 24)])
def test_place_in_the_graph(network, distro, length):
    node = network.node('eyes', distro=distro)
    node.publisher('~/skeletons', STRING, RELIABLE)
    node.subscribe('image', IMAGE, SENSOR_DATA, lambda raw: None)
    other = network.node('observer', distro=distro)
    seen = []
    # The name on the wire has no prefix, hence not through subscribe().
    name = 'rmw_dds_common/msg/ParticipantEntitiesInfo'
    profile = Profile(transient_local=True, depth=100)
    reader = DataReader(
        other._participant, other._topic('ros_discovery_info', name), qos=cyclone_qos(profile)
    )

    def look():
        for sample in reader.take(10):
            info = other.types.deserialize(sample.raw, name)
            seen.extend(n for n in info.node_entities_info_seq if n.node_name == 'eyes')
        return seen and seen[-1].reader_gid_seq

    spin_until([node, other], look)
    entry = seen[-1]
    assert entry.node_namespace == '/'
    assert len(entry.writer_gid_seq) == len(entry.reader_gid_seq) == 1
    gid = bytes(entry.writer_gid_seq[0].data)
    assert len(gid) == length
    assert gid[:16] == node._endpoints['writer'][0].guid.bytes


@pytest.mark.parametrize('distro', ['jazzy', 'humble'])
def test_type_hashes_are_announced(network, distro):
    node, other = network.node('eyes', distro=distro), network.node('observer')
    node.publisher('~/text', STRING, RELIABLE)
    reader = BuiltinDataReader(other._participant, BuiltinTopicDcpsPublication)
    found = {}

    def look():
        for sample in reader.take(100):
            if hasattr(sample, 'topic_name'):
                found[sample.topic_name] = sample
        return 'rt/eyes/text' in found

    spin_until([node, other], look)
    sample = found['rt/eyes/text']
    assert sample.type_name == 'std_msgs::msg::dds_::String_'
    data = sample.qos[Policy.Userdata].data if Policy.Userdata in sample.qos else b''
    if distro == 'humble':
        assert data == b''
    else:
        assert data == f'typehash={node.types.type_hash(STRING)};'.encode()


def test_timers(network):
    node = network.node()
    ticks = []
    begin = time.monotonic()
    node.every(0.05, lambda: ticks.append(time.monotonic()))
    spin_until(node, lambda: len(ticks) >= 5)
    # The first one at once, and none before its time.
    assert all(tick - begin >= 0.05 * k for k, tick in enumerate(ticks))


def test_stop_ends_spin_at_once(network):
    node = network.node()
    node.every(0.02, node.stop)
    node.spin()
    assert node._stopping.is_set()


def test_a_node_without_others_says_so_once(network, caplog, monkeypatch):
    monkeypatch.setattr(participant, 'ALONE_AFTER_S', 0.05)
    alone = network.node('alone')
    assert alone.others() == 0
    alone._alone.join()
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(
        f'nobody else found in DDS domain {network.domain} within 0.05 s (reach: LOCALHOST)'
    )


def test_a_node_with_others_says_nothing(network, caplog):
    first, second = network.node('first'), network.node('second')
    spin_until([first, second], lambda: first.others() == second.others() == 1)
    first._alone.cancel()
    first._warn_if_alone()
    assert caplog.records == []


def test_another_profile(network):
    talker, listener = network.node('talker'), network.node('listener')
    publisher = talker.publisher('chatter', STRING, RELIABLE)
    ear = Ear(listener, 'chatter', BEST_EFFORT)
    spin_until([talker, listener], publisher.listeners)
    before = ear.subscription.encounters()
    assert not listener.resubscribe(ear.subscription, BEST_EFFORT)
    assert listener.resubscribe(ear.subscription, RELIABLE)
    assert ear.subscription.profile.reliable
    spin_until([talker, listener], lambda: ear.subscription.encounters() == before)
    spin_until([talker, listener], lambda: publisher.listeners() == 1)
    say(publisher, talker, 'x')
    spin_until([talker, listener], lambda: ear.heard == ['x'])
    # Somebody who does not fit is noticed.
    talker.publisher('chatter', STRING, BEST_EFFORT)
    spin_until([talker, listener], lambda: ear.subscription.encounters() == (1, 1))


def test_an_override_prevails(network):
    overrides = Overrides({'/chatter': {'subscription': {'reliability': 'best_effort'}}})
    ear = Ear(network.node('listener', overrides=overrides), 'chatter', RELIABLE)
    assert not network._nodes[0].resubscribe(ear.subscription, RELIABLE)
    assert not ear.subscription.profile.reliable
