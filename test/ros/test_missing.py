# SPDX-License-Identifier: Apache-2.0
"""ROS packages that only some settings need: the node runs without them, or names them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from harness import camera_info
from sensor_msgs.msg import Image

OPTIONAL = ('cv_bridge', 'diagnostic_updater', 'tf2_msgs', 'tf2_ros', 'tf_transformations')


@pytest.fixture
def without(monkeypatch):
    """Function that makes packages impossible to import."""

    def hide(*packages):
        for package in packages:
            for name in [n for n in sys.modules if n.split('.')[0] == package]:
                monkeypatch.delitem(sys.modules, name)
            monkeypatch.setitem(sys.modules, package, None)

    return hide


def test_modules_import_without():
    code = (
        f'import sys; sys.modules.update(dict.fromkeys({OPTIONAL}))\n'
        'import pose3d_ros.ros.camera, pose3d_ros.ros.node, pose3d_ros.ros.startup'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_skeletons_and_diagnostics_without(without, start, peer, capfd):
    without(*OPTIONAL)
    start().wait()
    got, camera, latest = peer.skeletons(), peer.camera(), peer.diagnostics()
    drawn = peer.collect(Image, f'{peer.target}/debug_image')
    camera.until(lambda: got and drawn and 'input' in latest, info=camera_info())
    assert len(got[-1].skeletons) == 1
    assert capfd.readouterr().err.count('images are converted without it') == 1


@pytest.mark.parametrize(
    'setting',
    [
        {'target_frame': 'map'},
        {'gravity_frame': 'odom'},
        {'floor_frame': 'odom'},
        {'publish_tf': True},
    ],
)
def test_a_setting_that_needs_transforms(without, start, peer, setting, capfd):
    without('tf2_msgs')
    start(autostart=False, **setting)
    assert not peer.transition('configure')
    (name,) = setting
    line = (
        f'cannot configure: {name} needs tf2_msgs/msg/TFMessage, but tf2_msgs is not installed: '
        'apt install ros-$ROS_DISTRO-tf2-msgs'
    )
    assert line in capfd.readouterr().err
    latest = peer.diagnostics()
    peer.until(lambda: line in latest['lifecycle'].message if latest else False)
    assert peer.set(**{name: '' if name != 'publish_tf' else False})[0]
    assert peer.transition('configure')


def test_a_live_setting_that_needs_transforms_is_refused(without, start, peer):
    without('tf2_msgs')
    start().wait()
    accepted, why = peer.set(publish_tf=True)
    assert not accepted
    assert 'publish_tf needs tf2_msgs/msg/TFMessage' in why
    got = peer.skeletons()
    peer.camera().until(lambda: got)


def test_a_topic_that_needs_its_messages(without, start, peer, spy, capfd):
    without('vision_msgs')
    start(estimator='spy.estimator', autostart=False)
    assert not peer.transition('configure')
    line = 'the topic detections needs vision_msgs/msg/Detection2DArray, but vision_msgs is not'
    assert line in capfd.readouterr().err
