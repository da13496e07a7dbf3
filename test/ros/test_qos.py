# SPDX-License-Identifier: Apache-2.0
"""Quality of service: peers of both kinds, overrides, and peers that do not fit."""

from __future__ import annotations

import pytest
from harness import BEST_EFFORT, RELIABLE
from pose3d_ros.msg import Skeleton3DArray
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image


@pytest.mark.parametrize('camera_qos', [BEST_EFFORT, RELIABLE], ids=['best effort', 'reliable'])
@pytest.mark.parametrize('listener_qos', [BEST_EFFORT, RELIABLE], ids=['best effort', 'reliable'])
def test_both_kinds_of_peers(start, peer, camera_qos, listener_qos):
    start().wait()
    got, camera = peer.skeletons(listener_qos), peer.camera(camera_qos)
    camera.until(lambda: len(got) > 2)


def only(peer, question, topic):
    """The one endpoint of a topic beside this peer's own, as soon as it is known."""

    def found():
        infos = getattr(peer, question)(topic)
        return [info for info in infos if info.node_name == 'pose3d_estimator']

    (info,) = peer.until(found)
    return info


def test_profiles(start, peer):
    start().wait()
    image = only(peer, 'get_subscriptions_info_by_topic', peer.resolve_topic_name('image'))
    assert image.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    info = only(peer, 'get_publishers_info_by_topic', f'{peer.target}/estimator_info')
    assert info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    for name in ('skeletons', 'markers', 'debug_image'):
        output = only(peer, 'get_publishers_info_by_topic', f'{peer.target}/{name}')
        assert output.qos_profile.reliability == ReliabilityPolicy.RELIABLE
        assert output.qos_profile.durability == DurabilityPolicy.VOLATILE


def overrides(peer, topic, side, **policies):
    return {f'qos_overrides.{topic}.{side}.{name}': value for name, value in policies.items()}


def test_overrides(start, peer):
    image = peer.resolve_topic_name('image')
    start(
        **overrides(peer, image, 'subscription', reliability='reliable', depth=3),
        **overrides(peer, f'{peer.target}/skeletons', 'publisher', reliability='best_effort'),
    ).wait()
    info = only(peer, 'get_subscriptions_info_by_topic', image)
    assert info.qos_profile.reliability == ReliabilityPolicy.RELIABLE
    info = only(peer, 'get_publishers_info_by_topic', f'{peer.target}/skeletons')
    assert info.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    got, camera = peer.skeletons(BEST_EFFORT), peer.camera(RELIABLE)
    camera.until(lambda: got)
    # They hold for a second life too.
    assert peer.transition('deactivate')
    assert peer.transition('activate')
    info = only(peer, 'get_subscriptions_info_by_topic', image)
    assert info.qos_profile.reliability == ReliabilityPolicy.RELIABLE


def test_a_wrong_override_is_told(start, peer, capfd):
    image = peer.resolve_topic_name('image')
    start(autostart=False, **overrides(peer, image, 'subscription', reliability='perfect'))
    assert peer.transition('configure')
    assert not peer.transition('activate')
    assert peer.state() == 'inactive'
    assert 'perfect' in capfd.readouterr().err
    assert peer.count_subscribers(image) == 0


def test_a_camera_that_does_not_fit_is_told(start, peer, capfd):
    image = peer.resolve_topic_name('image')
    start(**overrides(peer, image, 'subscription', reliability='reliable')).wait()
    got, latest = peer.skeletons(), peer.diagnostics()
    camera = peer.camera(BEST_EFFORT)
    camera.until(lambda: 'input' in latest and 'incompatible QoS' in latest['input'].message)
    assert latest['input'].level == b'\x02'
    assert f'{peer.get_fully_qualified_name()} on {image}' in latest['input'].message
    assert got == []
    error = capfd.readouterr().err
    assert f'a publisher of {image} has an incompatible QoS (RELIABILITY)' in error
    assert f'qos_overrides.{image}.subscription' in error
    # It is over when the camera changes.
    peer.destroy_publisher(camera.images)
    better = peer.camera(RELIABLE)
    better.until(lambda: got)
    better.until(lambda: 'incompatible' not in latest['input'].message)


def test_a_listener_that_does_not_fit_is_told(start, peer, capfd):
    start().wait()
    latest = peer.diagnostics()
    topic = f'{peer.target}/skeletons'
    late = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    peer.collect(Skeleton3DArray, topic, late)
    peer.until(lambda: 'input' in latest and 'incompatible QoS' in latest['input'].message)
    assert f'a subscriber of {topic} has an incompatible QoS (DURABILITY)' in capfd.readouterr().err


def reliability_of(peer, topic):
    infos = peer.get_subscriptions_info_by_topic(topic)
    return [i.qos_profile.reliability for i in infos if i.node_name == 'pose3d_estimator']


def test_depth_images_are_reliable_while_every_publisher_is(start, peer):
    start(depth_transport='raw').wait()
    depth = peer.resolve_topic_name('depth_image')
    assert reliability_of(peer, depth) == [ReliabilityPolicy.BEST_EFFORT]
    peer.create_publisher(Image, depth, RELIABLE)
    peer.until(lambda: reliability_of(peer, depth) == [ReliabilityPolicy.RELIABLE])
    peer.create_publisher(Image, depth, BEST_EFFORT)
    peer.until(lambda: reliability_of(peer, depth) == [ReliabilityPolicy.BEST_EFFORT])


def test_images_are_reliable_while_every_publisher_is(start, peer):
    start().wait()
    image = peer.resolve_topic_name('image')
    camera = peer.camera(RELIABLE)

    def reliability():
        return reliability_of(peer, image)

    peer.until(lambda: reliability() == [ReliabilityPolicy.RELIABLE])
    got = peer.skeletons()
    camera.until(lambda: got)
    second = peer.create_publisher(Image, image, BEST_EFFORT)
    peer.until(lambda: reliability() == [ReliabilityPolicy.BEST_EFFORT])
    count = len(got)
    camera.until(lambda: len(got) > count + 2)
    peer.destroy_publisher(second)
    peer.until(lambda: reliability() == [ReliabilityPolicy.RELIABLE])


def test_the_users_reliability_stays(start, peer):
    image = peer.resolve_topic_name('image')
    start(**overrides(peer, image, 'subscription', reliability='best_effort')).wait()
    got, camera = peer.skeletons(), peer.camera(RELIABLE)
    peer.until(lambda: peer.get_publishers_info_by_topic(image))
    peer.spin_for(1.5)
    camera.until(lambda: got)
    info = only(peer, 'get_subscriptions_info_by_topic', image)
    assert info.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
