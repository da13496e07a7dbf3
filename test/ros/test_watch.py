# SPDX-License-Identifier: Apache-2.0
"""The node says why nothing comes out."""

from __future__ import annotations

from geometry_msgs.msg import TransformStamped
from harness import LATCHED, camera_info, header
from pose3d_ros.msg import EstimatorInfo
from rclpy.node import Node
from tf2_msgs.msg import TFMessage


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
    listed = heard.partition('these image topics exist')[2]
    assert f'{base}/pose3d_estimator/debug_image' not in listed


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


def test_frames_that_somebody_else_broadcasts(start, peer):
    start(publish_tf=True).wait()
    latest, transforms = peer.diagnostics(), peer.collect(TFMessage, '/tf')
    info = peer.collect(EstimatorInfo, f'{peer.target}/estimator_info', LATCHED)
    camera, rival = peer.camera(), peer.create_publisher(TFMessage, '/tf', 10)

    def children():
        return {t.child_frame_id for message in transforms[-3:] for t in message.transforms}

    camera.until(lambda: children() == {'body_1'}, info=camera_info())
    made = TransformStamped(child_frame_id='body_1', header=header(frame_id='elsewhere'))
    rival.publish(TFMessage(transforms=[made]))
    name = peer.target.strip('/').replace('/', '_')
    camera.until(lambda: children() == {f'{name}_body_1'}, info=camera_info())
    peer.until(lambda: info and info[-1].tf_prefix == f'{name}_')
    peer.until(lambda: 'frames' in latest and name in latest['frames'].message)
