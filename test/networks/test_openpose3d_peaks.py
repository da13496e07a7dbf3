# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from pose3d_ros.networks.openpose3d_peaks import find_peaks


def test_plateaus_are_peaks() -> None:
    # Numbers so short that no rounding makes the four pixels of the top differ.
    maps = np.zeros((18, 16, 16), np.float32)
    maps[3, 7:9, 7:9] = 1
    assert len(find_peaks(maps).joint) == 0
    assert find_peaks(maps, published=False).joint.tolist() == [3]


@pytest.mark.parametrize('middle', [(8, 8), (8, 8.5), (8.5, 8), (8.1, 7.9)])
def test_each_blob_is_one_peak_wherever_cells_meet(middle: tuple[float, float]) -> None:
    y, x = np.mgrid[0:16, 0:16] + 0.5
    square = (x - middle[0]) ** 2 + (y - middle[1]) ** 2
    widths = np.linspace(1, 6, 180).reshape(10, 18, 1, 1)
    for maps in np.exp(-square / widths).astype(np.float32):
        peaks = find_peaks(maps, published=False)
        assert peaks.joint.tolist() == list(range(18))
        # A pixel may win over its equals, and the offset leads back to the middle.
        at = np.stack([peaks.x, peaks.y], axis=1) + peaks.offset
        assert np.abs((at + 0.5) / 4 - middle).max() < 0.1
