# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from pose3d_ros.estimators.lifter import codecs


def test_image_coordinates_are_half_widths_from_the_centre() -> None:
    corners = np.array([[0.0, 0.0], [640.0, 480.0], [320.0, 240.0]])
    found = codecs.by_image(corners, (640, 480))
    np.testing.assert_allclose(found, [[-1, -0.75], [1, 0.75], [0, 0]])


def test_mirroring_twice_changes_nothing() -> None:
    points = np.random.default_rng(0).normal(size=(4, 17, 3))
    np.testing.assert_allclose(codecs.mirrored(codecs.mirrored(points)), points)


def test_a_mirror_swaps_the_sides_of_the_convention() -> None:
    points = np.stack([np.arange(17.0), np.zeros(17)], axis=1)
    h36m, coco = (
        -codecs.mirrored(points, convention=name)[:, 0] for name in ('h36m_17', 'coco_17')
    )
    assert list(h36m[:7]) == [0, 4, 5, 6, 1, 2, 3]  # pelvis, right leg, left leg
    assert list(coco[:7]) == [0, 2, 1, 4, 3, 6, 5]  # nose, eyes, ears, shoulders


def test_a_person_is_moved_to_the_mean_place() -> None:
    points = np.array([[100.0, 100.0], [200.0, 300.0]])
    found = codecs.norm_pose(points, np.array([100.0, 100.0, 200.0, 300.0]))
    np.testing.assert_allclose(found.mean(axis=0), [528, 427])
    assert np.ptp(found[:, 1]) == 400
