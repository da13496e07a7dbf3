# SPDX-License-Identifier: Apache-2.0
"""Who is who between cameras."""

from __future__ import annotations

import numpy as np

from pose3d_ros.fusion.matching import GATE, groups, median, pair_costs
from pose3d_ros.fusion.sighting import sightings_of
from pose3d_ros.tools.rig import SKELETON, Detector, around, walkers


def sightings(people: int, cameras: int, stamp_s: float, seed: int = 0):
    rng = np.random.default_rng(seed)
    world = walkers(people, np.array([stamp_s]))[0]
    out, true = [], []
    for k, placed in enumerate(around(cameras)):
        poses = Detector(placed, people, rng).people(world, stamp_s)
        view = placed.view(str(k), 0, poses)
        for one in sightings_of(view, SKELETON):
            seen = placed.camera.project(world.reshape(-1, 3) @ placed.R.T + placed.t)
            apart = seen.reshape(people, -1, 2) - one.pose.pixels
            true.append(int(np.argmin(np.nanmean(np.abs(apart), axis=(1, 2)))))
            out.append(one)
    return out, true


def test_people_of_three_cameras_are_grouped_without_any_history() -> None:
    right = total = 0
    for k in range(20):
        seen, true = sightings(4, 3, 0.7 * k, seed=k)
        names = dict(zip(map(id, seen), true))
        for group in groups(seen, 0):
            members = [names[id(one)] for one in group]
            right += max(members.count(name) for name in members)
            assert len({one.source for one in group}) == len(group)
        total += len(seen)
    assert right >= 0.99 * total


def test_the_same_person_fits_and_others_do_not() -> None:
    seen, true = sightings(2, 2, 1.0)
    pairs = [(a, b) for a in range(2) for b in range(2, 4)]
    values = pair_costs([(seen[a], seen[b]) for a, b in pairs], 0)
    for (a, b), value in zip(pairs, values):
        assert (value < GATE) == (true[a] == true[b])


def test_median_is_of_what_is_good() -> None:
    values = np.array([[3.0, 1, 9, np.nan], [np.nan] * 4])
    middle = median(values, np.isfinite(values))
    assert middle[0] == 3.0
    assert np.isnan(middle[1])
