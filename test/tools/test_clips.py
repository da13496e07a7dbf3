# SPDX-License-Identifier: Apache-2.0
"""Who counts as found in clips where people hide one another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pose3d_ros.errors import InputError
from pose3d_ros.resources import resource
from pose3d_ros.tools.clips import JOINTS, LIMBS, Clip


@pytest.fixture
def crowd(tmp_path: Path) -> Clip:
    """Two people in one frame of a distorted camera; of the second, a quarter can be seen."""
    names = [*JOINTS, 'pelvis']
    column = np.linspace(100, 300, len(names))
    pixels = np.stack([np.stack([np.full(len(names), x), column], axis=-1) for x in (200, 400)])
    visibility = np.ones((1, 2, len(names)), np.uint8)
    visibility[0, 0, names.index('left_wrist')] = 3
    np.savez(
        tmp_path / 'crowd.npz',
        joint_names=np.array(names),
        joints_cam=np.ones((1, 2, len(names), 3)),
        joints_px=pixels[None],
        in_image=np.ones((1, 2, len(names)), bool),
        visibility=visibility,
        visible_fraction=np.array([[1.0, 0.25]]),
        present=np.ones((1, 2), bool),
        K=np.array([[260.0, 0, 315], [0, 260, 242], [0, 0, 1]]),
        distortion_model=np.array('equidistant'),
        D=np.array([0.02, -0.008, 0.003, -0.0006]),
        image_size=np.array([640, 480]),
        height_m=np.array([1.8, 1.7]),
        R_cam_world=np.eye(3),
        t_cam_world=np.array([0, 1.0, 0]),
    )
    return Clip.load(tmp_path / 'crowd.mp4')


def test_what_a_clip_tells(crowd: Clip) -> None:
    assert crowd.camera.model == 'equidistant'
    assert crowd.expected.tolist() == [[True, False]]
    assert crowd.extent.tolist() == [[200, 200]]
    assert crowd.height_m is not None
    assert crowd.height_m.tolist() == [1.8, 1.7]
    assert crowd.translation is not None
    assert crowd.translation.tolist() == [[0, 1.0, 0]]
    plain = Clip.load(resource('demo', 'two_people.mp4'))
    assert plain.visibility is None
    assert plain.height_m is not None
    np.testing.assert_allclose(plain.height_m, [1.76, 1.60], atol=0.01)  # heel to head
    assert plain.expected.all()


def test_the_floor_of_a_clip(crowd: Clip) -> None:
    floor = Clip.load(resource('demo', 'jump.mp4')).floor(0)
    assert floor.up[1] < -0.9
    assert floor.height_m == pytest.approx(1.4, abs=0.1)
    with pytest.raises(InputError, match='does not tell where its camera is'):
        replace(crowd, rotation=None).floor(0)


def test_found_within_12_percent_of_the_extent(crowd: Clip) -> None:
    person = crowd.pixels[0, :1]
    near = crowd.match(0, person + np.array([23.0, 0]))
    assert near.pairs == [(0, 0)]
    assert (near.expected, near.false_people) == (1, 0)
    far = crowd.match(0, person + np.array([25.0, 0]))
    assert (far.pairs, far.false_people) == ([], 0)
    nobody = crowd.match(0, person + np.array([51.0, 0]) - np.array([102.0, 0]))
    assert (nobody.pairs, nobody.false_people) == ([], 1)


def test_the_median_of_the_limbs_that_nobody_hides(crowd: Clip) -> None:
    person = np.array(crowd.pixels[0, :1])
    wrong = [k for k in LIMBS if JOINTS[k] != 'left_wrist'][:5]
    person[0, wrong] += 300
    person[0, JOINTS.index('left_wrist')] += 300
    assert crowd.match(0, person).pairs == [(0, 0)]
    person[0, LIMBS[:8]] += 300
    assert crowd.match(0, person).pairs == []


def test_hidden_people_need_not_be_found_and_are_not_false(crowd: Clip) -> None:
    both = crowd.match(0, crowd.pixels[0])
    assert both.pairs == [(0, 0)]
    assert (both.expected, both.false_people) == (1, 0)


def test_nearest_both_ways(crowd: Clip) -> None:
    person = crowd.pixels[0, 0]
    twice = crowd.match(0, np.stack([person + np.array([10.0, 0]), person + np.array([2.0, 0])]))
    assert twice.pairs == [(1, 0)]
    assert crowd.match(0, np.zeros((0, 13, 2))).expected == 1


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match='cannot read the ground truth'):
        Clip.load(tmp_path / 'none.mp4')
    np.savez(tmp_path / 'poor.npz', joint_names=np.array(['nose']))
    with pytest.raises(InputError, match='no ground truth of a clip'):
        Clip.load(tmp_path / 'poor.mp4')
