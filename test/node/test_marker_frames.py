# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pose3d_ros.camera import Camera
from pose3d_ros.messages import MarkerFrame
from pose3d_ros.node.frames import FrameTree
from pose3d_ros.node.marker_frames import MarkerFrames
from pose3d_ros.node.transforms import TransformBuffer
from pose3d_ros.settings.node import NodeConfig
from pose3d_ros.types import Frame

CAMERA = Camera(K=np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]), size=(640, 480))
# An optical frame that looks along x and stands 1 m high.
TURN = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
S = 10**9
STAMP = 10 * S
ROBOT = {'cam': 'base_link', 'base_link': 'odom', 'odom': 'map'}


class Adapter:
    """Transforms that have come, by target."""

    def __init__(self, parents, *ready):
        self.parents, self.ready = parents, set(ready)
        self.looked, self.asked = 0, []

    def frames(self):
        self.looked += 1
        return FrameTree(self.parents)

    def lookup(self, target, source, stamp_ns, timeout_s):
        assert (source, stamp_ns) == ('cam', STAMP)
        self.asked.append((target, timeout_s))
        if target not in self.ready:
            raise LookupError(f'no {target}')
        return TURN, np.array([len(target), 0.0, 1])


@pytest.fixture
def clock():
    class Clock:
        now = 100.0

        def __call__(self):
            return self.now

    return Clock()


def place(adapter, clock, output='cam', places=None, gravity=None, **settings):
    frame = Frame(np.zeros((4, 4, 3), np.uint8), STAMP, 'cam', camera=CAMERA, gravity=gravity)
    rotation = np.eye(3) if output == 'cam' else TURN
    shown = MarkerFrame(STAMP, output, rotation, camera=CAMERA)
    places = places or MarkerFrames(adapter, clock)
    return places.of(frame, shown, NodeConfig(**settings), 0.1)


def test_without_transforms_where_the_skeletons_are(clock):
    made = place(Adapter({}), clock)
    assert (made.frame_id, made.newest, made.stamp_ns) == ('cam', False, STAMP)
    assert made.up == pytest.approx([0, -1, 0])
    down = np.array([0.0, 0.6, 0.8])
    assert place(Adapter({}), clock, gravity=down).up == pytest.approx(-down)


def test_the_outermost_frame_whose_transform_has_come(clock):
    adapter = Adapter(ROBOT, 'map', 'odom', 'base_link')
    made = place(adapter, clock)
    assert (made.frame_id, made.newest, made.stamp_ns) == ('map', True, STAMP)
    assert made.camera is CAMERA
    assert made.up == pytest.approx(TURN[2])
    # Localization is late: odom will do, and what lies above is RViz's part.
    late = Adapter(ROBOT, 'odom', 'base_link')
    assert place(late, clock).frame_id == 'odom'
    assert late.asked == [('map', 0.0), ('odom', 0.1)]
    # The robot's own frame will not: it would carry people along.
    with pytest.raises(LookupError, match='no odom'):
        place(Adapter(ROBOT, 'base_link'), clock)


def test_a_robot_without_odometry(clock):
    adapter = Adapter({'cam': 'base_link', 'base_link': 'base_footprint'}, 'base_footprint')
    assert place(adapter, clock).frame_id == 'base_footprint'


def test_skeletons_in_such_a_frame_are_transformed_already(clock):
    adapter = Adapter(ROBOT)
    made = place(adapter, clock, output='odom', target_frame='odom')
    assert (made.frame_id, made.newest) == ('odom', True)
    assert made.up == pytest.approx(TURN[2])
    assert adapter.asked == []


def test_frames_are_looked_for_once_a_second_until_one_stands_still(clock):
    adapter = Adapter({}, 'base_link', 'odom')
    places = MarkerFrames(adapter, clock)
    for _ in range(5):
        assert place(adapter, clock, places=places).frame_id == 'cam'
    assert adapter.looked == 1
    adapter.parents = {'cam': 'base_link'}
    clock.now += 1.1
    assert place(adapter, clock, places=places).frame_id == 'base_link'
    adapter.parents = {'cam': 'base_link', 'base_link': 'odom'}
    clock.now += 1.1
    for _ in range(5):
        assert place(adapter, clock, places=places).frame_id == 'odom'
        clock.now += 1.1
    assert adapter.looked == 3
    # Odometry ends, and its frame is forgotten.
    adapter.ready, adapter.parents = {'base_link'}, {'cam': 'base_link'}
    with pytest.raises(LookupError):
        place(adapter, clock, places=places)
    assert place(adapter, clock, places=places).frame_id == 'base_link'


def test_a_frame_by_name(clock):
    adapter = Adapter(ROBOT, 'base_link')
    made = place(adapter, clock, marker_frame='base_link')
    assert (made.frame_id, made.newest) == ('base_link', True)
    assert adapter.looked == 0
    made = place(adapter, clock, marker_frame='')
    assert (made.frame_id, made.newest) == ('cam', False)
    with pytest.raises(LookupError):
        place(adapter, clock, marker_frame='nowhere')


@pytest.mark.parametrize('rate_hz', [10, 20, 50])
@pytest.mark.parametrize('localization_late_s', [0.0, 0.3])
def test_somebody_who_stands_stays_put_while_the_robot_turns(rate_hz, localization_late_s, clock):
    """1 m/s and 1 rad/s; RViz shows `map`, whose transform to `odom` is the newest one."""
    buffer = TransformBuffer()
    buffer.set('base_link', 'cam', (np.array([0.2, 0, 1]), as_quaternion(TURN)))
    period_ns = S // rate_hz
    for k in range(4 * rate_hz):
        t = k / rate_hz
        buffer.set('odom', 'base_link', (drive(t)[1], as_quaternion(drive(t)[0])), k * period_ns)
        if t <= 4 - localization_late_s:
            # Odometry drifts, and localization makes up for it.
            buffer.set(
                'map', 'odom', (np.array([0.01 * t, 0, 0]), np.array([0, 0, 0, 1.0])), k * period_ns
            )
    stands = np.array([3.0, 2.0, 0.9])
    seen = []
    places = MarkerFrames(Known(buffer), clock)
    for stamp_ns in range(S, 4 * S - period_ns, S // 30):
        turn, place_ = drive(stamp_ns / S)
        in_base = turn.T @ (stands - place_)
        in_camera = TURN.T @ (in_base - [0.2, 0, 1])
        frame = Frame(np.zeros((4, 4, 3), np.uint8), stamp_ns, 'cam')
        made = places.of(frame, MarkerFrame(stamp_ns, 'cam'), NodeConfig(), 0.1)
        shown = made.rotation @ in_camera + made.translation
        if made.frame_id == 'odom':
            turn, place_ = buffer.newest('map', 'odom')
            shown = turn @ shown + place_
        seen.append(shown)
    spread = np.array(seen) - np.median(seen, axis=0)
    assert np.abs(spread).max() < 0.05
    assert len(seen) > 80


def drive(t):
    """Pose of the robot in odom: it turns at 1 rad/s and drives at 1 m/s."""
    c, s = np.cos(t), np.sin(t)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]), np.array([s, 1 - c, 0])


def as_quaternion(rotation):
    return Rotation.from_matrix(rotation).as_quat()


class Known:
    """A shell with everything that has come."""

    def __init__(self, buffer):
        self.lookup, self.frames = buffer.lookup, buffer.frames


def test_a_body_frame_is_turned(clock):
    adapter = Adapter(ROBOT, 'map', 'odom')
    shown = place(adapter, clock, image_frame='body')
    np.testing.assert_allclose(shown.rotation, TURN @ TURN)
