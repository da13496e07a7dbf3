# SPDX-License-Identifier: Apache-2.0
"""The node says why nothing comes out."""

from __future__ import annotations

from rclpy.node import Node


def test_a_misspelt_topic_is_named_with_those_that_exist(start, peer, capfd):
    peer.camera(topic='camera/image')
    start(ros_args=['-r', 'image:=camera/imgae', '-r', 'detections:=boxes']).wait()
    heard = ''

    def said():
        nonlocal heard
        heard += capfd.readouterr().err
        return 'these image topics exist' in heard

    peer.until(said)
    base = peer.get_namespace()
    assert f'no image on {base}/camera/imgae within 5 s: nobody publishes it' in heard
    assert f'these image topics exist: {base}/camera/image' in heard
    assert f'detections on {base}/boxes have no effect' in heard
    assert 'debug_image' not in heard.partition('these image topics exist')[2]


def test_a_name_that_exists_twice_is_named(start, peer, namespace, capfd):
    twin = Node('pose3d_estimator', namespace=namespace)
    start(always_on=True).wait()
    heard = ''

    def said():
        nonlocal heard
        heard += capfd.readouterr().err
        return 'nodes called' in heard

    peer.until(said)
    assert f'there are 2 nodes called {namespace}/pose3d_estimator' in heard
    twin.destroy_node()
