# SPDX-License-Identifier: Apache-2.0
"""The node that starts RViz, with a program in RViz's place that keeps what it was given."""

from __future__ import annotations

import stat
import threading
import time

import pytest
import yaml
from harness import LATCHED, OPTICAL, TIMEOUT_S, camera_info, image_message
from rclpy.parameter import Parameter
from support.blobs import draw
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from pose3d_ros.errors import ConfigError
from pose3d_ros.ros import rviz
from pose3d_ros.ros.spinning import Spinner

PROGRAM = """#!/bin/sh
echo "$@" >"{folder}/arguments.part"
cp "$2" "{folder}/given.rviz"
mv "{folder}/arguments.part" "{folder}/arguments"
while [ ! -e "{folder}/close" ]; do sleep 0.05; done
"""


class Show:
    """An RvizNode for the node of a peer, and what it told RViz."""

    def __init__(self, peer, folder, **parameters):
        self.folder, self.ended = folder, threading.Event()
        parameters = {'node': peer.target, **parameters}
        self.node = rviz.RvizNode(
            self.ended,
            namespace=peer.get_namespace(),
            parameter_overrides=[Parameter(name, value=v) for name, v in parameters.items()],
        )
        self.spinner = Spinner(self.node)

    @property
    def begun(self):
        return (self.folder / 'arguments').is_file()

    @property
    def arguments(self):
        return (self.folder / 'arguments').read_text()

    @property
    def config(self):
        return yaml.safe_load((self.folder / 'given.rviz').read_text())

    @property
    def fixed_frame(self):
        return self.config['Visualization Manager']['Global Options']['Fixed Frame']

    def topics(self, kind):
        displays = self.config['Visualization Manager']['Displays']
        return [d['Topic']['Value'] for d in displays if d['Class'].endswith(f'/{kind}')]

    def close(self):
        self.spinner.stop()
        self.node.destroy_node()


@pytest.fixture
def show(peer, tmp_path, monkeypatch):
    program = tmp_path / 'rviz2'
    program.write_text(PROGRAM.format(folder=tmp_path))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(rviz, '_program', lambda: str(program))
    shows = []

    def make(**parameters):
        shows.append(Show(peer, tmp_path, **parameters))
        return shows[-1]

    yield make
    for one in shows:
        one.close()


def statics(peer, got):
    """Parents by child of what came on /tf_static."""
    return {t.child_frame_id: t.header.frame_id for m in got for t in m.transforms}


def test_a_camera_without_transforms(start, peer, show):
    start().wait()
    got = peer.collect(TFMessage, '/tf_static', LATCHED)
    shown = show()
    peer.camera().until(lambda: shown.begun, info=camera_info())
    level = f'{peer.target.strip("/").replace("/", "_")}_level'
    assert shown.fixed_frame == level
    peer.until(lambda: statics(peer, got) == {level: OPTICAL})
    # On the floor that the person's feet show: 3 m away, the ankles 0.8 m below the hips.
    (pose,) = [t.transform for m in got for t in m.transforms]
    assert pose.translation.y == pytest.approx(0.84, abs=0.08)
    assert shown.topics('MarkerArray') == [f'{peer.target}/markers']
    assert shown.topics('Image') == [f'{peer.target}/debug_image']
    assert shown.topics('Camera') == [f'{peer.get_namespace()}/image']
    assert '-r /tf:=/tf -r /tf_static:=/tf_static' in shown.arguments
    assert f'-r __ns:={peer.get_namespace()}' in shown.arguments
    assert 'use_sim_time:=false' in shown.arguments
    # A tree appears: nothing is broadcast beside it any more, and RViz goes on.
    assert peer.count_publishers('/tf_static') == 1
    peer.place('odom', OPTICAL)
    peer.until(lambda: peer.count_publishers('/tf_static') == 1, what='for the end of broadcasts')
    assert not shown.ended.is_set()
    (shown.folder / 'close').touch()
    assert shown.ended.wait(TIMEOUT_S)


def test_a_camera_on_a_robot(start, peer, show):
    start(target_frame='base_link').wait()
    peer.place('base_link', OPTICAL)
    markers = peer.collect(MarkerArray, f'{peer.target}/markers')
    shown = show()
    peer.camera().until(lambda: shown.begun, info=camera_info())
    assert shown.fixed_frame == 'base_link'
    view = shown.config['Visualization Manager']['Views']['Current']
    # Behind a robot that looks along x.
    assert abs(view['Yaw']) == pytest.approx(3.14, abs=0.01)
    assert peer.count_publishers('/tf_static') == 1
    assert {m.header.frame_id for m in markers[-1].markers} == {'base_link'}


def test_markers_go_where_rviz_needs_no_late_transform(start, peer, show):
    start().wait()
    peer.place('base_link', OPTICAL)
    peer.place('odom', 'base_link')
    markers = peer.collect(MarkerArray, f'{peer.target}/markers')
    got = peer.skeletons()
    shown = show()
    camera = peer.camera()
    camera.until(lambda: shown.begun, info=camera_info())
    assert shown.fixed_frame == 'odom'
    camera.until(lambda: {m.header.frame_id for m in markers[-1].markers} == {'odom'})
    assert all(marker.frame_locked for marker in markers[-1].markers)
    assert got[-1].header.frame_id == OPTICAL


def test_it_waits_for_the_node_and_its_images(start, peer, show):
    shown = show()
    peer.spin_for(1.0)
    assert not shown.begun
    start().wait()
    peer.spin_for(1.0)
    assert not shown.begun
    begin = time.monotonic()
    peer.camera().until(lambda: shown.begun, info=camera_info())
    assert time.monotonic() - begin < 5


def test_a_node_that_draws_no_image(start, peer, show):
    """Its calibration says which frame is the camera's, so that the view starts behind it."""
    start(publish_debug_image=False, target_frame='base_link').wait()
    peer.place('base_link', OPTICAL)
    shown = show()
    peer.camera().until(lambda: shown.begun, info=camera_info())
    assert shown.fixed_frame == 'base_link'
    view = shown.config['Visualization Manager']['Views']['Current']
    assert abs(view['Yaw']) == pytest.approx(3.14, abs=0.01)
    assert view['Focal Point']['X'] > 1


def test_the_floor_is_that_of_people_who_come_later(start, peer, show, monkeypatch):
    monkeypatch.setattr(rviz, '_FEET_S', 1000.0)
    start().wait()
    got = peer.collect(TFMessage, '/tf_static', LATCHED)
    shown = show()
    camera = peer.camera()
    end = time.monotonic() + 2 * rviz._PATIENCE_S
    camera.until(
        lambda: time.monotonic() > end, image=lambda: image_message(draw([])), info=camera_info()
    )
    assert not shown.begun
    camera.until(lambda: shown.begun, info=camera_info())
    peer.until(lambda: got)
    (pose,) = [t.transform for m in got for t in m.transforms]
    assert pose.translation.y == pytest.approx(0.84, abs=0.08)


def test_a_configuration_and_a_frame_of_the_users(peer, show, tmp_path):
    mine = tmp_path / 'mine.rviz'
    mine.write_text('Panels: []\n')
    shown = show(rviz_config=str(mine), fixed_frame='lab')
    peer.until(lambda: shown.begun)
    assert shown.config == {'Panels': []}
    assert f'-d {mine} -f lab' in shown.arguments


def test_the_fixed_frame_of_the_users(start, peer, show):
    start().wait()
    shown = show(fixed_frame='lab')
    peer.camera().until(lambda: shown.begun, info=camera_info())
    assert shown.fixed_frame == 'lab'
    assert peer.count_publishers('/tf_static') == 0


def test_without_rviz_it_says_so(monkeypatch):
    monkeypatch.setattr(rviz, 'get_package_prefix', lambda name: '/nowhere')
    monkeypatch.setenv('PATH', '')
    with pytest.raises(ConfigError, match='rviz2 is not installed'):
        rviz.RvizNode(threading.Event())
