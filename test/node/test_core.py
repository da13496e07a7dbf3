# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from support.node import NOBODY, ONE, TYPES, S

from pose3d_ros.messages import stamp_of
from pose3d_ros.messages.images import compressed_message
from pose3d_ros.node.topics import input_topic, output_topic
from pose3d_ros.types import PositionSource, TrackingState


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


def test_floor_by_tf(make):
    node = make(floor_frame='base_footprint')
    seen = []
    estimate = node.core.pipeline.estimator.estimate
    node.core.pipeline.estimator.estimate = lambda frames: seen.extend(frames) or estimate(frames)
    node.image(S)
    assert seen[0].floor is None
    assert 'the floor is unknown: no transform from cam to base_footprint' in node.warnings()
    turn = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    node.tf = turn, np.array([0.3, 0, 0.9])
    node.image(2 * S)
    assert node.lookups[-1] == ('base_footprint', 'cam', 2 * S)
    np.testing.assert_allclose(seen[1].floor.up, [0, -1, 0], atol=1e-12)
    assert seen[1].floor.height_m == pytest.approx(0.9)
    assert seen[1].gravity is None


def test_a_floor_over_the_camera_is_none(make):
    node = make(floor_frame='odom')
    seen = []
    estimate = node.core.pipeline.estimator.estimate
    node.core.pipeline.estimator.estimate = lambda frames: seen.extend(frames) or estimate(frames)
    node.tf = np.eye(3), np.array([0, 0, -0.4])
    node.image(S)
    assert seen[0].floor is None
    assert any('cam is -0.40 m above odom' in line for line in node.warnings())


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
    node.in_step = False
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
    node.in_step = False
    node.image(600 * S)
    assert 'clock is ahead' in node.status('latency').message


def test_info(make):
    info = make().core.info()
    assert info.convention == 'coco_17'
    assert stamp_of(info.header) == 500 * S
    assert info.model_name == 'blobs'
