# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from pose3d_ros.networks import openpose3d as parts
from pose3d_ros.networks.openpose3d_people import extract
from pose3d_ros.tools.openpose3d_scenes import draw


def test_positions_are_finer_than_the_published() -> None:
    errors = {True: [], False: []}
    for seed in range(4):
        scene = draw(4, (56, 32), seed=seed)
        true = scene.cells[:, parts.RIGHT_SLOTS].reshape(-1, 2)
        for published, found in errors.items():
            people = extract(scene.maps['heatmaps'], scene.maps['pafs'], published=published)
            cells = (people.xy.reshape(-1, 2) + 0.5) / 4
            cells = cells[~np.isnan(cells[:, 0])]
            apart = np.hypot(*(cells[:, None] - true[None]).transpose(2, 0, 1)).min(axis=1)
            found.append(np.mean(apart))
    assert np.mean(errors[False]) < 0.8 * np.mean(errors[True])


def test_as_many_people_as_are_drawn() -> None:
    for count in (0, 1, 5, 20):
        maps = draw(count, (57, 32)).maps
        people = extract(maps['heatmaps'], maps['pafs'], published=False)
        assert people.xy.shape == (count, 18, 2)
        assert np.isfinite(people.xy).mean() > 0.95 or not count


def test_who_lacks_a_neck_keeps_together_by_the_shoulders() -> None:
    maps = draw(2, (57, 32), hidden=(0,)).maps
    parted = extract(maps['heatmaps'], maps['pafs'])
    together = extract(maps['heatmaps'], maps['pafs'], published=False)
    assert np.isnan(parted.score[:, 1]).all()
    assert len(together.xy) == 2
    assert np.isfinite(together.xy[:, [1, 2, 5, 8, 11]]).all()
