# SPDX-License-Identifier: Apache-2.0
from itertools import pairwise

import numpy as np
import pytest
from support.poses import person, random_person

from pose3d_ros.camera import Camera
from pose3d_ros.drawing import view3d
from pose3d_ros.drawing.view3d import BACKGROUND, View3D, camera_outline, neck_of, placed
from pose3d_ros.types import PositionSource

CAMERA = Camera(K=np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]), size=(640, 480))


@pytest.mark.slow
def test_view_shows_right_at_the_right_and_up_above():
    view = View3D((640, 480))
    base = view.draw([], CAMERA)
    assert (base == BACKGROUND).all()

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
