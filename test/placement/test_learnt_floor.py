# SPDX-License-Identifier: Apache-2.0
"""People who stand, jump and lean in front of a camera of which nothing, or little, is told."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from support.standing import CAMERA, HEIGHT, UP, standing

from pose3d_ros.camera import Camera
from pose3d_ros.placement.learnt_floor import FloorMemory
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.types import Floor, Frame, Pose3D

FRAME = Frame(np.zeros((480, 640, 3), np.uint8), camera=CAMERA)
PEOPLE = PipelineConfig(floor='people')
SIZE_SIGMA = 0.08
NEXT_NS = 200_000_000


def learn(
    memory: FloorMemory,
    sizes: list[float],
    count: int,
    *,
    lift: float = 0.0,
    lean: float = 0.0,
    start: int = 0,
) -> None:
    """Show people of true sizes, whom the network takes for size 1, at 2.5 to 5.5 m."""
    rng = np.random.default_rng(3)
    for k in range(start, start + count):
        for number, size in enumerate(sizes):
            pose, root = standing(distance=2.5 + 3 * rng.random(), lift=lift, scale=size)
            xyz = pose.xyz + root / size  # as the rays tell, of a body of size 1
            if lean:
                xyz = leaning(pose, lean) + root / size
            xyz = xyz * (1 + 0.03 * rng.normal())
            memory.add(pose.replace(track_id=number), xyz, k * NEXT_NS)


def leaning(pose: Pose3D, angle: float) -> np.ndarray:
    """The body turned sideways by an angle in radians, about the middle of its ankles."""
    ankles = pose.xyz[[pose.skeleton.index(f'{side}_ankle') for side in ('left', 'right')]]
    ahead = np.cross([1.0, 0, 0], UP)
    x = np.array([1.0, 0, 0])
    turn = np.outer(ahead, ahead) + math.cos(angle) * (np.outer(x, x) + np.outer(UP, UP))
    turn += math.sin(angle) * (np.outer(x, UP) - np.outer(UP, x))
    middle = ankles.mean(axis=0)
    return (pose.xyz - middle) @ turn.T + middle


def tilt_off(floor: Floor) -> float:
    return float(np.arccos(np.clip(floor.up @ UP, -1, 1)))


def test_several_people_tell_height_and_tilt() -> None:
    memory = FloorMemory()
    learn(memory, [1.0, 0.93, 1.06, 1.0], 15)
    floor = memory.floor(FRAME, PEOPLE, SIZE_SIGMA)
    assert floor is not None
    assert floor.height_m == pytest.approx(HEIGHT, rel=0.06)
    assert abs(floor.height_m - HEIGHT) < 2 * floor.height_sigma
    assert floor.height_sigma < 0.08 * HEIGHT
    assert tilt_off(floor) < 0.03
    assert 0.02 < floor.tilt_sigma < 0.1


def test_one_person_of_unknown_size_leaves_the_height_as_uncertain_as_the_size() -> None:
    memory = FloorMemory()
    learn(memory, [0.8], 40)
    floor = memory.floor(FRAME, PEOPLE, SIZE_SIGMA)
    assert floor is not None
    assert floor.height_m == pytest.approx(HEIGHT / 0.8, rel=0.05)  # nothing says otherwise
    assert floor.height_sigma > 0.9 * SIZE_SIGMA * floor.height_m


def test_a_told_height_stays_and_a_told_gravity_too() -> None:
    memory = FloorMemory()
    learn(memory, [0.8], 40, lean=0.15)
    told = PipelineConfig(floor='people', camera_height_m=HEIGHT)
    floor = memory.floor(replace(FRAME, gravity=-UP), told, SIZE_SIGMA)
    assert floor is not None
    assert floor.height_m == pytest.approx(HEIGHT, abs=0.05)
    assert tilt_off(floor) < 0.02
    assert floor.tilt_sigma < 0.02


def test_those_who_jump_and_lean_for_a_while_change_little() -> None:
    memory = FloorMemory()
    learn(memory, [1.0, 1.0], 30)
    learn(memory, [1.0, 1.0], 8, lift=0.4, start=30)
    learn(memory, [1.0, 1.0], 8, lean=0.7, start=38)
    floor = memory.floor(FRAME, PEOPLE, SIZE_SIGMA)
    assert floor is not None
    assert abs(floor.height_m - HEIGHT) < floor.height_sigma
    assert tilt_off(floor) < 0.05


def test_few_people_for_a_moment_tell_nothing() -> None:
    memory = FloorMemory()
    learn(memory, [1.0], 7)
    assert memory.floor(FRAME, PEOPLE, SIZE_SIGMA) is None
    pose, root = standing()
    for _ in range(20):  # the same moment
        memory.add(pose.replace(track_id=0), pose.xyz + root, 6 * NEXT_NS)
    assert memory.floor(FRAME, PEOPLE, SIZE_SIGMA) is None
    learn(memory, [1.0], 10, start=7)
    assert memory.floor(FRAME, PEOPLE, SIZE_SIGMA) is not None


def test_bodies_without_feet_tell_nothing() -> None:
    memory = FloorMemory()
    pose, root = standing()
    hidden = pose.replace(confidence=np.full(33, 0.2))
    for k in range(20):
        memory.add(hidden, pose.xyz + root, k * NEXT_NS)
        memory.add(pose, np.full((33, 3), np.nan), k * NEXT_NS)
    assert memory.floor(FRAME, PEOPLE, SIZE_SIGMA) is None


def test_a_camera_that_looks_straight_down() -> None:
    memory = FloorMemory()
    learn(memory, [1.0], 12)
    down = replace(FRAME, gravity=np.array([0, 0, 1.0]), camera=Camera(K=CAMERA.K, size=(640, 480)))
    floor = memory.floor(down, PEOPLE, SIZE_SIGMA)
    assert floor is None or np.isfinite(floor.up).all()
