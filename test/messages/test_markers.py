# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from support.poses import person

from pose3d_ros.messages import MarkerBuilder
from pose3d_ros.messages.standalone import StandaloneTypes
from pose3d_ros.settings.node import NodeConfig
from pose3d_ros.types import PositionSource

TYPES = StandaloneTypes()
MARKER = TYPES('visualization_msgs/msg/Marker')
NAME = 'visualization_msgs/msg/MarkerArray'


class Viewer:
    """Keeps what a viewer would show, by namespace and id."""

    def __init__(self):
        self.builder = MarkerBuilder(TYPES)
        self.shown = {}

    def frame(self, poses, **settings):
        message = self.builder.array(
            poses, stamp_ns=1_500_000_000, frame_id='cam', config=NodeConfig(**settings)
        )
        return self.take(message)

    def take(self, message):
        got = TYPES.deserialize(TYPES.serialize(message, NAME), NAME)
        for marker in got.markers:
            if marker.action == MARKER.ADD:
                self.shown[marker.ns, marker.id] = marker
            elif marker.action == MARKER.DELETE:
                del self.shown[marker.ns, marker.id]
            else:
                self.shown.clear()
        return got.markers


def test_one_person():
    viewer = Viewer()
    viewer.frame([person(track_id=7)], marker_lifetime_s=1.25, marker_scale_m=0.1)
    assert set(viewer.shown) == {('joints', 7), ('bones', 7), ('text', 7)}
    joints, bones, text = (viewer.shown[ns, 7] for ns in ('joints', 'bones', 'text'))
    assert (joints.type, bones.type) == (MARKER.SPHERE_LIST, MARKER.LINE_LIST)
    assert text.type == MARKER.TEXT_VIEW_FACING
    np.testing.assert_allclose([(p.x, p.y, p.z) for p in joints.points], person().xyz)
    assert len(joints.colors) == len(joints.points)
    ends = np.array([(p.x, p.y, p.z) for p in bones.points]).reshape(-1, 2, 3)
    expected = person().xyz[np.array(person().skeleton.edges)]
    np.testing.assert_allclose(ends, expected)
    assert text.text == '#7 0.75'
    assert text.pose.position.y < person().xyz[:, 1].min(), 'the text is not over the head'
    for marker in viewer.shown.values():
        assert marker.header.frame_id == 'cam'
        assert marker.header.stamp.sec == 1
        assert (marker.lifetime.sec, marker.lifetime.nanosec) == (1, 250_000_000)
        assert marker.pose.orientation.w == 1
        for c in [marker.color, *marker.colors]:
            assert all(0 <= v <= 1 for v in (c.r, c.g, c.b))
            assert 0 < c.a <= 1
    assert joints.scale.x == 0.1


def test_missing_joints_are_left_out():
    xyz = person().xyz
    xyz[9] = np.nan  # left wrist
    viewer = Viewer()
    viewer.frame([person(xyz=xyz)])
    joints, bones = viewer.shown['joints', 1], viewer.shown['bones', 1]
    assert len(joints.points) == len(joints.colors) == 16
    assert len(bones.points) == 2 * (len(person().skeleton.edges) - 1)
    assert all(np.isfinite([p.x, p.y, p.z]).all() for p in [*joints.points, *bones.points])


def test_confidence_is_opacity():
    confidence = np.linspace(0, 1, 17)
    confidence[3] = np.nan
    viewer = Viewer()
    viewer.frame([person(confidence=confidence)])
    alphas = [c.a for c in viewer.shown['joints', 1].colors]
    assert alphas[0] == pytest.approx(0.2)
    assert alphas[16] == alphas[3] == pytest.approx(1.0)


def test_who_leaves_is_deleted_once():
    viewer = Viewer()
    viewer.frame([person(1), person(2)])
    viewer.frame([person(2)])
    assert {i for _, i in viewer.shown} == {2}
    assert len(viewer.frame([])) == 3
    assert viewer.shown == {}
    assert viewer.frame([]) == []


def test_ids_go_by_the_track_and_not_by_the_order():
    viewer = Viewer()
    viewer.frame([person(5), person(9)])
    colour = viewer.shown['joints', 9].color
    viewer.frame([person(9), person(5)])
    assert {i for _, i in viewer.shown} == {5, 9}
    assert viewer.shown['joints', 9].color.r == colour.r


def test_without_ids_and_without_joints():
    viewer = Viewer()
    viewer.frame([person(0), person(0), person(3, xyz=np.full((17, 3), np.nan))])
    assert {i for _, i in viewer.shown} == {-1, -2}
    viewer.frame([person(0)])
    assert {i for _, i in viewer.shown} == {-1}


def test_text_can_be_switched_off():
    viewer = Viewer()
    viewer.frame([person()])
    viewer.frame([person()], marker_text=False)
    assert set(viewer.shown) == {('joints', 1), ('bones', 1)}


def test_relative_people_are_marked():
    viewer = Viewer()
    viewer.frame([person(position_source=PositionSource.RELATIVE, score=np.nan)])
    assert viewer.shown['text', 1].text == '#1 relative'


def test_clear():
    viewer = Viewer()
    viewer.frame([person(1), person(2)])
    viewer.take(viewer.builder.clear(stamp_ns=2, frame_id='cam'))
    assert viewer.shown == {}
    assert viewer.frame([]) == []
