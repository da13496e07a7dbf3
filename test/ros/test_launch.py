# SPDX-License-Identifier: Apache-2.0
"""The launch files, started with `ros2 launch` as users do."""

from __future__ import annotations

import re
import shutil
import signal

import pytest
from harness import BEST_EFFORT, Process, camera_info, image_message, processes_of, stamp_of, within
from pose3d_ros.msg import Skeleton3D, Skeleton3DArray
from rcl_interfaces.srv import GetParameters
from sensor_msgs.msg import CompressedImage, Image
from support.keypoints import array_of, pixels_at
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from pose3d_ros.ros.messages import message_class
from pose3d_ros.settings.estimators import defaults_of

pytestmark = pytest.mark.needs('launch_ros', 'ros2launch')


@pytest.fixture
def launch(tmp_path):
    """Function that starts a launch file of the package."""
    started = []

    def make(file: str, *arguments: str) -> Process:
        command = [shutil.which('ros2'), 'launch', 'pose3d_ros', file, *arguments]
        started.append(Process(command, tmp_path / f'{len(started)}.log'))
        return started[-1]

    yield make
    for process in started:
        process.__exit__()


def test_arguments_are_described(launch):
    shown = {}
    for file in ('estimator', 'demo', 'fusion', 'multi_camera', 'rviz'):
        process = launch(f'{file}.launch.py', '--show-args')
        assert process.ends(within(20)) == 0
        assert 'no description' not in process.output
        shown[file] = set(re.findall(r"^ +'(\w+)':", process.output, re.MULTILINE))
    single = shown['estimator']
    assert single >= {'namespace', 'image_topic', 'params_file', 'use_sim_time', 'rviz', 'device'}
    assert shown['demo'] > single
    # Everything that one camera can have, several can.
    inputs = {'camera', *(name for name in single if name.endswith('_topic'))}
    assert shown['multi_camera'] > single - inputs
    assert shown['rviz'] == {'node', 'namespace', 'use_sim_time', 'rviz_config', 'fixed_frame'}
    process = launch('estimator.launch.py', '--show-args')
    assert process.ends(within(20)) == 0
    assert "Valid choices are: ['', 'raw', 'compressed']" in process.output


def test_remaps_parameters_and_two_interrupts(launch, peer, namespace, tmp_path):
    file = tmp_path / 'my.yaml'
    file.write_text(
        '/**:\n  ros__parameters:\n    estimator: support.blobs\n    skeleton: mpii_16\n'
        '    target_frame: nowhere\n    publish_tf: false\n'
    )
    process = launch(
        'estimator.launch.py',
        f'namespace:={namespace}',
        'name:=people',
        f'image_topic:={namespace}/cam/image_rect',
        f'params_file:={file}',
        'target_frame:=camera_optical_frame',
        'publish_tf:=True',
    )
    got = peer.collect(Skeleton3DArray, 'people/skeletons')
    transforms = peer.collect(TFMessage, 'tf')
    camera = peer.camera(topic='cam/image_rect')
    process.wait_for('active: blobs')
    # The file's setting, an argument in its place, the calibration found beside the images.
    camera.until(lambda: got and transforms, info=camera_info())
    assert got[-1].convention == 'mpii_16'
    assert got[-1].header.frame_id == 'camera_optical_frame'
    assert got[-1].skeletons[0].position_source != Skeleton3D.SOURCE_RELATIVE
    # As in a terminal: everybody gets the signal, and the launch passes it on once more.
    process.interrupt(group=True)
    process.ends(within(5.0))
    assert 'finished cleanly' in process.output
    assert 'Traceback' not in process.output
    assert 'died' not in process.output
    assert processes_of(process.process.pid) == []


def test_one_interrupt_of_the_launch_alone(launch, peer, namespace):
    process = launch('estimator.launch.py', f'namespace:={namespace}', 'estimator:=support.blobs')
    process.wait_for(f'listening to {namespace}/image')
    process.interrupt(signal.SIGINT)
    process.ends(within(5.0))
    assert 'finished cleanly' in process.output
    assert processes_of(process.process.pid) == []


def test_the_log_level_is_that_of_a_node_in_a_namespace(launch, peer, namespace):
    process = launch(
        'estimator.launch.py',
        f'namespace:={namespace}',
        'estimator:=support.blobs',
        'log_level:=error',
    )
    peer.until(lambda: peer.state() == 'active')
    process.interrupt(group=True)
    process.ends(within(5.0))
    assert 'listening' not in process.output


def test_an_impossible_argument_is_refused(launch):
    process = launch('estimator.launch.py', 'backend:=abacus')
    assert process.ends(within(20)) != 0
    assert 'abacus' in process.output


def test_several_cameras(launch, peer, namespace, tmp_path):
    file = tmp_path / 'my.yaml'
    file.write_text('/**:\n  ros__parameters:\n    estimator: support.blobs\n')
    process = launch(
        'multi_camera.launch.py',
        f'namespace:={namespace}',
        'cameras:=front, back',
        'prefix:=rig',
        f'params_file:={file}',
    )
    got = peer.collect(Skeleton3DArray, f'{peer.target}/back/skeletons')
    camera = peer.camera(topic='rig/back/image_raw')
    process.wait_for('active: blobs')
    camera.until(lambda: got)
    process.interrupt(group=True)
    process.ends(within(5.0))
    assert 'finished cleanly' in process.output


def test_keypoints_of_another_node(launch, peer, namespace):
    process = launch(
        'estimator.launch.py',
        f'namespace:={namespace}',
        'estimator:=lifter',
        'keypoints_topic:=pose2d/skeletons',
    )
    got = peer.skeletons()
    publisher = peer.create_publisher(Skeleton3DArray, 'pose2d/skeletons', BEST_EFFORT)
    camera = peer.camera()
    process.wait_for('active: ')
    process.wait_for(f'{namespace}/pose2d/estimator_info and {namespace}/pose2d/skeletons')

    def image():
        message = image_message()
        publisher.publish(array_of(message_class, message.header, pixels_at()))
        return message

    camera.until(lambda: got and got[-1].skeletons, image=image, info=camera_info())
    assert got[-1].convention == 'cmu_22'
    # Its own defaults, not those of the file with all settings.
    request = GetParameters.Request(names=['smoothing_root_min_cutoff'])
    answer = peer.call(GetParameters, f'{peer.target}/get_parameters', request)
    assert answer.values[0].double_value == defaults_of('lifter')['smoothing_root_min_cutoff']
    process.interrupt(group=True)
    process.ends(within(5.0))
    assert 'finished cleanly' in process.output


def test_depth_of_a_depth_camera(launch, peer, namespace):
    process = launch(
        'estimator.launch.py',
        f'namespace:={namespace}',
        'estimator:=support.blobs',
        'depth_topic:=rgbd/depth',
    )
    process.wait_for('active: blobs')
    process.wait_for(f'{namespace}/rgbd/depth')
    peer.until(lambda: peer.count_subscribers(f'{namespace}/rgbd/depth') == 1)
    process.interrupt(group=True)
    process.ends(within(5.0))
    assert 'finished cleanly' in process.output


def test_the_demo(launch, peer, namespace, blazepose):
    """A real video through the real network, shown everywhere, and a clean end."""
    process = launch('demo.launch.py', f'namespace:={namespace}', 'rviz:=false')
    got = peer.skeletons()
    markers = peer.collect(MarkerArray, f'{peer.target}/markers')
    drawn = peer.collect(Image, f'{peer.target}/debug_image')
    images = peer.collect(CompressedImage, 'camera/image_raw/compressed')
    transforms = peer.collect(TFMessage, 'tf')
    process.wait_for('active: blazepose', 60)

    def complete():
        # The first image may have come before its calibration.
        placed = [[s for s in array.skeletons if s.position_source] for array in got]
        return next((a for a, people in zip(got, placed) if len(people) == 2), None)

    array = peer.until(complete, 30)
    peer.until(lambda: markers and drawn and images and transforms)
    assert array.convention == 'blazepose_33'
    assert array.header.frame_id == 'camera_optical_frame'
    for person in array.skeletons:
        assert person.track_id > 0
        assert person.position_source in (Skeleton3D.SOURCE_METRIC, Skeleton3D.SOURCE_ASSUMED)
        assert 1 < person.root.position.z < 10
        heights = [joint.position.y for joint in person.joints]
        # One of them bends.
        assert 0.4 < max(heights) - min(heights) < 2.2
    # Stamps are of now, not of the video.
    assert abs(stamp_of(got[-1]) / 1e9 - peer.get_clock().now().nanoseconds / 1e9) < 60
    names = {t.child_frame_id for m in transforms for t in m.transforms}
    assert names <= {f'body_{slot}' for slot in range(1, 6)}
    assert peer.count_publishers(f'{namespace}/tf_static') == 1
    process.interrupt(group=True)
    process.ends(within(5.0))
    assert process.output.count('finished cleanly') == 2
    assert 'Traceback' not in process.output
    assert processes_of(process.process.pid) == []


@pytest.mark.parametrize('own', ['', '<CycloneDDS/>'])
def test_receive_buffers_are_asked_for_unless_the_user_configures_cyclone(monkeypatch, own):
    from pose3d_ros.ros import launching

    monkeypatch.setenv('CYCLONEDDS_URI', own)
    assert ('SocketReceiveBufferSize' in str(launching._buffers())) == (not own)
