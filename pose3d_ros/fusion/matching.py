# SPDX-License-Identifier: Apache-2.0
"""Who is who: people of one camera against people who are followed, and against each other."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..types import Array
from .person import Person
from .sighting import Sighting

GATE = 25.0
"""Cost over which two are not the same person."""
_FAR = 1e6
_PLACE_M, _SHAPE_M = 0.08, 0.06  # metres that the same person may be off as a body, and by joint
_SAME_TRACK = 0.25  # of the cost of whom the camera itself says that they are the same
_SIZE = 0.08  # relative: how much a camera may misjudge a size beyond what it states
_MIN_JOINTS = 4


def costs(xyz: Array, spread: Array, sighting: Sighting, shift: Array) -> Array:
    """(P,) how badly bodies fit the rays of a sighting, in squared standard deviations; inf: not.

    xyz: (P, J, 3) metres in the fusion frame. spread: (P, 3, 3) covariance of the places. shift:
    (P, 3) metres that they moved since the sighting's stamp.
    """
    away = xyz - (sighting.origin + shift)[:, None]
    depth = np.add.reduce(away * sighting.directions, axis=2)
    good = np.isfinite(depth) & (depth > 0.1) & sighting.usable
    count = np.add.reduce(good, axis=1)
    across = away - depth[..., None] * sighting.directions
    place = median(across, good[..., None])
    apart = across - place[:, None]
    shape = median(np.sqrt(np.add.reduce(apart * apart, axis=2)), good) / _SHAPE_M
    ahead = sighting.ahead
    side = np.eye(3) - np.outer(ahead, ahead)
    total = side @ spread @ side + _PLACE_M**2 * np.eye(3)
    off = np.add.reduce(place * np.linalg.solve(total, place[..., None])[..., 0], axis=1)
    middle = median(depth, good)
    own = median(np.broadcast_to(sighting.depth, depth.shape), good)
    along = ahead @ spread @ ahead / middle**2
    with np.errstate(invalid='ignore', divide='ignore'):
        ratio = np.log(middle / own)
    total_cost = off + shape**2 + ratio**2 / (sighting.depth_sigma**2 + _SIZE**2 + along)
    return np.where((count >= _MIN_JOINTS) & np.isfinite(total_cost), total_cost, np.inf)


def median(values: Array, good: Array) -> Array:
    """(P, ...) upper median over the second axis of (P, J, ...) values that are good; NaN: none."""
    ordered = np.sort(np.where(good, values, np.inf), axis=1)
    rank = np.add.reduce(good, axis=1, keepdims=True) // 2
    rank = np.broadcast_to(rank, (*ordered.shape[:1], 1, *ordered.shape[2:]))
    picked = np.take_along_axis(ordered, np.minimum(rank, ordered.shape[1] - 1), axis=1)[:, 0]
    return np.asarray(np.where(np.isfinite(picked), picked, np.nan))


def assign(
    people: Sequence[Person], sightings: Sequence[Sighting], stamp_ns: int
) -> dict[int, Person]:
    """Index of a sighting -> person, for the sightings of one camera; identity over time first."""
    if not people or not sightings:
        return {}
    table = np.full((len(sightings), len(people)), _FAR)
    xyz = np.array([person.ahead(stamp_ns) for person in people])
    spread = np.array([person.spread for person in people])
    speed = np.array([person.speed for person in people])
    for row, one in enumerate(sightings):
        values = costs(xyz, spread, one, (stamp_ns - one.stamp_ns) * 1e-9 * speed)
        for column, person in enumerate(people):
            if one.track_id and person.tracks.get(one.source) == one.track_id:
                values[column] *= _SAME_TRACK
        table[row] = np.where(values < GATE, values, _FAR)
    rows, columns = linear_sum_assignment(table)
    return {int(r): people[c] for r, c in zip(rows, columns) if table[r, c] < GATE}


def pair_cost(a: Sighting, b: Sighting, stamp_ns: int) -> float:
    """The same of two sightings of different cameras: each as a body in the rays of the other."""
    total = 0.0
    for one, other in ((a, b), (b, a)):
        dt, dt_other = ((stamp_ns - each.stamp_ns) * 1e-9 for each in (one, other))
        body, shift = one.points + dt * one.velocity, dt_other * other.velocity
        total += float(costs(body[None], one.spread[None], other, shift[None])[0])
    return total / 2


def groups(sightings: Sequence[Sighting], stamp_ns: int) -> list[list[Sighting]]:
    """Sightings of the same people, at most one of each camera, best first.

    Groups join while every pair across them fits: who is who agrees over all cameras, not only
    between two.
    """
    count = len(sightings)
    table = np.full((count, count), np.inf)
    for i, j in itertools.combinations(range(count), 2):
        if sightings[i].source != sightings[j].source:
            table[i, j] = table[j, i] = pair_cost(sightings[i], sightings[j], stamp_ns)
    sets = [[k] for k in range(count)]
    while True:
        best, choice = GATE, None
        for a, b in itertools.combinations(range(len(sets)), 2):
            pairs = table[np.ix_(sets[a], sets[b])]
            if pairs.max() < GATE and pairs.mean() < best:
                best, choice = float(pairs.mean()), (a, b)
        if choice is None:
            return [[sightings[k] for k in members] for members in sets]
        a, b = choice
        sets[a] += sets.pop(b)
