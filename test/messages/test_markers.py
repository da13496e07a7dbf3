# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from support.poses import person, random_person

from pose3d_ros.camera import Camera
from pose3d_ros.drawing import style
from pose3d_ros.drawing.view3d import neck_of
from pose3d_ros.errors import ConfigError
from pose3d_ros.messages import MarkerBuilder, MarkerFrame
from pose3d_ros.messages.standalone import StandaloneTypes
from pose3d_ros.settings.node import NodeConfig
from pose3d_ros.skeleton import SKELETONS
from pose3d_ros.types import JointStatus, PositionSource

TYPES = StandaloneTypes()
MARKER = TYPES('visualization_msgs/msg/Marker')
NAME = 'visualization_msgs/msg/MarkerArray'
CAMERA = Camera(K=np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]), size=(640, 480))
# Optical frame of a camera 1.5 m over a frame with x forward and z up, looking along x.
TURN = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
LIFT = np.array([0.2, 0, 1.5])


class Viewer:
    """Keeps what a viewer would show, by namespace and id."""

    def __init__(self):
        self.builder = MarkerBuilder(TYPES)
        self.shown = {}

    def frame(self, poses, place=None, **settings):
        place = place or MarkerFrame(1_500_000_000, 'cam')
        return self.take(self.builder.array(poses, place, NodeConfig(**settings)))

    def take(self, data):
        got = TYPES.deserialize(data, NAME)
        names = [(marker.ns, marker.id) for marker in got.markers]
        assert len(set(names)) == len(names), 'RViz reports a marker that comes twice'
        for marker in got.markers:
            if marker.action == MARKER.ADD:
                self.shown[marker.ns, marker.id] = marker
            elif marker.action == MARKER.DELETE:
                del self.shown[marker.ns, marker.id]
            else:
                self.shown.clear()
        return got.markers

    def people(self):
        return {i for ns, i in self.shown if ns == 'joints'}


def points(marker):
    return np.array([(p.x, p.y, p.z) for p in marker.points])


def colours(marker):
    return np.array([(c.r, c.g, c.b) for c in marker.colors])


def rgb(colour):
    return np.array(colour[::-1]) / 255


def test_one_person():
    viewer = Viewer()
    viewer.frame([person(track_id=7)], marker_lifetime_s=1.25, marker_scale_m=0.1)
    assert set(viewer.shown) == {('joints', 7), ('bones', 7), ('text', 7), ('floor', 0)}
    joints, bones, text = (viewer.shown[ns, 7] for ns in ('joints', 'bones', 'text'))
    assert (joints.type, bones.type) == (MARKER.SPHERE_LIST, MARKER.LINE_LIST)
    assert text.type == MARKER.TEXT_VIEW_FACING
    np.testing.assert_allclose(points(joints), person().xyz)
    assert len(joints.colors) == len(joints.points)
    expected = person().xyz[np.array(person().skeleton.edges)]
    lines = points(bones).reshape(-1, 2, 3)
    np.testing.assert_allclose(lines[:-1], expected)
    # And the neck, which COCO's joints lack.
    np.testing.assert_allclose(lines[-1], neck_of(person(), person().xyz))
    assert len(bones.colors) == len(bones.points)
    assert text.text == '#7  3.0 m'
    # What RViz takes as the width of a space.
    assert 0 < text.scale.x < text.scale.z
    assert text.pose.position.y < person().xyz[:, 1].min(), 'the text is not over the head'
    for marker in viewer.shown.values():
        assert marker.header.frame_id == 'cam'
        assert (marker.header.stamp.sec, marker.header.stamp.nanosec) == (1, 500_000_000)
        assert (marker.lifetime.sec, marker.lifetime.nanosec) == (1, 250_000_000)
        assert marker.pose.orientation.w == 1
        assert not marker.frame_locked
        for c in [marker.color, *marker.colors]:
            assert all(0 <= v <= 1 for v in (c.r, c.g, c.b))
            assert 0 < c.a <= 1
    assert joints.scale.x == joints.scale.y == joints.scale.z == 0.1


def test_missing_joints_are_left_out():
    xyz = person().xyz
    xyz[9] = np.nan  # left wrist
    viewer = Viewer()
    viewer.frame([person(xyz=xyz), person(2)])
    joints, bones = viewer.shown['joints', 1], viewer.shown['bones', 1]
    assert len(joints.points) == len(joints.colors) == 16
    assert len(bones.points) == len(bones.colors) == 2 * len(person().skeleton.edges)
    assert len(viewer.shown['joints', 2].points) == 17
    assert all(
        np.isfinite(points(marker)).all() for marker in viewer.shown.values() if marker.points
    )


def test_colours_are_those_of_the_debug_image():
    viewer = Viewer()
    people = [person(k) for k in range(1, 11)]
    viewer.frame([*people, person(0)])
    for pose in people:
        own = rgb(style.track_colour(pose.track_id))
        np.testing.assert_allclose(
            colours(viewer.shown['joints', pose.track_id]), [own] * 17, atol=1e-6
        )
        lines = colours(viewer.shown['bones', pose.track_id])[::2]
        for colour, (_, _, side, _) in zip(lines, style.bones(pose.skeleton)):
            wanted = rgb(style.side_colour(side, pose.track_id))
            np.testing.assert_allclose(colour, wanted, atol=1e-6)
    nobody = rgb(style.track_colour(0))
    np.testing.assert_allclose(colours(viewer.shown['joints', -11])[0], nobody, atol=1e-6)


@pytest.mark.parametrize(
    'guess',
    [
        {'status': np.full(17, JointStatus.INFERRED, np.uint8)},
        {'status': np.full(17, JointStatus.PREDICTED, np.uint8)},
        {'confidence': np.full(17, 0.2)},
    ],
)
def test_what_is_guessed_is_paler(guess):
    viewer = Viewer()
    viewer.frame([person(1), person(1 + len(style.PALETTE), **guess)])
    for ns in ('joints', 'bones'):
        strong = colours(viewer.shown[ns, 1])
        pale = colours(viewer.shown[ns, 1 + len(style.PALETTE)])
        assert (np.ptp(pale, axis=1) < 0.5 * np.ptp(strong, axis=1)).all()
    unknown = person(3, confidence=np.full(17, np.nan))
    viewer.frame([unknown])
    np.testing.assert_allclose(
        colours(viewer.shown['joints', 3])[0], rgb(style.track_colour(3)), atol=1e-6
    )


def test_who_leaves_is_deleted_once():
    viewer = Viewer()
    viewer.frame([person(1), person(2)])
    viewer.frame([person(2)])
    assert viewer.people() == {2}
    assert len(viewer.frame([])) == 4
    assert viewer.shown == {}
    assert viewer.frame([]) == []


def test_ids_go_by_the_track_and_not_by_the_order():
    viewer = Viewer()
    viewer.frame([person(5), person(9)])
    colour = viewer.shown['joints', 9].color
    viewer.frame([person(9), person(5)])
    assert viewer.people() == {5, 9}
    assert viewer.shown['joints', 9].color.r == colour.r


def test_without_ids_and_without_joints():
    viewer = Viewer()
    nothing = np.full((17, 3), np.nan)
    viewer.frame([person(0), person(0), person(3, xyz=nothing)])
    assert viewer.people() == {-1, -2}
    viewer.frame([person(0)])
    assert viewer.people() == {-1}
    viewer.frame([person(0, xyz=nothing)])
    assert viewer.shown == {}


def test_text_is_chosen():
    viewer = Viewer()
    settings = {'marker_text': 'score, height,id'}
    viewer.frame([person(height_m=1.8)], **settings)
    assert viewer.shown['text', 1].text == '#1  1.80 m tall  0.75'
    viewer.frame([person()], **settings)
    assert viewer.shown['text', 1].text == '#1  0.75'
    viewer.frame([person()], marker_text='')
    assert ('text', 1) not in viewer.shown
    viewer.frame([person(0)], marker_text='id')
    assert viewer.shown['text', -1].text == 'person'
    with pytest.raises(ConfigError, match="marker_text: 'name' is none of id, distance"):
        NodeConfig(marker_text='id,name')


def test_people_without_a_place_stand_side_by_side_and_say_so():
    viewer = Viewer()
    kind = {'position_source': PositionSource.RELATIVE, 'score': np.nan}
    right = person(1, (0, 0, 0), pixels=person().pixels + 100, **kind)
    left = person(2, (0, 0, 0), **kind)
    viewer.frame([right, left])
    assert viewer.shown['text', 1].text == '#1  relative'
    middle = {i: points(viewer.shown['joints', i]).mean(axis=0) for i in (1, 2)}
    assert middle[1][0] - middle[2][0] == pytest.approx(1.2)
    assert middle[1][2] == pytest.approx(3 + right.xyz[:, 2].mean())


def test_another_frame():
    viewer = Viewer()
    pose = person(1, (0.5, 0.2, 3), velocity=np.array([0.0, 0, -1.0]))
    place = MarkerFrame(7, 'odom', TURN, LIFT, camera=CAMERA, newest=True)
    viewer.frame([pose], place)
    joints = points(viewer.shown['joints', 1])
    np.testing.assert_allclose(joints, pose.xyz @ TURN.T + LIFT)
    assert {marker.header.frame_id for marker in viewer.shown.values()} == {'odom'}
    assert all(marker.frame_locked for marker in viewer.shown.values())
    # The distance is that from the camera, as in the debug image.
    assert viewer.shown['text', 1].text == style.label_of(pose)
    assert viewer.shown['text', 1].pose.position.z == pytest.approx(joints[:, 2].max() + 0.25)
    arrow = points(viewer.shown['velocity', 1])
    np.testing.assert_allclose(arrow[1] - arrow[0], [-1, 0, 0], atol=1e-12)
    ring = points(viewer.shown['floor', 0])
    np.testing.assert_allclose(ring[:, 2], joints[:, 2].min())
    np.testing.assert_allclose(ring[:, :2].mean(axis=0), (TURN @ pose.root + LIFT)[:2], atol=0.01)
    eye = points(viewer.shown['frustum', 0])
    assert np.isclose(eye, LIFT).all(axis=1).sum() == 4
    assert eye[:, 0].max() == pytest.approx(LIFT[0] + 0.2)
    assert np.ptp(eye[:, 1]) == pytest.approx(0.2 * 640 / 500)


def test_slow_people_have_no_arrow():
    viewer = Viewer()
    viewer.frame(
        [person(velocity=np.array([0.01, 0, 0])), person(2), person(3, velocity=np.ones(3))]
    )
    assert {i for ns, i in viewer.shown if ns == 'velocity'} == {3}


def test_ellipsoid_of_the_root():
    viewer = Viewer()
    covariance = np.tile(np.diag([0.01, 0.04, 0.09]), (17, 1, 1))
    covariance[5] = np.nan
    poses = [person(1, covariance=covariance), person(2)]
    viewer.frame(poses, MarkerFrame(7, 'base', TURN, LIFT))
    assert {key for key in viewer.shown if key[0] == 'uncertainty'} == {('uncertainty', 1)}
    ball = viewer.shown['uncertainty', 1]
    assert ball.type == MARKER.SPHERE
    assert 0 < ball.color.a < 0.5
    at, q = ball.pose.position, ball.pose.orientation
    np.testing.assert_allclose((at.x, at.y, at.z), TURN @ poses[0].root + LIFT)
    assert q.x**2 + q.y**2 + q.z**2 + q.w**2 == pytest.approx(1)
    axes = rotation(q) @ np.diag([ball.scale.x, ball.scale.y, ball.scale.z]) / 2
    np.testing.assert_allclose(
        axes @ axes.T, TURN @ np.diag([0.01, 0.04, 0.09]) @ TURN.T, atol=1e-9
    )


def rotation(q):
    """Matrix of a quaternion."""
    x, y, z, w = q.x, q.y, q.z, q.w
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def test_ellipsoids_of_joints_and_none():
    viewer = Viewer()
    rng = np.random.default_rng(0)
    people = [random_person(rng, 'panoptic_19').replace(track_id=k) for k in (0, 3, 4)]
    viewer.frame(people, marker_uncertainty='joints')
    balls = {key: marker for key, marker in viewer.shown.items() if key[0] == 'uncertainty'}
    assert len(balls) == 3 * 19
    place = balls['uncertainty', 256 * 3 + 5].pose.position
    np.testing.assert_allclose((place.x, place.y, place.z), people[1].xyz[5])
    viewer.frame(people, marker_uncertainty='none')
    assert not [key for key in viewer.shown if key[0] == 'uncertainty']


@pytest.mark.parametrize('name', SKELETONS)
def test_every_convention(name):
    viewer = Viewer()
    pose = random_person(np.random.default_rng(0), name)
    viewer.frame([pose, person(2)])
    assert viewer.people() == {1, 2}
    joined = style.neck(pose.skeleton) is not None
    assert len(viewer.shown['bones', 1].points) == 2 * (len(pose.skeleton.edges) + joined)
    # The rings of people of two skeletons are two markers.
    rings = [len(marker.points) for (ns, _), marker in viewer.shown.items() if ns == 'floor']
    assert rings == ([64] if name == person().skeleton.name else [32, 32])


def test_lifetime_holds_for_slow_estimators():
    viewer = Viewer()

    def lifetime(stamp_s, **settings):
        viewer.frame([person()], MarkerFrame(round(stamp_s * 1e9), 'cam'), **settings)
        marker = viewer.shown['joints', 1]
        return marker.lifetime.sec + 1e-9 * marker.lifetime.nanosec

    assert lifetime(10) == pytest.approx(2.0)
    assert lifetime(10.1) == pytest.approx(2.0)
    assert lifetime(11.1) == pytest.approx(3.0)
    assert lifetime(600) == pytest.approx(2.0)
    assert lifetime(5) == pytest.approx(2.0)
    assert lifetime(6, marker_lifetime_s=0.0) == 0


def test_clear():
    viewer = Viewer()
    viewer.frame([person(1), person(2)])
    viewer.take(viewer.builder.clear(stamp_ns=2, frame_id='cam'))
    assert viewer.shown == {}
    assert viewer.frame([]) == []
