# SPDX-License-Identifier: Apache-2.0
"""Good and bad input: transports, encodings, calibrations, stamps, time."""

from __future__ import annotations

import array
import math
import time
from importlib.util import find_spec

import cv2
import numpy as np
import pytest
from harness import (
    BEST_EFFORT,
    PERSON,
    camera_info,
    header,
    image_message,
    ros_time_message,
    stamp_of,
    within,
)
from pose3d_ros.msg import Skeleton3D
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from support.blobs import draw

WARN, ERROR = b'\x01', b'\x02'


def jpeg(data: bytes | None = None) -> CompressedImage:
    made = CompressedImage(header=header(), format='bgr8; jpeg compressed bgr8')
    if data is None:
        data = cv2.imencode('.jpg', draw([PERSON]))[1].tobytes()
    made.data = array.array('B', data)
    return made


def test_compressed_images(start, peer):
    start(image_transport='compressed').wait()
    got, latest = peer.skeletons(), peer.diagnostics()
    publisher = peer.create_publisher(CompressedImage, 'image/compressed', BEST_EFFORT)
    sent = []

    def send(message):
        def more():
            if got and got[-1].skeletons:
                return True
            sent.append(message())
            publisher.publish(sent[-1])
            return False

        return more

    peer.until(send(jpeg))
    assert stamp_of(got[-1]) in [stamp_of(message) for message in sent]
    assert (got[-1].image_width, got[-1].image_height) == (640, 480)

    # Damaged ones are told, and the next good one is used again.
    whole = bytes(jpeg().data)
    for bad in (whole[: len(whole) // 2], b'no picture', b''):
        publisher.publish(jpeg(bad))
        peer.until(lambda: 'input' in latest and latest['input'].level == ERROR)
        got.clear()
        peer.until(send(jpeg))
        peer.until(lambda: latest['input'].level != ERROR)


def test_the_suffix_follows_the_remapped_name(start, peer):
    start(image_transport='compressed', ros_args=['-r', 'image:=/rig/cam/image_rect']).wait()
    topic = '/rig/cam/image_rect/compressed'
    peer.until(lambda: peer.count_subscribers(topic) == 1)


def test_the_compressed_topic_itself_may_be_remapped(start, peer):
    start(image_transport='compressed', ros_args=['-r', 'image/compressed:=/other/jpegs']).wait()
    peer.until(lambda: peer.count_subscribers('/other/jpegs') == 1)


BGR = draw([PERSON])
GREY = cv2.cvtColor(BGR, cv2.COLOR_BGR2GRAY)


def yuyv() -> np.ndarray:
    made = np.full((480, 640, 2), 128, np.uint8)
    made[..., 0] = np.clip(GREY, 16, 235)
    return made


ENCODINGS = {
    'bgr8': BGR,
    'rgb8': BGR[..., ::-1],
    'bgra8': np.dstack([BGR, np.full_like(GREY, 255)]),
    'rgba8': np.dstack([BGR[..., ::-1], np.full_like(GREY, 255)]),
    'mono8': GREY,
    'mono16': GREY.astype(np.uint16) * 257,
    'bgr16': BGR.astype(np.uint16) * 257,
    '8UC3': BGR,
    '16UC1': GREY.astype(np.uint16) * 257,
    'yuv422_yuy2': yuyv(),
    'uyvy': np.ascontiguousarray(yuyv()[..., ::-1]),
    'yuv422': np.ascontiguousarray(yuyv()[..., ::-1]),
    'bayer_rggb8': GREY,
    'nv21': np.vstack([GREY, np.full((240, 640), 128, np.uint8)]),
}


def test_encodings(start, peer, capfd):
    start().wait()
    if find_spec('cv_bridge') and np.lib.NumpyVersion(np.__version__) < '2.0.0':
        assert 'cv_bridge cannot be used' not in capfd.readouterr().err
    got, camera = peer.skeletons(), peer.camera()
    for encoding, image in ENCODINGS.items():
        message = image_message(image, encoding=encoding)
        message.height, message.width = 480, 640

        def again(message=message):
            message.header = header()
            return message

        got.clear()
        camera.until(lambda: got, image=again)
        people = [s for s in got[-1].skeletons if s.tracking_state != Skeleton3D.LOST]
        assert len(people) == 1, encoding
        roi = people[0].roi
        assert roi.x_offset + roi.width / 2 == pytest.approx(320, abs=6), encoding


def test_padded_rows(start, peer):
    start().wait()
    got, camera = peer.skeletons(), peer.camera()

    def padded():
        message = image_message(np.pad(BGR, ((0, 0), (0, 8), (0, 0))))
        message.width = 640
        return message

    camera.until(lambda: got, image=padded)
    assert got[-1].image_width == 640
    assert len(got[-1].skeletons) == 1


def damaged(kind: str) -> Image:
    message = image_message()
    if kind == 'unknown encoding':
        message.encoding = 'smell8'
    elif kind == 'depth':
        message = image_message(np.zeros((480, 640), np.float32), encoding='32FC1')
    elif kind == 'truncated':
        message.data = message.data[:1000]
    elif kind == 'empty':
        message.width = message.height = 0
        message.data = array.array('B')
    elif kind == 'wrong step':
        message.step = 640
    elif kind == 'truncated grey':
        message = image_message(GREY[:100], encoding='mono8')
        message.height = 480
    return message


@pytest.mark.parametrize(
    ('kind', 'told'),
    [
        ('unknown encoding', "'smell8' is unknown"),
        ('depth', "'32FC1' is unknown"),
        ('truncated', 'truncated'),
        ('truncated grey', 'truncated'),
        ('empty', 'empty'),
        ('wrong step', 'step is 640'),
    ],
)
def test_bad_images_are_told_and_survived(start, peer, kind, told, capfd):
    start().wait()
    got, camera, latest = peer.skeletons(), peer.camera(), peer.diagnostics()
    bad = damaged(kind)

    def send():
        bad.header = header()
        return bad

    camera.until(
        lambda: 'input' in latest and told in latest['input'].message, image=send, period_s=0.1
    )
    assert latest['input'].level == ERROR
    assert got == []
    assert capfd.readouterr().err.count(told) == 1
    camera.until(lambda: got)
    camera.until(lambda: latest['input'].level != ERROR)
    assert len(got[-1].skeletons) == 1


def test_sizes_change_in_mid_stream(start, peer):
    start().wait()
    got, camera = peer.skeletons(), peer.camera()
    for size in ((640, 480), (320, 240), (1280, 720)):
        image = draw([(size[0] / 2, size[1] / 2, size[1] / 3)], size)
        got.clear()
        camera.until(
            lambda size=size: got and (got[-1].image_width, got[-1].image_height) == size,
            image=lambda image=image: image_message(image),
        )
        assert len(got[-1].skeletons) == 1


def zero() -> CameraInfo:
    return CameraInfo(header=header(), width=640, height=480)


def nan() -> CameraInfo:
    made = camera_info()
    made.k[0] = math.nan
    return made


@pytest.mark.parametrize(
    ('info', 'told'),
    [
        (zero, 'uncalibrated'),
        (nan, 'finite'),
        (lambda: camera_info((1000, 480)), 'aspect ratio'),
    ],
    ids=['zero', 'nan', 'other shape'],
)
def test_useless_calibrations(start, peer, info, told):
    start().wait()
    got, camera, latest = peer.skeletons(), peer.camera(), peer.diagnostics()
    camera.until(
        lambda: got and 'calibration' in latest and told in latest['calibration'].message,
        info=info(),
    )
    assert latest['calibration'].level == WARN
    assert got[-1].skeletons[0].position_source == Skeleton3D.SOURCE_RELATIVE
    # A good one later is used.
    camera.until(
        lambda: got[-1].skeletons[0].position_source != Skeleton3D.SOURCE_RELATIVE,
        info=camera_info(),
    )


def test_a_calibration_of_another_size_is_scaled(start, peer):
    start().wait()
    got, camera = peer.skeletons(), peer.camera()
    camera.until(
        lambda: got and got[-1].skeletons[0].position_source != Skeleton3D.SOURCE_RELATIVE,
        info=camera_info((1280, 960), focal=1000.0),
    )
    assert got[-1].skeletons[0].root.position.z == pytest.approx(5.0, abs=0.1)


def test_stamps_of_zero_become_the_time_of_arrival(start, peer, capfd):
    start().wait()
    got, camera, latest = peer.skeletons(), peer.camera(), peer.diagnostics()
    before = time.time_ns()
    camera.until(
        lambda: len(got) > 3 and 'input' in latest and 'without a stamp' in latest['input'].message,
        image=lambda: image_message(stamp_ns=0),
    )
    stamps = [stamp_of(array) for array in got]
    assert before <= stamps[0] <= time.time_ns()
    assert stamps == sorted(stamps)
    assert capfd.readouterr().err.count('no stamp') == 1


def test_stamps_that_go_back_begin_anew(start, peer):
    start().wait()
    got, camera, latest = peer.skeletons(), peer.camera(), peer.diagnostics()
    later = iter(range(100 * 10**9, 200 * 10**9, 33 * 10**6))
    camera.until(lambda: len(got) > 3, image=lambda: image_message(stamp_ns=next(later)))
    track = got[-1].skeletons[0].track_id
    earlier = iter(range(50 * 10**9, 100 * 10**9, 33 * 10**6))

    def first_of_the_new_time():
        return next((array for array in got if stamp_of(array) < 100 * 10**9), None)

    array = camera.until(first_of_the_new_time, image=lambda: image_message(stamp_ns=next(earlier)))
    by_id = {s.track_id: s.tracking_state for s in array.skeletons}
    assert by_id.pop(track) == Skeleton3D.LOST
    assert list(by_id.values()) == [Skeleton3D.NEW]
    camera.until(
        lambda: 'input' in latest and 'time went backwards' in latest['input'].message,
        image=lambda: image_message(stamp_ns=next(earlier)),
    )


def test_a_frame_for_images_without_one(start, peer):
    start(camera_frame='my_optical').wait()
    got, camera = peer.skeletons(), peer.camera()
    camera.until(lambda: got, image=lambda: image_message(frame_id=''))
    assert got[-1].header.frame_id == 'my_optical'


def test_simulated_time(start, peer, capfd):
    running = start(use_sim_time=True).wait()
    clock = peer.create_publisher(Clock, '/clock', 10)
    got, camera = peer.skeletons(), peer.camera()
    seconds = [100.0]

    def at_simulated_time(stamp_ns=None):
        seconds[0] += 0.03
        clock.publish(ros_time_message(seconds[0]))
        return image_message(stamp_ns=round(seconds[0] * 1e9) if stamp_ns is None else stamp_ns)

    camera.until(lambda: len(got) > 3, image=at_simulated_time)
    assert all(100 < stamp_of(array) / 1e9 < 200 for array in got)
    assert running.node.get_clock().now().nanoseconds < 200e9
    # The time of arrival is simulated too.
    got.clear()
    camera.until(lambda: len(got) > 3, image=lambda: at_simulated_time(0))
    assert all(100 < stamp_of(array) / 1e9 < 200 for array in got)
    seconds[0] = 20.0
    track = got[-1].skeletons[0].track_id
    camera.until(
        lambda: [s for s in got[-1].skeletons if s.track_id > track], image=at_simulated_time
    )
    assert capfd.readouterr().err.count('time went backwards') == 1


def test_no_image_at_all_is_an_error_in_the_diagnostics(start, peer):
    start(input_timeout_s=0.3).wait()
    latest = peer.diagnostics()
    peer.until(lambda: 'input' in latest and 'no image has come' in latest['input'].message)
    assert latest['input'].level == ERROR
    assert peer.resolve_topic_name('image') in latest['input'].message
    camera = peer.camera()
    camera.until(lambda: latest['input'].level != ERROR)
    peer.until(lambda: latest['input'].level == ERROR and 'no image on' in latest['input'].message)


def test_the_newest_image_wins(start, peer, monkeypatch):
    from support.blobs import Estimator

    start().wait()
    monkeypatch.setattr(Estimator, 'slow_ms', 50.0)
    got, camera, latest = peer.skeletons(), peer.camera(), peer.diagnostics()
    ages = []

    def watch():
        if got:
            ages.append(time.time() - stamp_of(got.pop()) / 1e9)
        return len(ages) > 30

    camera.until(watch, period_s=0.005)
    # The age of a result does not grow though three of four images are too many.
    assert np.median(ages[20:]) < within(0.2)
    peer.until(lambda: 'input' in latest)
    camera.until(
        lambda: int({p.key: p.value for p in latest['input'].values}['dropped for newer ones']) > 20
    )


def test_boxes_of_a_detector_in_another_node(start, peer, spy):
    messages = pytest.importorskip('vision_msgs.msg')
    start(estimator='spy.estimator', always_on=True).wait()
    publisher = peer.create_publisher(messages.Detection2DArray, 'detections', BEST_EFFORT)
    camera = peer.camera()

    def detected():
        message = image_message()
        detection = messages.Detection2D(header=message.header)
        detection.bbox.center.position.x, detection.bbox.center.position.y = 320.0, 240.0
        detection.bbox.size_x, detection.bbox.size_y = 40.0, 160.0
        publisher.publish(messages.Detection2DArray(header=message.header, detections=[detection]))
        return message

    camera.until(lambda: spy and spy[-1].boxes is not None and len(spy[-1].boxes), image=detected)
    assert spy[-1].boxes[0, :4] == pytest.approx([300, 160, 40, 160])


def test_gravity_by_the_transforms(start, peer, spy):
    start(estimator='spy.estimator', always_on=True, gravity_frame='odom', tf_timeout_s=0.0).wait()
    # A camera that looks along x, upright: down is along its y.
    peer.place('odom', 'camera_optical_frame')
    camera = peer.camera()
    camera.until(lambda: spy and spy[-1].gravity is not None)
    assert spy[-1].gravity == pytest.approx([0, 1, 0], abs=1e-6)


def test_floor_by_the_transforms(start, peer, spy):
    start(estimator='spy.estimator', always_on=True, floor_frame='odom', tf_timeout_s=0.0).wait()
    peer.place('odom', 'camera_optical_frame', z=0.8)
    camera = peer.camera()
    camera.until(lambda: spy and spy[-1].floor is not None)
    assert spy[-1].floor.up == pytest.approx([0, -1, 0], abs=1e-6)
    assert spy[-1].floor.height_m == pytest.approx(0.8)
