# SPDX-License-Identifier: Apache-2.0
"""Boxes, keypoints and depth that other nodes publish."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from harness import BEST_EFFORT, LATCHED, camera_info, header, image_message, stamp_of
from pose3d_ros.msg import EstimatorInfo, Skeleton3D, Skeleton3DArray
from sensor_msgs.msg import CompressedImage, Image
from support.keypoints import COCO, array_of, pixels_at

from pose3d_ros.ros.messages import message_class

FOCAL = 600.0  # that of support.keypoints


class Keypoints:
    """Publishes keypoints of somebody at x beside each image."""

    def __init__(self, peer, topic='keypoints', qos=BEST_EFFORT):
        self._publisher = peer.create_publisher(Skeleton3DArray, topic, qos)
        self.changes = {}
        self.x, self.late_ns = 0.5, 0

    def image(self):
        message = image_message()
        theirs = header(stamp_of(message) - self.late_ns)
        self._publisher.publish(array_of(message_class, theirs, pixels_at(self.x), **self.changes))
        return message


def present(got):
    """People of the last array, without the ends of tracks."""
    return [person for person in got[-1].skeletons if person.joints] if got else []


def placed(got, x):
    """Whether somebody stands there."""
    people = present(got)
    return (
        len(people) == 1 and people[0].position_source and abs(people[0].root.position.x - x) < 0.3
    )


@pytest.mark.parametrize(
    ('estimator', 'convention'), [('lifter', 'cmu_22'), ('lifting_from_the_deep', 'h36m_17')]
)
def test_keypoints_of_another_node(start, peer, estimator, convention):
    running = start(estimator=estimator, **{f'{estimator}.keypoints': 'topic'}).wait()
    got, camera, keypoints = peer.skeletons(), peer.camera(), Keypoints(peer)
    info = camera_info(focal=FOCAL)
    camera.until(lambda: placed(got, 0.5), image=keypoints.image, info=info)
    (person,) = present(got)
    assert got[-1].convention == convention
    assert person.root.position.z == pytest.approx(4.0, abs=1.0)
    assert len(person.joints) == int(convention[-2:])
    keypoints.x = -0.5
    camera.until(lambda: placed(got, -0.5), image=keypoints.image, info=info)
    (status,) = [s for s in running.node._session.statuses() if s.name == 'keypoints']
    assert status.level == 0
    assert status.values['topic'] == peer.resolve_topic_name('keypoints')


def test_keypoints_of_another_time(start, peer):
    start(estimator='lifter', keypoints_wait_s=0.0, **{'lifter.keypoints': 'topic'}).wait()
    got, camera, keypoints = peer.skeletons(), peer.camera(), Keypoints(peer)
    latest = peer.diagnostics()
    keypoints.late_ns = 30_000_000
    camera.until(lambda: placed(got, 0.5), image=keypoints.image, info=camera_info(focal=FOCAL))
    keypoints.late_ns = 800_000_000
    camera.until(
        lambda: 'keypoints' in latest and 'of the time of the last' in latest['keypoints'].message,
        image=keypoints.image,
    )
    assert latest['keypoints'].level == b'\x02'


def test_no_keypoints_and_an_unknown_convention(start, peer):
    start(estimator='lifter', keypoints_wait_s=0.0, **{'lifter.keypoints': 'topic'}).wait()
    got, camera, latest = peer.skeletons(), peer.camera(), peer.diagnostics()
    camera.until(lambda: 'keypoints' in latest and latest['keypoints'].level == b'\x02')
    topic = peer.resolve_topic_name('keypoints')
    assert latest['keypoints'].message == f'nothing has come on {topic}'
    keypoints = Keypoints(peer)
    keypoints.changes = {'convention': 'their_17'}
    camera.until(lambda: "'their_17'" in latest['keypoints'].message, image=keypoints.image)
    assert present(got) == []
    latched = peer.create_publisher(EstimatorInfo, 'keypoints_info', LATCHED)
    info = EstimatorInfo(convention='their_17', joint_names=list(COCO.names))
    info.parents = np.array(COCO.parents, np.int16)
    latched.publish(info)
    camera.until(lambda: placed(got, 0.5), image=keypoints.image, info=camera_info(focal=FOCAL))
    camera.until(lambda: latest['keypoints'].level == b'\x00', image=keypoints.image)


def test_boxes_of_another_node(start, peer, tmp_path):
    messages = pytest.importorskip('vision_msgs.msg')
    from support.metro_graph import MetroGraph, write_graph

    from pose3d_ros.networks import metro as parts

    known = parts.JOINTS[19]
    graph = tmp_path / 'toy.pb'
    write_graph(graph, MetroGraph(known.names, known.edges, known.internal, known.inside, width=4))
    start(
        estimator='metro', model=str(graph), allow_random_weights=True,
        **{'metro.detector': 'topic', 'metro.keypoints': 'none', 'metro.follow': False},
    ).wait()  # fmt: skip
    got, camera, latest = peer.skeletons(), peer.camera(), peer.diagnostics()
    camera.until(lambda: 'detections' in latest and latest['detections'].level == b'\x02')
    publisher = peer.create_publisher(messages.Detection2DArray, 'detections', BEST_EFFORT)
    middle = 400.0

    def detected():
        message = image_message()
        array = messages.Detection2DArray(header=message.header)
        for kind, x in (('person', middle), ('dog', 60.0)):
            detection = messages.Detection2D(header=message.header)
            detection.bbox.center.position.x, detection.bbox.center.position.y = x, 240.0
            detection.bbox.size_x, detection.bbox.size_y = 120.0, 300.0
            result = messages.ObjectHypothesisWithPose()
            result.hypothesis.class_id, result.hypothesis.score = kind, 0.9
            detection.results.append(result)
            array.detections.append(detection)
        publisher.publish(array)
        return message

    def there():
        people = present(got)
        return len(people) == 1 and abs(
            np.nanmean([joint.pixel_x for joint in people[0].joints]) - middle
        ) < 80  # fmt: skip

    camera.until(there, image=detected)
    middle = 200.0
    camera.until(there, image=detected)
    camera.until(lambda: latest['detections'].level == b'\x00', image=detected)


class Depth:
    """Publishes depth images of somebody at a distance beside each image."""

    def __init__(self, peer, compressed=False):
        kind, suffix = (CompressedImage, '/compressedDepth') if compressed else (Image, '')
        self._publisher = peer.create_publisher(kind, f'aligned_depth{suffix}', BEST_EFFORT)
        self._compressed = compressed
        self.metres, self.frame_id = 3.0, None

    def image(self):
        message = image_message()
        theirs = header(stamp_of(message), self.frame_id or message.header.frame_id)
        values = np.full((480, 640), round(1000 * self.metres), np.uint16)
        if self._compressed:
            depth = CompressedImage(header=theirs, format='16UC1; compressedDepth png')
            depth.data = bytes(12) + cv2.imencode('.png', values)[1].tobytes()
        else:
            depth = image_message(values, stamp_of(message), encoding='16UC1')
            depth.header = theirs
        self._publisher.publish(depth)
        return message


@pytest.mark.parametrize('transport', ['raw', 'compressed'])
def test_depth_of_a_depth_camera(start, peer, namespace, transport):
    running = start(
        depth_transport=transport, depth_wait_s=0.3,
        ros_args=['-r', f'depth_image:={namespace}/aligned_depth'],
    ).wait()  # fmt: skip
    got, camera, latest = peer.skeletons(), peer.camera(), peer.diagnostics()
    depth = Depth(peer, transport == 'compressed')
    info = camera_info()

    def measured():
        people = present(got)
        return bool(people) and people[0].position_source == Skeleton3D.SOURCE_DEPTH

    camera.until(measured, image=depth.image, info=info)
    # The skin is what depth cameras see; by its size the person would be 5 m away.
    assert present(got)[0].root.position.z == pytest.approx(3.09, abs=0.1)
    (status,) = [s for s in running.node._session.statuses() if s.name == 'depth_image']
    suffix = '/compressedDepth' if transport == 'compressed' else ''
    assert status.values['topic'] == f'{namespace}/aligned_depth{suffix}'
    # Of a camera beside it: people are placed without.
    depth.frame_id = 'depth_optical_frame'
    camera.until(lambda: present(got) and not measured(), image=depth.image)
    camera.until(
        lambda: 'depth_image' in latest and latest['depth_image'].level == b'\x02',
        image=depth.image,
    )
    assert 'depth_optical_frame' in latest['depth_image'].message
    depth.frame_id = None
    camera.until(measured, image=depth.image)
    camera.until(lambda: latest['depth_image'].level == b'\x00', image=depth.image)


def test_bone_quality_is_told_if_asked_for(start, peer):
    start().wait()
    got, camera = peer.skeletons(), peer.camera()
    camera.until(lambda: present(got), info=camera_info())
    assert np.isnan(present(got)[0].bone_quality)
    assert peer.set(bone_quality=True)[0]
    camera.until(lambda: present(got) and 0 <= present(got)[0].bone_quality <= 1)
