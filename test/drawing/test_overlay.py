# SPDX-License-Identifier: Apache-2.0
from itertools import pairwise

import numpy as np
import pytest
from support.blobs import body
from support.poses import person, random_person

from pose3d_ros.camera import Camera
from pose3d_ros.drawing import overlay as draw
from pose3d_ros.drawing import view3d
from pose3d_ros.drawing.view3d import BACKGROUND, View3D, camera_outline, neck_of, placed
from pose3d_ros.skeleton import SKELETONS, get_skeleton
from pose3d_ros.types import JointStatus, PositionSource

IMAGE = np.full((480, 640, 3), 90, np.uint8)
CAMERA = Camera(K=np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]), size=(640, 480))


def near(image, colour, tolerance=12):
    """Mask of the pixels of about that colour."""
    return (np.abs(image.astype(int) - colour) <= tolerance).all(axis=2)


def standing():
    """Somebody in the middle of the image, 300 pixels tall."""
    return person(pixels=np.array([320, 240]) + 200 * body()[:, :2])


def missing(pose):
    """The pose with nothing in it."""
    joints = len(pose.skeleton)
    return pose.replace(xyz=np.full((joints, 3), np.nan), pixels=np.full((joints, 2), np.nan))


def test_overlay_leaves_the_image_alone_and_draws_where_the_joints_are():
    pose = standing()
    before = IMAGE.copy()
    out = draw.overlay(IMAGE, [pose], labels=False)
    assert (before == IMAGE).all()
    changed = np.argwhere((out != IMAGE).any(axis=2))[:, ::-1]
    assert (changed.min(axis=0) >= pose.pixels.min(axis=0) - 8).all()
    assert (changed.max(axis=0) <= pose.pixels.max(axis=0) + 8).all()
    for x, y in pose.pixels.astype(int):
        assert (out[y - 2 : y + 3, x - 2 : x + 3] != IMAGE[0, 0]).any()


def test_sides_have_their_colours():
    pose = standing()
    out = draw.overlay(IMAGE, [pose], labels=False)
    # The person faces the camera: his left is at the right.
    left, right = (np.argwhere(near(out, c))[:, 1] for c in (draw.LEFT, draw.RIGHT))
    assert len(left) > 50
    assert len(right) > 50
    assert left.min() > right.max()
    assert near(out, draw.track_colour(1)).sum() > 20


def test_unseen_joints_are_fainter():
    pose = standing()
    guessed = pose.replace(status=np.full(17, JointStatus.INFERRED, np.uint8))
    unsure = pose.replace(confidence=np.full(17, 0.2))
    strong = draw.overlay(IMAGE, [pose], labels=False).astype(int) - IMAGE
    for other in (guessed, unsure):
        faint = draw.overlay(IMAGE, [other], labels=False).astype(int) - IMAGE
        assert 0 < np.abs(faint).sum() < 0.7 * np.abs(strong).sum()
    unknown = pose.replace(confidence=np.full(17, np.nan))
    assert draw.sure_joints(unknown).all()


@pytest.mark.parametrize('name', SKELETONS)
def test_every_convention_can_be_drawn(name):
    pose = random_person(np.random.default_rng(0), name)
    assert (draw.overlay(IMAGE, [pose]) != IMAGE).any()
    assert {side for _, _, side, _ in draw.bones(get_skeleton(name))} == {'left', 'right', 'mid'}
    assert (View3D().draw([pose], CAMERA) != View3D().draw([], CAMERA)).any()


def test_missing_and_far_away_joints_are_left_out():
    pose = random_person(np.random.default_rng(0))
    pixels = pose.pixels.copy()
    pixels[3] = np.nan
    pixels[4] = 1e9
    xyz = pose.xyz.copy()
    xyz[3] = np.nan
    partly = pose.replace(pixels=pixels, xyz=xyz)
    draw.overlay(IMAGE, [partly])
    View3D().draw([partly])
    assert (draw.overlay(IMAGE, [missing(pose)]) == IMAGE).all()
    View3D().draw([missing(pose)], CAMERA)


def test_label_tells_id_and_distance():
    assert draw.label_of(person(track_id=4, at=(0, 0, 2.5))) == '#4  2.5 m'
    relative = person(track_id=4, at=(0, 0, 0), position_source=PositionSource.RELATIVE)
    assert draw.label_of(relative) == '#4'
    assert draw.label_of(relative.replace(track_id=0)) == ''


def test_tiny_and_large_images():
    for size in ((32, 24), (4000, 3000)):
        image = np.zeros((size[1], size[0], 3), np.uint8)
        out = draw.overlay(image, [person(pixels=person().pixels % min(size))])
        assert out.shape == image.shape


def test_view_shows_right_at_the_right_and_up_above():
    view = View3D((640, 480))
    base = view.draw([], CAMERA)
    assert near(base, BACKGROUND, 1).all()

    def middle(at, side=None):
        fresh = View3D((640, 480))
        # Somebody fixed keeps the scene the same.
        anchors = [person(9, (-1.4, 0, 4)), person(8, (1.4, 0, 4))]
        empty = fresh.draw(anchors, CAMERA)
        for _ in range(5):
            empty = fresh.draw(anchors, CAMERA)
        shown = fresh.draw([*anchors, person(1, at)], CAMERA)
        return np.argwhere((shown != empty).any(axis=2)).mean(axis=0)

    near_one, right_one = middle((0, 0, 3)), middle((0.7, 0, 3))
    assert right_one[1] > near_one[1] + 10
    assert middle((0, -0.5, 3))[0] < near_one[0] - 10


def test_view_does_not_jump():
    view = View3D((320, 240))
    pictures = []
    for k in range(40):
        pictures.append(view.draw([person(1, (0.02 * np.sin(k), 0, 3))], CAMERA).astype(int))
    steps = [np.abs(b - a).mean() for a, b in pairwise(pictures[10:])]
    assert max(steps) < 4


def test_relative_people_stand_side_by_side_in_the_order_of_the_image():
    kind = {'position_source': PositionSource.RELATIVE}
    a = person(1, (0, 0, 0), pixels=person().pixels + 200, **kind)
    b = person(2, (0, 0, 0), pixels=person().pixels - 200, **kind)
    (_, first), (_, second) = placed([a, b])
    assert first[:, 0].mean() - second[:, 0].mean() == pytest.approx(1.2)


def test_neck_only_where_the_convention_has_none():
    pose = random_person(np.random.default_rng(0))
    assert neck_of(pose, pose.xyz).shape == (2, 3)
    other = random_person(np.random.default_rng(0), 'openpose_18')
    assert neck_of(other, other.xyz) is None


def test_camera_outline_has_the_field_of_view():
    rectangle = camera_outline(CAMERA)[0]
    width = np.ptp(rectangle[:, 0]) / rectangle[0, 1]
    assert width == pytest.approx(640 / 500)


@pytest.mark.parametrize('span', [5.0, 14.0, 2000.0])
def test_lines_of_the_floor_do_not_crowd(span: float) -> None:
    step = view3d._grid_step(span)
    assert 9 <= span / step <= 24
    np.testing.assert_allclose(view3d._multiples(-0.7, 1.2, 0.5), [-0.5, 0, 0.5, 1])


def test_a_far_person_is_drawn_as_well() -> None:
    view = View3D((320, 240))
    empty = View3D((320, 240)).draw([], CAMERA)
    assert (view.draw([person(1, (0, 0, 1500))], CAMERA) != empty).any()
