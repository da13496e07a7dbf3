# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging

import pytest
from support.node import Node, S

from pose3d_ros.node.graph import Peer
from pose3d_ros.node.qos import Profile
from pose3d_ros.node.watch import SILENT_AFTER_S, Heard, Watch

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
TOPIC = '/camera/image_rw'
RELIABLE, BEST_EFFORT = Profile(), Profile(reliable=False)


class World:
    """A node, its watch, a clock, and the network that the watch is told of."""

    def __init__(self, make, heard=BEST_EFFORT, **settings):
        self.peers, self.others, self.names = [], [], ['/people']
        self.now = 100.0
        self.logs = []
        self.node: Node = make(**settings)
        self.heard = {'': Heard(TOPIC, IMAGE, heard)}
        self.watch = Watch(
            self.node.core,
            self,
            '/people',
            lambda level, line: self.logs.append((level, line)),
            lambda: self.now,
        )
        self.watch.start()

    def publishers(self, topic):
        assert topic == TOPIC
        return self.peers

    def topics(self):
        return self.others

    def nodes(self):
        return self.names

    def wait(self, images=0, infos=0):
        for _ in range(images):
            self.node.image(S)
        for _ in range(infos):
            self.node.calibrate()
        self.now += SILENT_AFTER_S
        self.watch.look(self.heard)

    @property
    def warning(self):
        (line,) = [line for level, line in self.logs if level == logging.WARNING]
        return line


@pytest.fixture
def world(make):
    return lambda **settings: World(make, **settings)


def test_a_topic_that_nobody_publishes(world):
    w = world()
    w.others = [('/camera/image_raw', IMAGE), ('/other', IMAGE)]
    w.now += SILENT_AFTER_S - 0.1
    w.watch.look(w.heard)
    assert w.logs == []
    for _ in range(3):
        w.wait()
    assert f'no image on {TOPIC} within 5 s: nobody publishes it' in w.warning
    assert w.warning.endswith('these image topics exist: /camera/image_raw, /other')


def test_no_images_anywhere(world):
    w = world()
    w.wait()
    assert w.warning.endswith('no images at all')


def test_publishers_that_cannot_be_heard(world):
    w = world(heard=RELIABLE)
    w.peers = [Peer('/driver', IMAGE, BEST_EFFORT), Peer('', COMPRESSED, RELIABLE)]
    w.wait()
    assert '/driver publishes best effort, and this node asks for reliable' in w.warning
    assert f'somebody publishes {COMPRESSED}, not {IMAGE}' in w.warning


def test_a_publisher_of_whom_nothing_arrives(world):
    w = world()
    w.peers = [Peer('/driver', IMAGE, RELIABLE)]
    w.wait(infos=20)
    assert f'/driver publishes {TOPIC}, and within 5 s no images and 20 camera_info' in w.warning
    for remedy in ('rmem_max', 'image_transport: compressed', 'reliability: reliable'):
        assert remedy in w.warning


@pytest.mark.parametrize(('offered', 'heard'), [(BEST_EFFORT, BEST_EFFORT), (RELIABLE, RELIABLE)])
def test_reliable_is_advised_where_it_helps(world, offered, heard):
    w = world(heard=heard)
    w.peers = [Peer('/driver', IMAGE, offered)]
    w.wait()
    assert 'reliability' not in w.warning


def test_hardly_anything_arrives_later(world):
    w = world()
    w.peers = [Peer('/driver', IMAGE, RELIABLE)]
    w.wait(images=11, infos=20)
    assert w.logs == []
    w.wait(images=1, infos=20)
    w.wait(images=1, infos=20)
    assert '1 image and 20 camera_info came' in w.warning


@pytest.mark.parametrize('peers', [[], [Peer('/driver', IMAGE, RELIABLE)]])
def test_a_camera_that_rests_or_leaves_is_no_fault(world, peers):
    w = world()
    w.peers = peers
    w.wait(images=5, infos=5)
    w.wait()
    assert w.logs == []


def test_nobody_listens(world):
    w = world(listening=())
    w.wait()
    assert [line for _, line in w.logs if 'nobody listens' in line] == []
    w.wait(images=1)
    w.wait(images=1)
    (line,) = [(level, line) for level, line in w.logs if 'nobody listens' in line]
    assert line[0] == logging.INFO
    assert 'always_on' in line[1]


@pytest.mark.parametrize('settings', [{'listening': (), 'always_on': True}, {}])
def test_somebody_listens_or_need_not(world, settings):
    w = world(**settings)
    w.wait(images=1)
    assert w.logs == []


def test_a_name_that_exists_twice(world):
    w = world()
    w.names = ['/people', '/people', '/other']
    w.wait(images=1)
    w.wait(images=1)
    assert 'there are 2 nodes called /people' in w.warning


def test_each_activation_says_it_again(world):
    w = world()
    w.wait(images=1)
    w.watch.start()
    w.wait()
    assert 'nobody publishes it' in w.warning
