# SPDX-License-Identifier: Apache-2.0
"""Joints of everybody at once."""

from __future__ import annotations

import numpy as np

from pose3d_ros.fusion.bodies import bodies_of
from pose3d_ros.fusion.sighting import sightings_of
from pose3d_ros.tools.rig import SKELETON, Detector, around, walkers

STILL = np.zeros((len(SKELETON), 3))


def of_camera(k: int, world: np.ndarray):
    """The sightings of one of three cameras, in the order of the people."""
    placed = around(3)[k]
    poses = Detector(placed, len(world), np.random.default_rng(k)).people(world, 0.0)
    sightings = sightings_of(placed.view(str(k), 0, poses), SKELETON)
    out = []
    for person in world:
        near = [np.nanmedian(np.linalg.norm(one.points - person, axis=1)) for one in sightings]
        out.append(sightings[int(np.argmin(near))])
    return out


def test_people_do_not_depend_on_who_else_is_there() -> None:
    world = walkers(2, np.array([1.0]))[0]
    cameras = [of_camera(k, world) for k in range(3)]
    first, second = ([camera[k] for camera in cameras] for k in range(2))
    together = bodies_of([first, second[:2], []], [STILL] * 3, 0)
    assert together[2].points is None
    for group, body, true in zip((first, second[:2]), together, world):
        (alone,) = bodies_of([group], [STILL], 0)
        np.testing.assert_allclose(alone.points.xyz, body.points.xyz, atol=1e-9)
        assert body.points.weights.shape == (len(group), len(SKELETON))
        assert np.nanmedian(np.linalg.norm(body.points.xyz - true, axis=1)) < 0.06


def test_a_sighting_of_somebody_else_is_left_out() -> None:
    world = walkers(2, np.array([1.0]))[0]
    cameras = [of_camera(k, world) for k in range(3)]
    wrong = [cameras[0][0], cameras[1][0], cameras[2][1]]
    (body,) = bodies_of([wrong], [STILL], 0)
    assert body.sightings == wrong[:2]
