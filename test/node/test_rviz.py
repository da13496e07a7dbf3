# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import numpy as np
import pytest
from support.poses import person

from pose3d_ros.drawing.rviz_config import VIEW_3D, Topics
from pose3d_ros.messages import SkeletonBuilder
from pose3d_ros.messages.standalone import StandaloneTypes
from pose3d_ros.node.frames import FrameTree
from pose3d_ros.node.rviz import (
    SKELETON_ARRAY,
    Shown,
    camera_height,
    heights_over_feet,
    level_pose,
    make_plan,
    topics_of,
)
from pose3d_ros.types import JointStatus, PositionSource

OPTICAL = 'camera_optical_frame'
# Rotation of an optical frame that looks along x, z up.
LOOK = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])


def turned(angle):
    """Rotation about z."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


class Transforms:
    """Poses of frames in their parents: what TF knows."""

    def __init__(self, **poses):
        self.poses = poses

    @property
    def tree(self):
        return FrameTree({child: parent for child, (parent, _, _) in self.poses.items()})

    def chain(self, frame):
        rotation, translation = np.eye(3), np.zeros(3)
        while frame in self.poses:
            frame, r, t = self.poses[frame]
            rotation, translation = r @ rotation, r @ translation + t
        return frame, rotation, translation

    def lookup(self, target, source):
        root, r_source, t_source = self.chain(source)
        other, r_target, t_target = self.chain(target)
        assert root == other, f'{source} is not connected with {target}'
        return r_target.T @ r_source, r_target.T @ (t_source - t_target)

    def with_(self, broadcasts):
        """What RViz knows with the plan's transforms."""
        more = {b.child: (b.parent, b.rotation, np.asarray(b.translation)) for b in broadcasts}
        assert not set(more) & set(self.poses), 'a frame would have two parents'
        return Transforms(**self.poses, **more)

    def plan(self, *cameras, **options):
        return make_plan(cameras, self.tree, self.lookup, **options)


def shows(transforms, plan, frame):
    """Asserts that people in front of a camera are upright and in view."""
    known = transforms.with_(plan.broadcasts)
    rotation, translation = known.lookup(plan.fixed_frame, frame)
    _, origin = known.lookup(plan.fixed_frame, plan.follow or plan.fixed_frame)
    last = math.inf
    for distance in (1.0, 3.0, 6.0):
        # Somebody who stands on the floor, 1.8 m tall, in front of a camera 1 m above it.
        body = np.array([[0, 1.0, distance], [0, -0.8, distance]])
        feet, head = (body @ rotation.T + translation).tolist()
        assert head[2] - feet[2] == pytest.approx(1.8, abs=0.2)
        points = np.array([feet, head]) - origin
        pixels = plan.view.project(points, VIEW_3D)
        assert ((pixels > 0) & (pixels < VIEW_3D)).all()
        assert pixels[0, 1] - pixels[1, 1] > 80
        size = pixels[0, 1] - pixels[1, 1]
        assert size < last, 'the view does not look as the camera does'
        last = size


def test_a_camera_without_transforms():
    nothing = Transforms()
    plan = nothing.plan(Shown(OPTICAL, OPTICAL))
    assert plan.fixed_frame == 'pose3d_level'
    (level,) = plan.broadcasts
    # Below the camera: whoever publishes a parent of the camera later has no rival.
    assert (level.parent, level.child) == (OPTICAL, 'pose3d_level')
    assert plan.follow == ''
    shows(nothing, plan, OPTICAL)
    _, place = nothing.with_(plan.broadcasts).lookup('pose3d_level', OPTICAL)
    assert place == pytest.approx([0, 0, 1])
    assert '1.0 m above the floor (assumed)' in plan.notes[0]


def test_what_is_known_of_floor_and_gravity_is_used():
    down = np.array([0.0, math.cos(0.5), math.sin(0.5)])  # a camera that looks down by 0.5
    plan = Transforms().plan(Shown(OPTICAL, OPTICAL, height_m=2.2, gravity=down))
    known = Transforms().with_(plan.broadcasts)
    rotation, place = known.lookup('pose3d_level', OPTICAL)
    assert rotation @ down == pytest.approx([0, 0, -1])
    assert place == pytest.approx([0, 0, 2.2])
    assert (rotation @ [0, 0, 1])[1] == pytest.approx(0), 'x is not where the camera looks'
    assert 'feet' in plan.notes[0]


@pytest.mark.parametrize('down', [(0, 1, 0), (0, 0, 1), (0, 0, -1), (1, 0, 0), (0.2, 0.9, -0.3)])
def test_level_pose_is_level(down):
    down = np.array(down, float) / np.linalg.norm(down)
    rotation, translation = level_pose(down, 1.3)
    assert rotation.T @ rotation == pytest.approx(np.eye(3))
    assert np.linalg.det(rotation) == pytest.approx(1)
    assert rotation[:, 2] == pytest.approx(-down)
    assert translation == pytest.approx(1.3 * down)
    assert rotation[2, 0] >= -1e-9 or abs(down[2]) > 0.9, 'x is not ahead'


def robot(world='', angle=0.0, at=(0.0, 0, 0)):
    """A robot with a camera 1 m above the floor."""
    poses = {
        'camera_link': ('base_link', np.eye(3), np.array([0.2, 0, 0.9])),
        OPTICAL: ('camera_link', LOOK, np.zeros(3)),
        'base_link': ('base_footprint', np.eye(3), np.array([0, 0, 0.1])),
    }
    if world:
        poses['base_footprint'] = ('odom', turned(angle), np.array(at))
    if world == 'map':
        poses['odom'] = ('map', turned(0.2), np.array([5.0, 6, 0]))
    return Transforms(**poses)


@pytest.mark.parametrize('target', ['', 'base_link'])
@pytest.mark.parametrize('world', ['', 'odom', 'map'])
def test_a_camera_on_a_robot(target, world):
    transforms = robot(world, 2.3, (3.0, -4, 0))
    plan = transforms.plan(Shown(target or OPTICAL, OPTICAL))
    assert plan.fixed_frame == (world or 'base_footprint')
    assert plan.broadcasts == []
    assert plan.notes == []
    assert plan.follow == ('base_footprint' if world else '')
    shows(transforms, plan, OPTICAL)


def test_the_view_follows_the_robot():
    plan = robot('odom', 0.5, (3.0, -4, 0)).plan(Shown(OPTICAL, OPTICAL))
    # The robot has driven on; RViz keeps focal point and yaw in the fixed frame's axes.
    shows(robot('odom', 0.5, (30.0, 14, 0)), plan, OPTICAL)


def test_a_camera_that_stands_in_the_map():
    lean = np.array(
        [[1.0, 0, 0], [0, math.cos(0.3), math.sin(0.3)], [0, -math.sin(0.3), math.cos(0.3)]]
    )
    pose = turned(1.0) @ LOOK @ lean
    transforms = Transforms(**{OPTICAL: ('map', pose, np.array([2.0, 1, 2.5]))})
    plan = transforms.plan(Shown(OPTICAL, OPTICAL))
    assert (plan.fixed_frame, plan.follow, plan.broadcasts) == ('map', '', [])
    ahead = pose[:, 2] * [1, 1, 0] / np.linalg.norm(pose[:2, 2])
    for distance in (1, 3, 6):
        body = np.array([2.0, 1, 0]) + distance * ahead + np.array([[0, 0, 0], [0, 0, 1.8]])
        pixels = plan.view.project(body, VIEW_3D)
        assert ((pixels > 0) & (pixels < VIEW_3D)).all()


def test_frames_of_the_camera_alone_are_made_level_too():
    # A driver that publishes its own frames, held in a hand.
    transforms = Transforms(
        camera_color_frame=('camera_link', np.eye(3), np.array([0, 0.015, 0])),
        **{OPTICAL: ('camera_color_frame', LOOK, np.zeros(3))},
    )
    plan = transforms.plan(Shown(OPTICAL, OPTICAL))
    assert plan.fixed_frame == 'pose3d_level'
    shows(transforms, plan, OPTICAL)


def test_another_root_with_z_up_will_do():
    transforms = Transforms(**{OPTICAL: ('cell', LOOK, np.array([1.0, 0, 1]))})
    plan = transforms.plan(Shown(OPTICAL, OPTICAL))
    assert (plan.fixed_frame, plan.broadcasts) == ('cell', [])
    shows(transforms, plan, OPTICAL)
    # One with z forward will not.
    optical = Transforms(**{OPTICAL: ('rig', np.eye(3), np.array([1.0, 0, 0]))})
    assert optical.plan(Shown(OPTICAL, OPTICAL)).fixed_frame == 'pose3d_level'


def test_a_target_frame_of_another_name():
    transforms = Transforms(**{OPTICAL: ('torso', LOOK, np.array([0.1, 0, 0.4]))})
    plan = transforms.plan(Shown('torso', OPTICAL))
    assert plan.fixed_frame == 'torso'
    assert plan.view is not None


def test_the_users_choice():
    transforms = robot('map')
    plan = transforms.plan(Shown(OPTICAL, OPTICAL), fixed_frame='base_link')
    assert (plan.fixed_frame, plan.follow, plan.broadcasts) == ('base_link', '', [])
    assert plan.view is not None
    lonely = Transforms().plan(Shown(OPTICAL, OPTICAL), fixed_frame='lab')
    assert (lonely.fixed_frame, lonely.view) == ('lab', None)
    assert 'TF does not connect camera_optical_frame with lab' in lonely.notes[0]


def test_the_optical_frame_may_be_unknown():
    plan = robot('odom').plan(Shown('base_link', ''))
    assert plan.fixed_frame == 'odom'
    plan = Transforms().plan(Shown(OPTICAL, ''))
    assert plan.fixed_frame == 'pose3d_level'


def test_several_cameras_on_a_robot():
    transforms = robot('odom')
    transforms.poses['left'] = ('base_link', turned(0.5) @ LOOK, np.array([0.1, 0.2, 0.9]))
    plan = transforms.plan(Shown(OPTICAL, OPTICAL), Shown('left', 'left'))
    assert plan.fixed_frame == 'odom'
    assert plan.notes == []
    shows(transforms, plan, OPTICAL)
    shows(transforms, plan, 'left')


def test_several_cameras_without_transforms_stand_side_by_side():
    transforms = Transforms(b_optical=('b_link', LOOK, np.zeros(3)))
    plan = transforms.plan(Shown('a', 'a'), Shown('b_optical', 'b_optical'), Shown('a', 'a'))
    assert plan.fixed_frame == 'pose3d_level'
    for frame in ('a', 'b_optical'):
        shows(transforms, plan, frame)
    # The root of the second one's frames gets a parent, not a frame that has one.
    assert {b.child for b in plan.broadcasts} == {'pose3d_level', 'b_link'}
    known = transforms.with_(plan.broadcasts)
    _, place = known.lookup('pose3d_level', 'b_optical')
    assert place == pytest.approx([0, -3, 1])
    assert any('does not connect b_optical with a' in note for note in plan.notes)


def test_a_camera_that_nothing_connects_with_a_robot_is_left_alone():
    # A false parent would tell the robot's other nodes where it stands.
    transforms = robot('odom')
    plan = transforms.plan(Shown(OPTICAL, OPTICAL), Shown('webcam', 'webcam'))
    assert plan.broadcasts == []
    assert 'TF does not connect webcam with odom' in plan.notes[0]


def test_height_by_feet():
    assert camera_height([1.4, 1.5, 1.6, 60.0, -2.0]) == pytest.approx(1.5)
    assert math.isnan(camera_height([]))
    assert math.isnan(camera_height([0.05]))


IMAGE, INFO = ['sensor_msgs/msg/Image'], ['sensor_msgs/msg/CameraInfo']
PEOPLE, MARKERS = [SKELETON_ARRAY], ['visualization_msgs/msg/MarkerArray']


def test_topics_of_a_node():
    node = '/robot/eyes'
    published = {
        f'{node}/skeletons': PEOPLE,
        f'{node}/markers': MARKERS,
        f'{node}/debug_image': IMAGE,
        '/rosout': ['rcl_interfaces/msg/Log'],
    }
    subscribed = {
        '/robot/camera/camera_info': INFO,
        '/robot/camera/depth': IMAGE,
        '/robot/camera/image_raw/compressed': ['sensor_msgs/msg/CompressedImage'],
        '/robot/aligned/image_raw': IMAGE,
    }
    (skeletons,), (topics,) = zip(*topics_of(node, published, subscribed).items())
    assert skeletons == f'{node}/skeletons'
    assert topics == Topics(
        '',
        f'{node}/markers',
        f'{node}/debug_image',
        '/robot/camera/image_raw',
        '/robot/camera/camera_info',
    )
    # Before it is active, and a node that draws no image.
    del published[f'{node}/debug_image']
    assert topics_of(node, published, {})[skeletons] == Topics('', f'{node}/markers', '', '')
    assert topics_of(node, {}, subscribed) == {}


def test_topics_of_several_cameras():
    published = {f'/n/{side}/skeletons': PEOPLE for side in ('right', 'left')}
    published |= {f'/n/{side}/debug_image': IMAGE for side in ('right', 'left')}
    subscribed = {f'/rig/{side}/image_raw': IMAGE for side in ('right', 'left')}
    subscribed |= {f'/rig/{side}/camera_info': INFO for side in ('right', 'left')}
    found = topics_of('/n', published, subscribed)
    assert list(found) == ['/n/left/skeletons', '/n/right/skeletons']
    assert found['/n/left/skeletons'] == Topics(
        'left',
        '/n/left/markers',
        '/n/left/debug_image',
        '/rig/left/image_raw',
        '/rig/left/camera_info',
    )


def test_a_calibration_that_is_not_beside_the_image():
    topics = topics_of(
        '/n', {'/n/skeletons': PEOPLE}, {'/cam/image_raw': IMAGE, '/calibrations/cam': INFO}
    )
    assert topics == {'/n/skeletons': Topics('', '/n/markers', '', '', '/calibrations/cam')}


def test_feet_tell_the_height():
    types = StandaloneTypes()
    builder = SkeletonBuilder(types)
    lifted = person(2, (1, -0.2, 4))
    status = np.full(17, JointStatus.INFERRED, np.uint8)
    hidden = person(3, status=status)
    relative = person(4, (0, 0, 0), position_source=PositionSource.RELATIVE)
    poses = [person(1), lifted, hidden, relative]
    array = builder.array(poses, stamp_ns=1, frame_id='cam', size=(640, 480), convention='coco_17')
    ankles = [person(1).xyz[15:, 1].max(), lifted.xyz[15:, 1].max()]
    assert heights_over_feet(array) == pytest.approx(ankles)
    array.convention = 'of somebody else'
    assert heights_over_feet(array) == []


def test_a_camera_of_body_frames_alone_is_shown_in_its_own():
    tf = Transforms()
    plan = make_plan([Shown('camera_link', 'camera_link', body=True)], tf.tree, tf.lookup)
    assert (plan.fixed_frame, plan.broadcasts) == ('camera_link', [])
    behind = Transforms(optical=('camera_link', LOOK, np.zeros(3)))
    seen = make_plan([Shown('camera_link', 'optical')], behind.tree, behind.lookup)
    assert plan.view == seen.view
