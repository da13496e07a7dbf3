# SPDX-License-Identifier: Apache-2.0
"""Frames of what is published, and transforms that come late."""

from __future__ import annotations

import time

import numpy as np
import pytest
from support.blobs import draw
from support.node import NOBODY, ONE, TYPES, Node, S

from pose3d_ros.messages import image_message, stamp_of
from pose3d_ros.node.frames import FrameTree
from pose3d_ros.node.transforms import TransformBuffer
from pose3d_ros.types import TrackingState


def test_target_frame(make):
    node = make(
        listening=('skeletons', 'markers', 'debug_image'), target_frame='map', publish_tf=True
    )
    node.calibrate()
    node.image(S)
    assert node.sent == []
    assert node.status('transform').level == 2
    assert 'no transform from cam to map' in node.status('transform').message
    # z forward, y down -> x forward, z up.
    turn = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    node.tf = turn, np.array([10.0, 0, 1])
    node.image(2 * S)
    assert node.lookups[-1] == ('map', 'cam', 2 * S)
    (array,), (markers,) = node.outputs(), node.outputs('markers')
    assert {m.header.frame_id for m in (array, *markers.markers)} == {'map'}
    assert array.skeletons[0].root.position.x == pytest.approx(13.0, rel=0.02)
    assert node.transforms[0][0].header.frame_id == 'map'
    assert node.outputs('debug_image')[0].header.frame_id == 'cam'
    assert node.status('transform').level == 0
    assert node.status('transform').values['failures'] == '1'


def test_markers_in_a_frame_that_stands_still(make):
    node = make(listening=('skeletons', 'markers'))
    node.calibrate()
    node.tree = FrameTree({'cam': 'base_link', 'base_link': 'odom'})
    node.image(S)
    # Skeletons need no transform; markers without one would be an error in RViz.
    assert node.outputs('markers') == []
    assert any('no markers: no transform from cam to odom' in line for line in node.warnings())
    turn = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    node.tf = turn, np.array([10.0, 0, 1])
    node.image(2 * S)
    assert node.lookups[-1] == ('odom', 'cam', 2 * S)
    assert [array.header.frame_id for array in node.outputs()] == ['cam', 'cam']
    (markers,) = node.outputs('markers')
    assert {m.header.frame_id for m in markers.markers} == {'odom'}
    assert {stamp_of(m.header) for m in markers.markers} == {2 * S}
    assert all(m.frame_locked for m in markers.markers)
    joints = next(m for m in markers.markers if m.ns == 'joints')
    assert np.mean([p.x for p in joints.points]) == pytest.approx(13.0, rel=0.02)


ASIDE = draw([(440, 180, 320)])


def root_of(array):
    position = array.skeletons[0].root.position
    return np.array([position.x, position.y, position.z])


@pytest.fixture
def optical(make):
    """Root of the person in optical axes."""
    node = make()
    node.calibrate()
    node.image(S, ASIDE)
    return root_of(node.outputs()[0])


def test_images_in_a_body_frame(make, optical):
    node = make(
        listening=('skeletons', 'markers', 'debug_image'), image_frame='body', publish_tf=True,
        marker_frame='',
    )  # fmt: skip
    node.calibrate()
    node.image(S, ASIDE, frame_id='camera_link')
    (array,), (markers,) = node.outputs(), node.outputs('markers')
    assert {m.header.frame_id for m in (array, *markers.markers)} == {'camera_link'}
    ahead = np.array([optical[2], -optical[0], -optical[1]])
    np.testing.assert_allclose(root_of(array), ahead, atol=1e-6)
    assert optical[2] == pytest.approx(3.0, rel=0.02)
    joints = next(m for m in markers.markers if m.ns == 'joints')
    assert np.mean([p.x for p in joints.points]) == pytest.approx(3.0, rel=0.02)
    ((sent,),) = node.transforms
    assert sent.header.frame_id == 'camera_link'
    assert sent.transform.translation.x == pytest.approx(ahead[0], abs=1e-6)


def test_a_body_frame_in_a_target_frame_and_its_gravity(make, optical):
    node = make(image_frame='body', target_frame='map', gravity_frame='map')
    frames, process = [], node.core.pipeline.process_batch
    node.core.pipeline.process_batch = lambda batch: frames.extend(batch) or process(batch)
    node.calibrate()
    node.tf = np.eye(3), np.array([10.0, 0, 1.5])
    node.image(S, ASIDE, frame_id='camera_link')
    assert node.lookups[-1] == ('map', 'camera_link', S)
    x, y, z = optical
    np.testing.assert_allclose(root_of(node.outputs()[0]), [10 + z, -x, 1.5 - y], atol=1e-6)
    np.testing.assert_allclose(frames[0].gravity, [0, 1, 0], atol=1e-9)


def test_another_frame_in_place_of_that_of_the_images(make, optical):
    node = make(listening=('skeletons', 'debug_image'), image_frame='eye')
    node.calibrate()
    node.image(S, ASIDE, frame_id='camera_link')
    assert node.outputs()[0].header.frame_id == 'eye'
    assert node.outputs('debug_image')[0].header.frame_id == 'eye'
    np.testing.assert_allclose(root_of(node.outputs()[0]), optical, atol=1e-6)


class LateTransforms(Node):
    """Transforms come as they do on a robot: some time after the image."""

    def __init__(self, **settings):
        self.buffer = TransformBuffer()
        super().__init__(target_frame='odom', **settings)

    def lookup(self, target, source, stamp_ns, timeout_s):
        return self.buffer.lookup(target, source, stamp_ns, timeout_s)

    def newest(self, target, source):
        return self.buffer.newest_stamped(target, source)

    def drive(self, *stamps_ns):
        for stamp_ns in stamps_ns:
            pose = np.array([1e-9 * stamp_ns, 0, 0]), np.array([0.0, 0, 0, 1])
            self.buffer.set('odom', 'cam', pose, stamp_ns)


def test_images_do_not_wait_for_transforms():
    node = LateTransforms(tf_timeout_s=10.0)
    node.calibrate()
    for k in range(1, 6):
        message = image_message(TYPES, ONE, stamp_ns=k * S, frame_id='cam')
        node.core.image('', message)
        assert node.core.runner.wait_idle(10)
    assert node.core.runner.report().sources[''].processed == 5
    assert node.outputs() == []
    node.drive(0, 3 * S + S // 2)
    while len(node.outputs()) < 3:
        time.sleep(0.001)
    node.drive(6 * S)
    assert node.core.wait_idle(10)
    assert [stamp_of(array.header) for array in node.outputs()] == [k * S for k in range(1, 6)]
    roots = [array.skeletons[0].root.position.x for array in node.outputs()]
    np.testing.assert_allclose(np.diff(roots), 1.0, atol=1e-3)
    assert 'waited for it' in node.status('transform').values
    assert node.core.deactivate()


def test_late_transforms_newest():
    node = LateTransforms(tf_timeout_s=0.0, tf_late='newest', tf_max_age_s=0.3)
    node.calibrate()
    estimate = node.core.pipeline.estimator.estimate

    def with_covariance(frames):
        return [
            [
                pose.replace(covariance=np.tile(1e-4 * np.eye(3), (len(pose.xyz), 1, 1)))
                for pose in people
            ]
            for people in estimate(frames)
        ]

    node.core.pipeline.estimator.estimate = with_covariance
    node.drive(S)
    node.image(S)
    node.image(S + S // 5)
    node.image(2 * S)
    now, late = node.outputs()
    assert late.header.frame_id == 'odom'
    assert late.skeletons[0].root.position.x == pytest.approx(now.skeletons[0].root.position.x)
    (a,), (b,) = now.skeletons, late.skeletons
    grown = np.array(b.root_covariance) - np.array(a.root_covariance)
    distance = np.linalg.norm([a.root.position.x - 1, a.root.position.y, a.root.position.z])
    assert grown.reshape(3, 3)[0, 0] == pytest.approx(0.2**2 * (1 + distance**2), rel=0.05)
    assert any('0.20 s away from the image' in line for line in node.warnings())
    assert node.status('transform').values['failures'] == '2'
    assert node.core.deactivate()


def test_late_transforms_in_the_frame_of_the_camera():
    node = LateTransforms(tf_timeout_s=0.0, tf_late='camera_frame')
    node.calibrate()
    node.image(S)
    node.drive(S, 2 * S)
    node.image(2 * S)
    assert [array.header.frame_id for array in node.outputs()] == ['cam', 'odom']
    assert any(line.startswith('published in cam: no transform') for line in node.warnings())
    assert node.core.deactivate()


def test_nobody_is_lost_unreported_while_transforms_fail(make):
    node = make(target_frame='map', track_max_missed_s=0.1)
    node.tf = np.eye(3), np.zeros(3)
    node.image(S)
    node.tf = None
    for k in range(1, 6):
        node.image(S + k * S // 10, NOBODY)
    node.tf = np.eye(3), np.zeros(3)
    node.image(S + S // 2 + 1, NOBODY)
    states = [[s.tracking_state for s in m.skeletons] for m in node.outputs()]
    assert states == [[TrackingState.NEW], [TrackingState.LOST]]
