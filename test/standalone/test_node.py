# SPDX-License-Identifier: Apache-2.0
"""`pose3d node` as a process of its own, with this one as camera and as subscriber."""

from __future__ import annotations

import signal
import subprocess
import time
from contextlib import suppress
from itertools import islice

import cv2
import numpy as np
import pytest

pytest.importorskip('rosbags')

from support.bench import (
    BEST_EFFORT,
    CAMERA,
    DIAGNOSTICS,
    EVERY_IMAGE,
    IMAGE,
    MARKERS,
    ONE,
    RELIABLE,
    SKELETONS,
    TF,
    Bench,
    S,
    problems,
)
from support.blobs import draw
from support.gated_blobs import GATE
from support.network import spin_until

from pose3d_ros.camera import Camera
from pose3d_ros.messages import image_message, make_header, stamp_of
from pose3d_ros.messages.calibration import info_message
from pose3d_ros.node.qos import LATCHED, STATIC_TRANSFORMS
from pose3d_ros.resources import resource
from pose3d_ros.sources import open_source

pytestmark = pytest.mark.slow

BOTH = pytest.mark.parametrize('network', ['dds', 'zenoh'], indirect=True)

SKIPPED = 'skipped (paused or nobody listens)'


@BOTH
@pytest.mark.parametrize('camera', [RELIABLE, BEST_EFFORT])
def test_images_in_skeletons_out(network, camera):
    bench = Bench(network, camera=camera)
    got = bench.listen('/pose3d_estimator/skeletons', SKELETONS, RELIABLE)
    unreliable = bench.listen('/pose3d_estimator/skeletons', SKELETONS, BEST_EFFORT)
    info = bench.listen('/pose3d_estimator/estimator_info', 'pose3d_ros/msg/EstimatorInfo', LATCHED)
    bench.ready()
    # The camera_info may come after the first image.
    array = bench.exchange_until(got, lambda array: array.skeletons[0].position_source)
    assert stamp_of(array.header) <= bench.stamp_ns
    assert array.header.frame_id == 'cam'
    assert array.convention == 'coco_17'
    (person,) = array.skeletons
    assert person.root.position.z == pytest.approx(3.0, rel=0.02)
    assert len(person.joints) == 17
    bench.spin_until(lambda: info and unreliable)
    assert info[0].joint_names[0] == 'nose'
    assert bench.stop() == 0


@BOTH
def test_every_output(network):
    bench = Bench(network, '--publish-tf', '--tf-joints', 'all')
    markers = bench.listen('/pose3d_estimator/markers', MARKERS)
    debug = bench.listen('/pose3d_estimator/debug_image', IMAGE)
    transforms = bench.listen('/tf', TF)
    bench.ready()
    bench.exchange(transforms)
    bench.spin_until(lambda: markers and debug and transforms)
    assert {m.ns for m in markers[-1].markers} >= {'joints', 'bones', 'text', 'floor'}
    assert (debug[-1].width, debug[-1].height) == (640, 480)
    names = {t.child_frame_id for t in transforms[-1].transforms}
    assert {'body_1', 'l_wrist_1', 'head_1'} <= names
    # The end: one empty array of markers that removes all.
    assert bench.stop() == 0
    bench.spin_until(lambda: markers[-1].markers[0].action == 3)


@BOTH
def test_goodbye_on_sigterm(network):
    bench = Bench(network)
    got = bench.listen('/pose3d_estimator/skeletons', SKELETONS)
    bench.ready()
    assert bench.exchange(got).skeletons
    assert bench.stop(signal.SIGTERM) == 0
    bench.spin_until(lambda: not got[-1].skeletons)


def test_two_interrupts(network):
    bench = Bench(network).ready()
    bench.process.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        bench.process.wait(0.05)
    bench.process.send_signal(signal.SIGINT)
    assert bench.process.wait(30) == 0
    assert 'Traceback' not in bench.process.log.read_text()


@BOTH
def test_compressed_images(network):
    bench = Bench(network, '--image-transport', 'compressed', raw=False, camera=BEST_EFFORT)
    got = bench.listen('/pose3d_estimator/skeletons', SKELETONS)
    bench.ready()
    assert len(bench.exchange(got).skeletons) == 1
    # A cut one is diagnosed, and the node goes on.
    diagnostics = bench.listen('/diagnostics', DIAGNOSTICS)
    jpeg = cv2.imencode('.jpg', ONE)[1].ravel()
    bench.send(data=jpeg[: len(jpeg) // 2])
    bench.spin_until(lambda: any(problems(d, 'input') for d in diagnostics))
    assert len(bench.exchange(got).skeletons) == 1


def test_bad_images_and_bad_calibration_are_survived(network):
    bench = Bench(network, parameters=EVERY_IMAGE)
    got = bench.listen('/pose3d_estimator/skeletons', SKELETONS)
    diagnostics = bench.listen('/diagnostics', DIAGNOSTICS)
    bench.ready()
    bench.exchange(got)
    for changes in (
        {'encoding': 'rgb7'},
        {'step': 1},
        {'data': np.zeros(5, np.uint8)},
        {'width': 0},
        {'height': 0},
    ):
        bench.send(**changes)
    bench.spin_until(lambda: bench.counts(diagnostics).get('undecodable') == '5')
    zeros = info_message(bench.types, CAMERA, stamp_ns=1, frame_id='cam')
    zeros.k = np.full(9, np.nan)
    bench.infos.publish(zeros)
    bench.spin_until(lambda: any(problems(d, 'input') for d in diagnostics))
    bench.exchange_until(got, lambda a: a.skeletons[0].position_source == 0, calibrated=False)
    bench.spin_until(lambda: 'finite' in ''.join(problems(diagnostics[-1], 'calibration')))
    assert bench.process.poll() is None


@BOTH
def test_garbage_on_the_wire(network):
    """Bytes that are no such message: counted, not fatal."""
    bench = Bench(network)
    got = bench.listen('/pose3d_estimator/skeletons', SKELETONS)
    bench.ready()
    bench.exchange(got)
    text = bench.types.serialize(
        bench.types(IMAGE)(encoding='x' * 50, data=np.zeros(100, np.uint8)), IMAGE
    )
    bench.images.publish(bytes(text))
    assert bench.exchange(got).skeletons
    assert bench.process.poll() is None


def test_stamps_zero_equal_and_backwards(network):
    bench = Bench(network)
    got = bench.listen('/pose3d_estimator/skeletons', SKELETONS)
    bench.ready()
    bench.exchange(got)
    before = time.time_ns()
    array = bench.exchange(got, stamp_ns=0)
    assert before <= stamp_of(array.header) <= time.time_ns()
    for stamp_ns in (500 * S, 500 * S, 400 * S):
        array = bench.exchange(got, stamp_ns=stamp_ns)
        assert stamp_of(array.header) == stamp_ns
    assert bench.process.poll() is None


def test_image_size_changes(network):
    bench = Bench(network)
    got = bench.listen('/pose3d_estimator/skeletons', SKELETONS)
    bench.ready()
    for size in ((640, 480), (320, 240), (400, 300), (640, 480)):
        array = bench.exchange(got, image=cv2.resize(ONE, size))
        assert (array.image_width, array.image_height) == size


def test_no_delay_builds_up_with_a_fast_camera(network, monkeypatch):
    """Of the images that come while one is estimated the newest is next, the rest is dropped."""
    gate = network.folder / 'gate'
    monkeypatch.setenv(GATE, str(gate))
    bench = Bench(
        network, '--estimator', 'support.gated_blobs', '--diagnostics-period-s', '0.1'
    )  # fmt: skip
    got = bench.listen('/pose3d_estimator/skeletons', SKELETONS)
    diagnostics = bench.listen('/diagnostics', DIAGNOSTICS)
    bench.ready()
    small = draw([(32, 24, 40)], (64, 48))

    def send(total):
        """Send one, and wait until so many in all have arrived."""
        stamp_ns = bench.send(small)
        bench.spin_until(lambda: bench.counts(diagnostics).get('received') == str(total))
        return stamp_ns

    first = send(1)
    bench.spin_until(gate.exists)
    later = [send(total) for total in range(2, 11)]
    for count in (1, 2):
        bench.spin_until(gate.exists)
        gate.unlink()
        bench.spin_until(lambda n=count: len(got) == n)
    assert [stamp_of(array.header) for array in got] == [first, later[-1]]
    bench.spin_until(lambda: bench.counts(diagnostics)['dropped for newer ones'] == '8')


@BOTH
def test_settings_from_a_file_and_again_on_sighup(network):
    parameters = {
        'publish_markers': True,
        'marker_text': '',
        'diagnostics_period_s': 0.1,
        'use_sim_time': False,
        'qos_overrides': {'/camera/image': {'subscription': {'reliability': 'reliable'}}},
    }
    bench = Bench(network, parameters=parameters)
    got = bench.listen('/pose3d_estimator/markers', MARKERS)
    diagnostics = bench.listen('/diagnostics', DIAGNOSTICS)
    bench.ready()
    shown = {m.ns for m in bench.exchange(got).markers}
    assert {'joints', 'bones'} <= shown
    assert 'text' not in shown
    bench.write(**{**parameters, 'marker_text': 'id'})
    bench.process.send_signal(signal.SIGHUP)
    bench.spin_until(lambda: 'text' in {m.ns for m in bench.exchange(got).markers})
    # What may not change is refused in one line, and the rest stays as it is.
    for wrong, complaint in (
        ({'device': 'GPU'}, 'device cannot change while the node is active'),
        ({'marker_text': 3}, 'marker_text must be of type str'),
        ({'marker_texd': True}, "unknown setting 'marker_texd'; did you mean 'marker_text'"),
    ):
        bench.write(**{**parameters, 'marker_text': 'id', **wrong})
        bench.process.send_signal(signal.SIGHUP)
        bench.spin_until(lambda c=complaint: c in bench.process.log.read_text())
    assert 'text' in {m.ns for m in bench.exchange(got).markers}
    # A pause, and its end.
    for enabled in (False, True):
        before = bench.process.log.read_text().count('taken over')
        bench.write(**{**parameters, 'enabled': enabled})
        bench.process.send_signal(signal.SIGHUP)
        bench.spin_until(lambda n=before: bench.process.log.read_text().count('taken over') > n)
        if enabled:
            assert bench.exchange(got).markers
            break
        count, skipped = len(got), bench.counts(diagnostics)[SKIPPED]
        bench.send()
        bench.spin_until(lambda n=skipped: bench.counts(diagnostics)[SKIPPED] != n)
        assert len(got) == count
    assert bench.stop() == 0


def test_gives_up_after_many_failures(network):
    red = np.full((480, 640, 3), (0, 0, 255), np.uint8)
    bench = Bench(network, '--max-failures', '3')
    bench.listen('/pose3d_estimator/skeletons', SKELETONS)
    bench.ready()
    while bench.process.poll() is None:
        bench.send(red)
        bench.node.spin_once(0.05)
    assert bench.process.wait() == 1
    assert 'failed too often: RuntimeError: the network failed' in bench.process.log.read_text()


def test_incompatible_camera_is_named(network):
    parameters = {
        'diagnostics_period_s': 0.1,
        'qos_overrides': {'/camera/image': {'subscription': {'reliability': 'reliable'}}},
    }
    bench = Bench(network, camera=BEST_EFFORT, parameters=parameters)
    diagnostics = bench.listen('/diagnostics', DIAGNOSTICS)
    expected = 'incompatible QoS: /camera/image: reliability of its publisher'
    bench.spin_until(
        lambda: diagnostics and expected in ''.join(problems(diagnostics[-1], 'input'))
    )
    assert 'incompatible QoS on /camera/image' in bench.process.log.read_text()


def test_several_cameras(network):
    node = network.node()
    process = network.run('node', '--estimator', 'support.blobs', '--cameras', 'left,right')
    got = {}
    for side in ('left', 'right'):
        got[side] = []
        node.subscribe(f'/pose3d_estimator/{side}/skeletons', SKELETONS, RELIABLE, got[side].append)
    cameras = {s: node.publisher(f'/{s}/image', IMAGE, RELIABLE) for s in ('left', 'right')}
    spin_until(node, lambda: all(c.listeners() for c in cameras.values()))
    end = time.monotonic() + 30
    while not all(got.values()):
        assert time.monotonic() < end, process.log.read_text()
        for camera in cameras.values():
            camera.publish(image_message(node.types, ONE, stamp_ns=time.time_ns(), frame_id='cam'))
        for _ in range(5):
            node.spin_once(0.02)


def place(bench, parent, child, x):
    """A static transform."""
    static = bench.node.publisher('/tf_static', TF, STATIC_TRANSFORMS)
    transform = bench.types('geometry_msgs/msg/TransformStamped')(
        header=make_header(bench.types, 0, parent), child_frame_id=child
    )
    transform.transform.translation.x = x
    static.publish(bench.types(TF)(transforms=[transform]))


def test_markers_move_into_a_frame_that_stands_still(network):
    bench = Bench(network)
    skeletons = bench.listen('/pose3d_estimator/skeletons', SKELETONS)
    got = bench.listen('/pose3d_estimator/markers', MARKERS)
    bench.ready()

    def frames(array):
        return {marker.header.frame_id for marker in array.markers}

    assert frames(bench.exchange(got)) == {'cam'}
    place(bench, 'odom', 'cam', 7.0)
    array = bench.exchange_until(got, lambda a: frames(a) == {'odom'})
    joints = next(marker for marker in array.markers if marker.ns == 'joints')
    assert np.mean([p.x for p in joints.points]) == pytest.approx(7.0, abs=0.05)
    assert skeletons[-1].header.frame_id == 'cam'


def test_target_frame(network):
    bench = Bench(network, '--target-frame', 'map')
    got = bench.listen('/pose3d_estimator/skeletons', SKELETONS)
    bench.ready()
    for _ in range(5):
        bench.send()
        bench.node.spin_once(0.1)
    assert got == []
    place(bench, 'map', 'cam', 7.0)
    array = bench.exchange(got)
    assert array.header.frame_id == 'map'
    assert array.skeletons[0].root.position.x == pytest.approx(7.0, abs=0.05)


def test_simulated_time(network):
    bench = Bench(network, parameters={'use_sim_time': True})
    clock = bench.node.publisher('/clock', 'rosgraph_msgs/msg/Clock', RELIABLE)
    got = bench.listen('/pose3d_estimator/skeletons', SKELETONS)
    bench.ready()
    bench.spin_until(clock.listeners)
    time_type = bench.types('builtin_interfaces/msg/Time')
    clock.publish(bench.types('rosgraph_msgs/msg/Clock')(clock=time_type(sec=77, nanosec=5)))
    bench.exchange_until(got, lambda a: stamp_of(a.header) == 77 * S + 5, stamp_ns=0)


def test_missing_images_are_counted(network):
    bench = Bench(network, parameters=EVERY_IMAGE)
    diagnostics = bench.listen('/diagnostics', DIAGNOSTICS)
    bench.ready()
    for k in range(60):
        bench.stamp_ns += S // 30 if k in (30, 40) else 0
        bench.send(image=ONE[:48, :64])
    bench.spin_until(
        lambda: diagnostics and "key='lost in transport', value='2'" in str(diagnostics)
    )


def test_two_nodes_broadcast_no_frame_of_the_same_name(network):
    bench = Bench(network, '--publish-tf')
    transforms = bench.listen('/tf', TF)
    bench.ready()
    bench.exchange(transforms)
    info = bench.listen('/other/estimator_info', 'pose3d_ros/msg/EstimatorInfo', LATCHED)
    options = ['--estimator', 'support.blobs', '--publish-tf', '--name', 'other']
    images = ['-r', 'image:=/camera/image', '-r', 'camera_info:=/camera/camera_info']
    other = network.run('node', *options, *images)

    def names():
        bench.send()
        bench.node.spin_once(0.05)
        return {t.child_frame_id for m in transforms[-4:] for t in m.transforms}

    # Whoever hears the other one gives way, perhaps both.
    bench.spin_until(lambda: names() >= {'other_body_1'} and len(names()) == 2, 60.0)
    assert names() <= {'other_body_1', 'body_1', 'pose3d_estimator_body_1'}
    assert 'somebody else broadcasts the frame body_1' in other.log.read_text()
    bench.spin_until(lambda: info[-1].tf_prefix == 'other_')


def test_images_are_reliable_while_every_publisher_is(network):
    bench = Bench(network, '--reliability', 'auto', '--always-on')
    got = bench.listen('/pose3d_estimator/skeletons', SKELETONS)
    log = bench.process.log
    bench.spin_until(lambda: 'image: reliable' in log.read_text())
    bench.ready().exchange(got)
    other = bench.network.node('other')
    publisher = other.publisher('/camera/image', IMAGE, BEST_EFFORT)
    bench.spin_until(lambda: 'image: best effort' in log.read_text())
    bench.spin_until(lambda: publisher.listeners() and bench.images.listeners())
    bench.exchange(got)
    other.close()
    network._nodes.remove(other)
    bench.spin_until(lambda: log.read_text().count('image: reliable') == 2)
    bench.exchange(got)


def test_a_misspelt_topic_and_an_idle_one_are_named(network):
    remaps = ['-r', 'image:=/camera/imgae', '-r', 'detections:=/boxes']
    process = network.run('node', '--estimator', 'support.blobs', *remaps)
    camera = network.node()
    camera.publisher('/camera/image', IMAGE, RELIABLE)
    spin_until(camera, lambda: 'no image on' in process.log.read_text(), 40.0)
    text = process.log.read_text()
    assert 'no image on /camera/imgae within 5 s: nobody publishes it' in text
    assert 'these image topics exist: /camera/image' in text
    assert 'detections on /boxes have no effect' in text
    # The estimator's own outputs are not on offer.
    assert 'debug_image' not in text


def test_nothing_is_computed_for_nobody(network):
    bench = Bench(network, parameters=EVERY_IMAGE)
    diagnostics = bench.listen('/diagnostics', DIAGNOSTICS)
    bench.ready()
    for _ in range(5):
        bench.send()
    bench.spin_until(lambda: bench.counts(diagnostics).get('received') == '5')
    bench.spin_until(lambda: bench.counts(diagnostics)[SKIPPED] == '5')


def test_blazepose(network, blazepose_model):
    """The real thing: a person of the bundled clip, where the clip's ground truth has him."""
    camera = Camera.load(resource('demo', 'jump.yaml'))
    frames = list(islice(open_source(resource('demo', 'jump.mp4'), camera=camera), 30))
    truth = np.load(resource('demo', 'jump.npz'))
    bench = Bench(network, '--estimator', 'blazepose', parameters=EVERY_IMAGE)
    got = bench.listen('/pose3d_estimator/skeletons', SKELETONS)
    bench.spin_until(lambda: bench.images.listeners() and bench.infos.listeners(), 60)
    bench.spin_until(lambda: all(s.publishers() for s in bench.node._subscriptions))
    stamps = {}
    for index, frame in enumerate(frames):
        stamp_ns = bench.send(frame.image, calibrated=False)
        stamps[stamp_ns] = index
        bench.infos.publish(
            info_message(bench.types, frame.camera, stamp_ns=stamp_ns, frame_id='cam')
        )
        bench.node.spin_once(0.05)
    bench.spin_until(lambda: len(got) > 10)
    person = got[-1].skeletons[0]
    assert len(person.joints) == 33
    hips = [list(truth['joint_names']).index(f'{side}_hip') for side in ('left', 'right')]
    pelvis = truth['joints_cam'][stamps[stamp_of(got[-1].header)], 0][hips].mean(axis=0)
    root = np.array([person.root.position.x, person.root.position.y, person.root.position.z])
    assert np.linalg.norm(root - pelvis) < 0.5
