# SPDX-License-Identifier: Apache-2.0
"""Messages of simulated cameras through the fusion of a node, without ROS."""

from __future__ import annotations

import numpy as np
import pytest
from support.rig import CameraMessages, world

from pose3d_ros.errors import ConfigError
from pose3d_ros.messages import stamp_of
from pose3d_ros.messages.body import transformed
from pose3d_ros.messages.diagnostics import OK, WARN
from pose3d_ros.messages.people import people_of
from pose3d_ros.messages.standalone import StandaloneTypes
from pose3d_ros.node.fusion import LiveFusion
from pose3d_ros.node.image_frames import BODY_AXES
from pose3d_ros.node.transforms import TransformBuffer
from pose3d_ros.settings.fusion import FusionNodeConfig
from pose3d_ros.skeleton import SKELETONS
from pose3d_ros.tools.rig import SKELETON, around
from pose3d_ros.types import PositionSource, convert

TYPES = StandaloneTypes()
S = 1_000_000_000
# Wherever two right cameras see somebody: the detector's joints lie up to 6 cm beside the body's.
CLOSE_M = 0.15


class Live:
    """A fusion of three cameras and what it says."""

    def __init__(self, **settings) -> None:
        self.said: list[str] = []
        self.transforms = TransformBuffer()
        names = ('left', 'right', 'back')
        config = FusionNodeConfig(cameras=','.join(names), **settings)
        self.fusion = LiveFusion(config, TYPES, self.transforms, self.said.append)
        self.cameras = {n: CameraMessages(TYPES, n, p) for n, p in zip(names, around(3))}
        self.outputs = []
        self.frame = 0

    def place(self, *without: str) -> Live:
        for name, camera in self.cameras.items():
            if name not in without:
                self.transforms.take(camera.transforms('map'), static=True)
        return self

    def inform(self, *without: str) -> Live:
        for name, camera in self.cameras.items():
            if name not in without:
                self.fusion.on_info(name, camera.info())
        return self

    def play(self, count=15, change=lambda name, camera, stamp_ns, people: None) -> Live:
        """change: the message in place of a camera's own; None: its own."""
        for _ in range(count):
            stamp_s = self.frame / 30
            stamp_ns = 10 * S + round(stamp_s * S)
            for name, camera in self.cameras.items():
                people = camera.people(stamp_s)
                message = change(name, camera, stamp_ns, people)
                message = message or camera.skeletons(stamp_ns, people)
                self.fusion.on_skeletons(name, message, stamp_ns)
                self.outputs += self.fusion.step(stamp_ns)
            self.frame += 1
        return self

    @property
    def statuses(self):
        now_ns = 10 * S + self.frame * S // 30
        return {status.name: status for status in self.fusion.statuses(now_ns)}

    def check_last(self) -> None:
        """One person whom several cameras see, where somebody is."""
        message = self.outputs[-1].skeletons
        (pose,) = people_of(message, SKELETONS[message.convention])
        assert pose.position_source == PositionSource.CAMERAS
        true = world(1, (stamp_of(message.header) - 10 * S) / S)[0]
        pose = convert(pose, SKELETON)
        good = np.isfinite(pose.xyz[:, 0])
        assert good.sum() >= 12
        assert np.linalg.norm(pose.xyz - true, axis=1)[good].max() < CLOSE_M


@pytest.fixture
def live() -> Live:
    return Live()


def test_one_person_of_three_cameras(live: Live) -> None:
    live.place().inform().play()
    live.check_last()
    message = live.outputs[-1].skeletons
    assert message.header.frame_id == 'map'
    assert message.convention == SKELETON.name
    assert live.said == []
    assert [status.level for status in live.statuses.values()] == [OK] * 4
    assert float(live.statuses['camera left'].values['rate_hz']) == pytest.approx(30, abs=0.5)
    infos = [output.info for output in live.outputs if output.info is not None]
    assert [list(info.joint_names) for info in infos] == [list(SKELETON.names)]
    markers = TYPES.deserialize(live.outputs[-1].markers, 'visualization_msgs/msg/MarkerArray')
    assert {marker.header.frame_id for marker in markers.markers} == {'map'}
    assert {'joints', 'bones'} <= {marker.ns for marker in markers.markers}


def test_the_convention_that_is_set() -> None:
    live = Live(output_convention='coco_17').place().inform().play()
    assert live.outputs[-1].skeletons.convention == 'coco_17'
    live.check_last()


def test_an_array_waits_for_its_transform(live: Live) -> None:
    live.inform().play(2)
    assert live.outputs == []
    assert live.said == []
    live.place().play()
    live.check_last()
    assert live.said == []


def test_without_a_transform_the_others_go_on(live: Live) -> None:
    live.place('back').inform().play(30)
    live.check_last()
    (line,) = [line for line in live.said if 'transform' in line]
    assert line.startswith('back: not used: no transform from')
    assert live.statuses['camera back'].level == WARN
    assert live.statuses['camera left'].level == OK
    live.place().play(30)
    assert live.statuses['camera back'].level == OK


def test_without_calibration_the_others_go_on(live: Live) -> None:
    live.place().inform('back').play(30)
    live.check_last()
    assert 'back: not used: no camera_info has come' in live.said
    info = live.cameras['back'].info()
    info.k, info.p = np.zeros(9), np.zeros(12)
    live.fusion.on_info('back', info)
    live.play(30).check_last()
    assert sum('uncalibrated' in line for line in live.said) == 1


def test_two_cameras_of_one_frame(live: Live) -> None:
    live.place()
    live.cameras['back'].frame = live.cameras['left'].frame
    live.inform().play(30)
    live.check_last()
    assert live.said[0] == 'back: not used: it has the same frame as left, left_optical'
    assert 'same frame' in live.statuses['camera back'].message


def test_two_cameras_of_one_place(live: Live) -> None:
    live.place('back').inform()
    twin = live.cameras['left'].transforms('map')
    twin.transforms[0].child_frame_id = live.cameras['back'].frame
    live.transforms.take(twin, static=True)
    live.play(30).check_last()
    assert live.said[0] == 'back: not used: it has the same place and direction as left'


def test_a_convention_that_is_unknown(live: Live) -> None:
    def change(name, camera, stamp_ns, people):
        return camera.skeletons(stamp_ns, people, convention='x') if name == 'back' else None

    live.place().inform().play(30, change).check_last()
    assert live.said[0].startswith("back: not used: the convention 'x' is unknown")


def test_people_in_another_frame_are_brought_back(live: Live) -> None:
    turn, place = around(3)[0].R.T, around(3)[0].t
    place = -turn @ place

    def change(name, camera, stamp_ns, people):
        if name == 'left':
            moved = [transformed(pose, turn, place) for pose in people]
            return camera.skeletons(stamp_ns, moved, frame_id='map')
        return None

    live.place().inform().play(15, change).check_last()
    assert live.said == []
    assert live.statuses['camera left'].values['frame'] == 'left_optical'


def test_positions_in_the_axes_of_a_body_are_refused(live: Live) -> None:
    def change(name, camera, stamp_ns, people):
        if name == 'back':
            turned = [transformed(pose, BODY_AXES, np.zeros(3)) for pose in people]
            return camera.skeletons(stamp_ns, turned)
        return None

    live.place().inform().play(30, change).check_last()
    assert live.said[0].startswith('back: not used: positions do not lie where the pixels are')


def test_settings_that_cannot_be() -> None:
    for settings, words in (
        ({'cameras': 'left'}, 'two cameras or more'),
        ({'cameras': 'left,'}, 'a name is empty'),
        ({'cameras': 'left,left'}, 'stands twice'),
        ({'fusion_frame': ''}, 'fusion_frame'),
    ):
        with pytest.raises(ConfigError, match=words):
            FusionNodeConfig(**settings)
