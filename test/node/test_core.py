# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest
from support.blobs import draw

from pose3d_ros.camera import Camera
from pose3d_ros.messages import image_message, stamp_of
from pose3d_ros.messages.calibration import info_message
from pose3d_ros.messages.images import compressed_message
from pose3d_ros.messages.standalone import StandaloneTypes
from pose3d_ros.node.core import NodeCore
from pose3d_ros.node.frames import FrameTree
from pose3d_ros.node.host import Host
from pose3d_ros.node.topics import input_topic, output_topic
from pose3d_ros.node.transforms import TransformBuffer
from pose3d_ros.pipeline import Pipeline
from pose3d_ros.settings.node import NodeConfig
from pose3d_ros.types import PositionSource, TrackingState

TYPES = StandaloneTypes()
CAMERA = Camera(K=np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), size=(640, 480))
ONE = draw([(320, 240, 320)])
NOBODY = draw([])
S = 1_000_000_000


class Node:
    """The adapter: keeps what is published, as a subscriber would get it."""

    def __init__(self, listening=('skeletons',), **settings):
        self.listening = set(listening)
        self.sent, self.transforms, self.logs, self.lookups = [], [], [], []
        self.tf, self.newest_tf, self.tree = None, None, FrameTree({})
        config = NodeConfig(estimator='support.blobs', **settings)
        self.now = 500 * S
        self.core = NodeCore(
            config,
            Pipeline(config),
            Host(
                TYPES,
                self,
                clock=lambda: self.now,
                log=lambda level, line: self.logs.append((level, line)),
            ),
        )
        self.core.activate()

    def listeners(self, camera, output):
        return int(output in self.listening)

    def publish(self, camera, output, message):
        name = {
            'skeletons': 'pose3d_ros/msg/Skeleton3DArray',
            'markers': 'visualization_msgs/msg/MarkerArray',
            'debug_image': 'sensor_msgs/msg/Image',
        }[output]
        data = message if isinstance(message, bytes) else TYPES.serialize(message, name)
        got = TYPES.deserialize(data, name)
        self.sent.append((camera, output, got))

    def broadcast(self, transforms):
        self.transforms.append(transforms)

    def lookup(self, target, source, stamp_ns, timeout_s):
        self.lookups.append((target, source, stamp_ns))
        if self.tf is None:
            raise LookupError(f'no transform from {source} to {target}')
        return self.tf

    def newest(self, target, source):
        if self.newest_tf is None:
            raise LookupError(f'no transform from {source} to {target}')
        return self.newest_tf

    def frames(self):
        return self.tree

    def image(self, stamp_ns, image=ONE, frame_id='cam', camera='', **changes):
        message = image_message(TYPES, image, stamp_ns=stamp_ns, frame_id=frame_id)
        for name, value in changes.items():
            setattr(message, name, value)
        self.core.image(camera, message)
        assert self.core.wait_idle(10)

    def calibrate(self, camera=CAMERA, name='', **changes):
        info = info_message(TYPES, camera, stamp_ns=1, frame_id='cam')
        for field, value in changes.items():
            setattr(info, field, value)
        self.core.camera_info(name, info)

    def outputs(self, output='skeletons'):
        return [message for _, name, message in self.sent if name == output]

    def status(self, name):
        found = self.core.diagnostics({'': '/camera/image'})
        return next(s for s in found if s.name == name)

    def warnings(self):
        return [line for level, line in self.logs if level >= logging.WARNING]


@pytest.fixture
def make():
    made = []

    def start(*args, **settings):
        node = Node(*args, **settings)
        made.append(node)
        return node

    yield start
    for node in made:
        assert node.core.runner.stop()


def test_names_of_topics():
    assert input_topic('', 'image') == 'image'
    assert input_topic('left', 'camera_info') == 'left/camera_info'
    assert output_topic('', 'skeletons') == '~/skeletons'
    assert output_topic('left', 'markers') == '~/left/markers'


def test_skeletons_of_a_calibrated_camera(make):
    node = make()
    node.calibrate()
    node.image(7 * S + 5)
    (array,) = node.outputs()
    assert stamp_of(array.header) == 7 * S + 5
    assert array.header.frame_id == 'cam'
    (person,) = array.skeletons
    # 320 pixels high, 1.6 m tall, seen with a focal length of 600 pixels.
    assert person.root.position.z == pytest.approx(3.0, rel=0.02)
    assert person.position_source != PositionSource.RELATIVE


def test_empty_array_when_nobody_is_seen(make):
    node = make()
    node.image(S, NOBODY)
    assert [len(m.skeletons) for m in node.outputs()] == [0]


def test_lost_people_are_reported_once(make):
    node = make(track_max_missed_s=0.1)
    node.image(S)
    for k in range(1, 6):
        node.image(S + k * S // 10, NOBODY)
    states = [[s.tracking_state for s in m.skeletons] for m in node.outputs()]
    assert sum(TrackingState.LOST in s for s in states) == 1
    lost = next(s for m in node.outputs() for s in m.skeletons if not s.joints)
    assert lost.track_id == node.outputs()[0].skeletons[0].track_id


@pytest.mark.parametrize(
    ('changes', 'problem'),
    [
        ({'k': np.zeros(9)}, 'uncalibrated'),
        ({'k': np.full(9, np.nan)}, 'finite'),
        ({'width': 640, 'height': 200}, 'another aspect ratio'),
        ({'distortion_model': 'wavy', 'd': np.ones(5)}, "'wavy' is unknown"),
    ],
)
def test_unusable_camera_info(make, changes, problem):
    node = make()
    node.calibrate(**changes)
    node.image(S)
    (array,) = node.outputs()
    assert array.skeletons[0].position_source == PositionSource.RELATIVE
    status = node.status('calibration')
    assert status.level == 1
    assert problem in status.message
    assert problem in node.warnings()[-1]


def test_an_unlikely_camera_info_is_named_once(make):
    node = make()
    node.calibrate(k=np.array([0.5, 0, 320, 0, 500, 240, 0, 0, 1]))
    for k in range(3):
        node.image(S + k)
    named = [text for text in node.warnings() if 'unlikely calibration: fx is 0.5' in text]
    assert len(named) == 1


def test_camera_info_of_rectified_images_alone(make):
    node = make()
    k, p = np.zeros(9), np.zeros(12)
    p[[0, 2, 5, 6, 10]] = 500, 320, 500, 240, 1
    node.core.image_topic('', '/camera/image_rect')
    node.calibrate(k=k, p=p)
    node.image(S)
    assert node.outputs()[0].skeletons[0].position_source != PositionSource.RELATIVE


def test_camera_info_absent_and_then_there(make):
    node = make()
    node.image(S)
    assert 'no camera_info has come' in node.status('calibration').message
    node.calibrate()
    node.image(S + 1)
    sources = [m.skeletons[0].position_source for m in node.outputs()]
    assert sources[0] == PositionSource.RELATIVE
    assert sources[1] != PositionSource.RELATIVE
    assert node.status('calibration').message == 'calibrated'


def test_assumed_focal_length(make):
    node = make(focal_length_px=600.0)
    node.image(S)
    assert node.outputs()[0].skeletons[0].root.position.z == pytest.approx(3.0, rel=0.02)
    assert 'assumed' in node.status('calibration').message


def test_estimators_that_assume_a_focal_length_say_so(make):
    node = make()
    node.core.pipeline.info = replace(node.core.pipeline.info, focal_share=0.9375)
    node.image(S)
    assert node.outputs()[0].skeletons[0].position_source == PositionSource.ASSUMED
    assert 'assumed' in node.status('calibration').message
    assert not node.warnings()


def test_image_size_changes_in_mid_stream(make):
    node = make()
    node.calibrate()
    half = cv2.resize(ONE, (320, 240), interpolation=cv2.INTER_NEAREST)
    for k, image in enumerate([ONE, half, ONE]):
        node.image(S + k, image)
    depths = [m.skeletons[0].root.position.z for m in node.outputs()]
    assert depths == pytest.approx([3.0] * 3, rel=0.03)
    assert [m.image_width for m in node.outputs()] == [640, 320, 640]


def test_broken_images_are_diagnosed_and_survived(make):
    node = make()
    node.image(S, encoding='rgb7')
    node.image(S, step=7)
    node.image(S, data=np.zeros(10, np.uint8))
    status = node.status('input')
    assert status.level == 2
    assert 'truncated' in status.message
    assert status.values['undecodable'] == '3'
    node.image(2 * S)
    assert len(node.outputs()) == 1
    assert node.status('input').level == 0


def test_stamp_zero_is_the_time_of_arrival(make):
    node = make()
    node.image(0)
    node.now += S
    node.image(0)
    assert [stamp_of(m.header) for m in node.outputs()] == [500 * S, 501 * S]
    assert [w for w in node.warnings() if 'no stamp' in w] == [
        'images have no stamp; the time of their arrival is used'
    ]
    status = node.status('input')
    assert status.level == 1
    assert 'without a stamp' in status.message


def test_stamps_backwards_are_diagnosed(make):
    node = make()
    node.image(5 * S)
    node.image(3 * S)
    assert 'time went backwards 1 times' in node.status('input').message
    states = [m.skeletons[0].tracking_state for m in node.outputs()]
    assert states == [TrackingState.NEW, TrackingState.NEW]
    # The person of before the jump has ended.
    assert node.outputs()[1].skeletons[1].tracking_state == TrackingState.LOST


def test_frame_id(make):
    node = make(camera_frame='left_optical')
    node.image(S, frame_id='')
    node.image(S + 1, frame_id='cam')
    assert [m.header.frame_id for m in node.outputs()] == ['left_optical', 'cam']
    bare = make()
    bare.image(S, frame_id='')
    bare.image(S + 1, frame_id='')
    assert len([w for w in bare.warnings() if 'frame_id' in w]) == 1


def test_only_what_somebody_listens_to(make):
    node = make(listening=())
    node.image(S)
    assert node.sent == []
    assert node.status('inference').message == 'idle: nobody listens'
    node.listening = {'markers'}
    node.image(S + 1)
    node.listening = {'debug_image'}
    node.image(S + 2)
    assert [name for _, name, _ in node.sent] == ['markers', 'debug_image']


def test_always_on(make):
    node = make(listening=(), always_on=True)
    node.image(S)
    assert [name for _, name, _ in node.sent] == ['skeletons']


def test_outputs_can_be_switched_off(make):
    node = make(
        listening=('skeletons', 'markers', 'debug_image'),
        publish_markers=False,
        publish_debug_image=False,
    )
    node.image(S)
    assert [name for _, name, _ in node.sent] == ['skeletons']


def test_debug_image(make):
    node = make(listening=('debug_image',))
    node.image(S)
    (drawn,) = node.outputs('debug_image')
    assert (drawn.width, drawn.height, drawn.encoding) == (640, 480, 'bgr8')
    assert drawn.header.frame_id == 'cam'
    assert (drawn.data.reshape(480, 640, 3) != ONE).any()


def test_transforms_are_opt_in(make):
    node = make(listening=(), publish_tf=True)
    node.calibrate()
    node.image(S)
    ((transform,),) = node.transforms
    assert transform.child_frame_id == 'body_1'
    quiet = make()
    quiet.calibrate()
    quiet.image(S)
    assert quiet.transforms == []


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
    assert node.core.deactivate()


def test_gravity_takes_the_newest_transform(make):
    node = make(gravity_frame='odom')
    turn = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    gravities = []
    estimate = node.core.pipeline.estimator.estimate

    def keep(frames):
        gravities.extend(frame.gravity for frame in frames)
        return estimate(frames)

    node.core.pipeline.estimator.estimate = keep
    for stamp_ns in (S - S // 2, None):
        node.newest_tf = turn, np.zeros(3), stamp_ns
        node.image(S)
        np.testing.assert_allclose(gravities.pop(), [0, 1, 0], atol=1e-12)
    node.newest_tf = turn, np.zeros(3), S
    node.image(9 * S)
    assert gravities == [None]
    assert any('8.0 s away from the image' in line for line in node.warnings())


def test_gravity_by_tf(make):
    node = make(gravity_frame='odom')
    seen = []
    estimate = node.core.pipeline.estimator.estimate
    node.core.pipeline.estimator.estimate = lambda frames: seen.extend(frames) or estimate(frames)
    node.image(S)
    assert seen[0].gravity is None
    assert 'gravity is unknown: no transform from cam to odom' in node.warnings()
    # z forward, y down -> x forward, z up: the camera is level.
    node.tf = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]), np.zeros(3)
    node.image(2 * S)
    assert node.lookups[-1] == ('odom', 'cam', 2 * S)
    np.testing.assert_allclose(seen[1].gravity, [0, 1, 0], atol=1e-12)


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


def test_compressed_images(make):
    node = make(image_transport='compressed')
    message = compressed_message(TYPES, ONE, stamp_ns=S, frame_id='cam')
    node.core.image('', message)
    node.core.runner.wait_idle(10)
    assert len(node.outputs()[0].skeletons) == 1
    message.data = message.data[:100]
    node.core.image('', message)
    node.core.runner.wait_idle(10)
    assert 'compressed image' in node.status('input').message


def test_several_cameras(make):
    node = make(cameras='left,right')
    node.calibrate(name='left')
    node.image(S, camera='left')
    node.image(S, camera='right')
    sources = {camera: m.skeletons[0].position_source for camera, _, m in node.sent}
    assert sources['left'] != PositionSource.RELATIVE
    assert sources['right'] == PositionSource.RELATIVE
    names = {s.name for s in node.core.diagnostics({})}
    assert {'left input', 'right calibration', 'left tracking', 'inference', 'latency'} <= names


def test_deactivate_says_goodbye(make):
    node = make(listening=('skeletons', 'markers'))
    node.image(S)
    node.sent.clear()
    assert node.core.deactivate()
    (array,), (markers,) = node.outputs(), node.outputs('markers')
    assert array.skeletons == []
    assert stamp_of(array.header) == S
    assert [m.action for m in markers.markers] == [3]
    assert markers.markers[0].header.frame_id == 'cam'
    node.image(2 * S)
    assert len(node.sent) == 2


def test_deactivate_before_any_image(make):
    node = make()
    assert node.core.deactivate()
    assert node.sent == []


def test_diagnostics_tell_where_the_time_goes(make):
    node = make(latency_warn_ms=10.0)
    node.image(500 * S - 40_000_000)
    latency = node.status('latency')
    assert latency.level == 1
    assert latency.values['transport mean (ms)'] == '40.00'
    assert {
        'wait mean (ms)',
        'decode image p95 (ms)',
        'landmarks mean (ms)',
        'publish mean (ms)',
    } <= set(latency.values)
    inference = node.status('inference')
    assert inference.values['model'] == 'blobs'
    assert inference.level == 0


def test_no_image_has_come(make):
    status = make().status('input')
    assert (status.level, status.message) == (2, 'no image has come on /camera/image')


def test_clock_of_the_camera_is_ahead(make):
    node = make()
    node.image(600 * S)
    assert 'clock is ahead' in node.status('latency').message


def test_info(make):
    info = make().core.info()
    assert info.convention == 'coco_17'
    assert stamp_of(info.header) == 500 * S
    assert info.model_name == 'blobs'
