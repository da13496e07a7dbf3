# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from pose3d_ros.node.graph import Peer, image_profile, namesakes, nearest_images, unheard
from pose3d_ros.node.qos import Profile

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
RELIABLE, BEST_EFFORT = Profile(), Profile(reliable=False)
LATCHED = Profile(transient_local=True)


@pytest.mark.parametrize(
    ('offered', 'wanted', 'reason'),
    [
        (RELIABLE, RELIABLE, ''),
        (RELIABLE, BEST_EFFORT, ''),
        (LATCHED, BEST_EFFORT, ''),
        (BEST_EFFORT, RELIABLE, 'best effort'),
        (RELIABLE, LATCHED, 'volatile'),
    ],
)
def test_profiles_that_do_not_fit(offered, wanted, reason):
    why = unheard(Peer('/cam', IMAGE, offered), IMAGE, wanted)
    assert reason in why
    assert bool(why) == bool(reason)


def test_another_type_does_not_fit():
    assert COMPRESSED in unheard(Peer('/cam', COMPRESSED, RELIABLE), IMAGE, RELIABLE)


class Topics:
    def __init__(self, *topics):
        self._topics = list(topics)

    def topics(self):
        return self._topics


def test_the_nearest_image_topics_come_first():
    graph = Topics(
        ('/robot/left/depth', IMAGE),
        ('/camera/image_raw', IMAGE),
        ('/camera/camera_info', 'sensor_msgs/msg/CameraInfo'),
        ('/camera/image_raw/compressed', COMPRESSED),
        ('/people/debug_image', IMAGE),
        *((f'/z{k}', IMAGE) for k in range(9)),
    )
    names = nearest_images(graph, '/camera/image_rw', '/people')
    assert names[:2] == ['/camera/image_raw', '/camera/image_raw/compressed']
    assert len(names) == 5
    assert '/people/debug_image' not in nearest_images(graph, '/people/debug_image', '/people')


def test_namesakes():
    assert namesakes(['/a', '/b'], '/a') == 0
    assert namesakes(['/a', '/b', '/a', '/ns/a'], '/a') == 1
    # Not announced yet.
    assert namesakes([], '/a') == 0


@pytest.mark.parametrize(
    ('reliability', 'offers', 'reliable'),
    [
        ('auto', [], False),
        ('auto', [RELIABLE], True),
        ('auto', [RELIABLE, RELIABLE], True),
        ('auto', [RELIABLE, BEST_EFFORT], False),
        ('reliable', [BEST_EFFORT], True),
        ('reliable', [], True),
        ('best_effort', [RELIABLE], False),
    ],
)
def test_reliability_of_images(reliability, offers, reliable):
    peers = [Peer('/cam', IMAGE, offer) for offer in offers]
    # Of no account: nothing comes of it.
    peers.append(Peer('/other', COMPRESSED, LATCHED))
    assert image_profile(reliability, peers, IMAGE).reliable == reliable
