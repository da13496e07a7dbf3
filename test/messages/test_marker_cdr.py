# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from pose3d_ros.errors import ConfigError
from pose3d_ros.messages import marker_cdr
from pose3d_ros.messages.marker_cdr import ARRAY_TYPE, MARKER_TYPE, MarkerArrayWriter
from pose3d_ros.messages.standalone import DISTROS, StandaloneTypes

RED = (1.0, 0.0, 0.0, 1.0)
TEXTS = ('x', '#1  2.3 m', 'ein Wort: größer', '')


@pytest.mark.parametrize('distro', DISTROS)
@pytest.mark.parametrize('frame', ['', 'a', 'map', 'camera_optical_frame', 'Küche'])
@pytest.mark.parametrize('ns', ['', 'n', 'joints', 'uncertainty'])
def test_bytes_are_those_of_the_message_objects(distro, frame, ns):
    types = StandaloneTypes(distro)
    marker_cdr.check_definition(types)
    writer = MarkerArrayWriter(3_000_000_004, frame, lifetime_ns=1_500_000_000, frame_locked=True)
    rng = np.random.default_rng(0)
    points, colours = rng.random((2, 5, 3)), rng.random((2, 5, 4)).astype(np.float32)
    pose = (1.0, 2.0, 3.0, 0.0, 0.0, 0.6, 0.8)
    writer.add(
        marker_cdr.SPHERE, ns, [7, -8, 9], scale=np.arange(9).reshape(3, 3), color=RED, pose=pose
    )
    writer.add(marker_cdr.LINE_LIST, ns, [1, 2], scale=1, color=RED, points=points, colors=colours)
    writer.add(marker_cdr.ARROW, ns, [4], scale=1, color=RED, points=points[1:, :2])
    for k, text in enumerate(TEXTS):
        color = np.array(RED, np.float32).tobytes()
        writer.add_text(ns, k, text, height=0.2, color=color, at=(1.0, 2.0, 3.0))
        writer.delete('gone', 2**31 - 1)
    writer.delete_all()
    data = writer.finish()
    message = types.deserialize(data, ARRAY_TYPE)
    # The other way round: what a serialiser of the same definition makes of it.
    assert bytes(types.serialize(message, ARRAY_TYPE)) == data
    assert [m.id for m in message.markers[:7]] == [7, -8, 9, 1, 2, 4, 0]
    assert len(message.markers) == 15
    for marker in message.markers[:7]:
        assert (marker.header.stamp.sec, marker.header.stamp.nanosec) == (3, 4)
        assert marker.header.frame_id == frame
        assert marker.ns == ns
        assert marker.action == 0
        assert (marker.lifetime.sec, marker.lifetime.nanosec) == (1, 500_000_000)
        assert marker.frame_locked
        assert (marker.color.r, marker.color.g, marker.color.a) == (1, 0, 1)
    ball, line = message.markers[1], message.markers[4]
    assert (ball.pose.position.z, ball.pose.orientation.w) == (3.0, 0.8)
    assert (ball.scale.x, ball.scale.y, ball.scale.z) == (3.0, 4.0, 5.0)
    assert [(p.x, p.y, p.z) for p in line.points] == [tuple(row) for row in points[1].tolist()]
    assert [(c.r, c.a) for c in line.colors] == [(c[0], c[3]) for c in colours[1].tolist()]
    texts = message.markers[6:14:2]
    assert tuple(marker.text for marker in texts) == TEXTS
    assert {(m.type, m.scale.z, m.pose.position.y) for m in texts} == {(9, 0.2, 2.0)}
    assert (message.markers[7].action, message.markers[7].id) == (2, 2**31 - 1)
    assert message.markers[14].action == 3


def test_several_at_once_come_before_texts():
    writer = MarkerArrayWriter(0, 'x')
    writer.add(marker_cdr.SPHERE, 'n', [1, 2], scale=1, color=RED)
    writer.add_text('text', 1, 'four', height=1, color=bytes(16), at=(0, 0, 0))
    with pytest.raises(ValueError, match='before those with text'):
        writer.add(marker_cdr.SPHERE, 'n', [1, 2], scale=1, color=RED)


def test_constants_are_those_of_the_definition():
    marker = StandaloneTypes()(MARKER_TYPE)
    for name in ('ARROW', 'SPHERE', 'LINE_LIST', 'SPHERE_LIST', 'ADD', 'DELETE'):
        assert getattr(marker_cdr, name) == getattr(marker, name)
    assert marker_cdr.TEXT == marker.TEXT_VIEW_FACING
    assert marker_cdr.DELETE_ALL == marker.DELETEALL


def test_an_empty_array():
    assert MarkerArrayWriter(0, 'x').finish() == b'\x00\x01\x00\x00' + bytes(4)


def test_an_unknown_definition_is_an_error():
    fields = dict.fromkeys(['header', 'ns', 'id'], '')
    other = SimpleNamespace(get_fields_and_field_types=lambda: fields)
    with pytest.raises(ConfigError, match='other fields'):
        marker_cdr.check_definition(lambda name: other)
    ros = SimpleNamespace(get_fields_and_field_types=lambda: dict.fromkeys(marker_cdr.FIELDS, ''))
    marker_cdr.check_definition(lambda name: ros)
