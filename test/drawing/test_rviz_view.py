# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import numpy as np
import pytest

from pose3d_ros.drawing.rviz_config import VIEW_3D
from pose3d_ros.drawing.rviz_view import Orbit, Viewpoint, orbit_behind

UP = np.array([0.0, 0, 1])


def looking(yaw=0.0, down=0.0, position=(0.0, 0, 1.0), floor_m=0.0):
    """A camera that looks in a direction, and so far down."""
    forward = np.array(
        [math.cos(yaw) * math.cos(down), math.sin(yaw) * math.cos(down), -math.sin(down)]
    )
    aside = np.array([-math.sin(yaw), math.cos(yaw), 0])
    return Viewpoint(np.array(position, float), forward, np.cross(forward, aside), floor_m)


def person(camera, distance):
    """(N, 3) points of somebody 1.8 m tall in front of a camera."""
    flat = camera.forward * [1, 1, 0]
    if np.linalg.norm(flat) < 0.1:
        flat = camera.up * [1, 1, 0]
    place = camera.position * [1, 1, 0] + distance * flat / np.linalg.norm(flat)
    return place + np.array([[0, 0, camera.floor_m + height] for height in (0.0, 0.9, 1.8)])


CASES = {
    'level': looking(),
    'on a robot that turned': looking(2.5, 0.1, (12.0, -7, 1.4)),
    'on the wall': looking(-1.2, 0.5, (3.0, 4, 2.6)),
    'on a table, upwards': looking(0.3, -0.25, (0.0, 0, 0.5)),
    'on another floor': looking(0, 0, (0.0, 0, 8.0), floor_m=7.0),
}


@pytest.mark.parametrize('name', CASES)
def test_people_in_front_of_the_camera_are_in_the_window(name):
    camera = CASES[name]
    orbit = orbit_behind([camera], VIEW_3D)
    heights = []
    for distance in (1, 3, 6):
        pixels = orbit.project(person(camera, distance), VIEW_3D)
        assert (pixels > 0).all()
        assert (pixels < VIEW_3D).all()
        # Upright, and large enough to be seen.
        feet, _, head = pixels
        assert feet[1] - head[1] > 150
        assert abs(feet[0] - head[0]) < 5
        heights.append(feet[1] - head[1])
    assert heights == sorted(heights, reverse=True), 'it does not look as the camera looks'
    # From behind the camera, and from above.
    assert (orbit.eye - camera.position) @ (camera.forward * [1, 1, 0]) < 0
    assert orbit.eye[2] > camera.floor_m + 1.8


def test_straight_down_has_the_upper_edge_ahead():
    camera = looking(0.7, math.pi / 2, (0.0, 0, 3))
    orbit = orbit_behind([camera], VIEW_3D)
    assert orbit.yaw == pytest.approx(0.7 - math.pi)
    assert np.isfinite(orbit.eye).all()


def test_two_cameras():
    left, right = looking(0.2, 0, (0.0, 1, 1)), looking(-0.2, 0, (0.0, -1, 1))
    orbit = orbit_behind([left, right], VIEW_3D)
    assert abs(orbit.yaw) == pytest.approx(math.pi)
    for camera in (left, right):
        for distance in (1, 3, 6):
            pixels = orbit.project(person(camera, distance), VIEW_3D)
            assert ((pixels > 0) & (pixels < VIEW_3D)).all()
    # Two that look at each other: as the first one does.
    facing = orbit_behind([looking(0), looking(math.pi, 0, (8.0, 0, 1))], VIEW_3D)
    assert abs(facing.yaw) == pytest.approx(math.pi)


def test_orbit_is_that_of_rviz():
    """The formula of OrbitViewController::updateCamera, and Ogre's projection of 45 degrees."""
    orbit = Orbit((1.0, 2.0, 0.5), yaw=0.3, pitch=0.4, distance=5.0)
    x = 5 * math.cos(0.3) * math.cos(0.4) + 1
    y = 5 * math.sin(0.3) * math.cos(0.4) + 2
    z = 5 * math.sin(0.4) + 0.5
    assert orbit.eye == pytest.approx([x, y, z])
    size = (1000, 800)
    # The focal point is in the middle; what is above it is higher, that is, of smaller y.
    assert orbit.project(np.array([[1.0, 2, 0.5]]), size)[0] == pytest.approx([500, 400])
    above = orbit.project(np.array([[1.0, 2, 0.6]]), size)[0]
    assert above[0] == pytest.approx(500)
    assert above[1] < 400
    # A view from +x sees +y at the right.
    front = Orbit((0, 0, 0), 0, 0, 10)
    right, edge = front.project(np.array([[0, 1.0, 0], [0, 0, 10 * math.tan(math.pi / 8)]]), size)
    assert right[0] > 500
    assert edge[1] == pytest.approx(0, abs=1e-6)
    assert np.isnan(front.project(np.array([[20.0, 0, 0]]), size)).all()
