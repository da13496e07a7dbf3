# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from pose3d_ros.people.appearance import appearance, difference
from pose3d_ros.skeleton import SKELETONS

COCO = SKELETONS['coco_17']
PIXELS = np.zeros((17, 2))
PIXELS[[5, 6, 11, 12, 13, 14]] = (70, 20), (30, 20), (60, 60), (40, 60), (60, 110), (40, 110)


def test_trunk_and_thighs_have_their_own_colours() -> None:
    image = np.zeros((120, 100, 3), np.uint8)
    image[:60], image[60:] = (255, 0, 0), (0, 0, 255)
    look = appearance(image, PIXELS, COCO)
    assert look is not None
    np.testing.assert_allclose(look, [1, 0, 0, 0, 0, 1])


def test_unseen_people_have_none() -> None:
    image = np.zeros((120, 100, 3), np.uint8)
    assert appearance(image, PIXELS + 500, COCO) is None
    assert appearance(image, np.full((17, 2), np.nan), COCO) is None


def test_difference() -> None:
    assert difference(None, np.ones(6)) == 0.0
    assert difference(np.zeros(6), np.ones(6)) == 1.0
