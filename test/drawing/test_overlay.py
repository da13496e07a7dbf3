# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from support.blobs import body
from support.poses import person, random_person

from pose3d_ros.camera import Camera
from pose3d_ros.drawing import style
from pose3d_ros.drawing.overlay import overlay
from pose3d_ros.drawing.view3d import View3D
from pose3d_ros.skeleton import SKELETONS, get_skeleton
from pose3d_ros.types import JointStatus

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
    out = overlay(IMAGE, [pose], labels=False)
    assert (before == IMAGE).all()
    changed = np.argwhere((out != IMAGE).any(axis=2))[:, ::-1]
    assert (changed.min(axis=0) >= pose.pixels.min(axis=0) - 8).all()
    assert (changed.max(axis=0) <= pose.pixels.max(axis=0) + 8).all()
    for x, y in pose.pixels.astype(int):
        assert (out[y - 2 : y + 3, x - 2 : x + 3] != IMAGE[0, 0]).any()


def test_sides_have_their_colours():
    pose = standing()
    out = overlay(IMAGE, [pose], labels=False)
    # The person faces the camera: his left is at the right.
    left, right = (np.argwhere(near(out, c))[:, 1] for c in (style.LEFT, style.RIGHT))
    assert len(left) > 50
    assert len(right) > 50
    assert left.min() > right.max()
    assert near(out, style.track_colour(1)).sum() > 20


def test_unseen_joints_are_fainter():
    pose = standing()
    guessed = pose.replace(status=np.full(17, JointStatus.INFERRED, np.uint8))
    unsure = pose.replace(confidence=np.full(17, 0.2))
    strong = overlay(IMAGE, [pose], labels=False).astype(int) - IMAGE
    for other in (guessed, unsure):
        faint = overlay(IMAGE, [other], labels=False).astype(int) - IMAGE
        assert 0 < np.abs(faint).sum() < 0.7 * np.abs(strong).sum()
    unknown = pose.replace(confidence=np.full(17, np.nan))
    assert style.confident_joints(unknown).all()


@pytest.mark.parametrize('name', SKELETONS)
def test_every_convention_can_be_drawn(name):
    pose = random_person(np.random.default_rng(0), name)
    assert (overlay(IMAGE, [pose]) != IMAGE).any()
    assert {side for _, _, side, _ in style.bones(get_skeleton(name))} == {'left', 'right', 'mid'}
    assert (View3D().draw([pose], CAMERA) != View3D().draw([], CAMERA)).any()


def test_missing_and_far_away_joints_are_left_out():
    pose = random_person(np.random.default_rng(0))
    pixels = pose.pixels.copy()
    pixels[3] = np.nan
    pixels[4] = 1e9
    xyz = pose.xyz.copy()
    xyz[3] = np.nan
    partly = pose.replace(pixels=pixels, xyz=xyz)
    overlay(IMAGE, [partly])
    View3D().draw([partly])
    assert (overlay(IMAGE, [missing(pose)]) == IMAGE).all()
    View3D().draw([missing(pose)], CAMERA)


def test_tiny_and_large_images():
    for size in ((32, 24), (4000, 3000)):
        image = np.zeros((size[1], size[0], 3), np.uint8)
        out = overlay(image, [person(pixels=person().pixels % min(size))])
        assert out.shape == image.shape
