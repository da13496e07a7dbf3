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


def costs(xyz: Array, spread: Array, sightings: Sequence[Sighting], shift: Array) -> Array:
    """(N,) how badly bodies fit the rays of sightings, in squared standard deviations; inf: not.

    xyz: (N, J, 3) metres in the fusion frame, one for each of N sightings. spread: (N, 3, 3)
    covariance of the places. shift: (N, 3) metres that they moved since the sighting's stamp.
    """
    directions = np.array([one.directions for one in sightings])
    depths = np.array([one.depth for one in sightings])
    ahead = np.array([one.ahead for one in sightings])
    depth_sigma = np.array([one.depth_sigma for one in sightings])
    away = xyz - (np.array([one.origin for one in sightings]) + shift)[:, None]
    depth = np.add.reduce(away * directions, axis=2)
    good = (depth > 0.1) & np.isfinite(depths)  # not NaN
    count = np.add.reduce(good, axis=1)
    across = away - depth[..., None] * directions
    place = median(across, good[..., None])
    apart = across - place[:, None]
    shape = median(np.sqrt(np.add.reduce(apart * apart, axis=2)), good) / _SHAPE_M
    side = np.eye(3) - ahead[:, :, None] * ahead[:, None]
    total = side @ spread @ side + _PLACE_M**2 * np.eye(3)
    off = np.add.reduce(place * np.linalg.solve(total, place[..., None])[..., 0], axis=1)
    middle = median(depth, good)
    along = np.einsum('ni,nij,nj->n', ahead, spread, ahead) / middle**2
    with np.errstate(invalid='ignore', divide='ignore'):
        ratio = np.log(middle / median(depths, good))
    total_cost = off + shape**2 + ratio**2 / (depth_sigma**2 + _SIZE**2 + along)
    return np.where((count >= _MIN_JOINTS) & np.isfinite(total_cost), total_cost, np.inf)


def median(values: Array, good: Array) -> Array:
    """(P, ...) upper median over the second axis of (P, J, ...) values that are good; NaN: none."""
    ordered = np.sort(np.where(good, values, np.inf), axis=1)
    rank = np.add.reduce(good, axis=1, keepdims=True) // 2
    rank = np.broadcast_to(rank, (*ordered.shape[:1], 1, *ordered.shape[2:]))
    picked = np.take_along_axis(ordered, np.minimum(rank, ordered.shape[1] - 1), axis=1)[:, 0]
    return np.asarray(np.where(np.isfinite(picked), picked, np.nan))


def assign(
    people: Sequence[Person], cameras: Sequence[Sequence[Sighting]], stamp_ns: int
) -> list[dict[int, Person]]:
    """For each camera, index of a sighting -> person; identity over time first."""
    sightings = [one for camera in cameras for one in camera]
    if not people or not sightings:
        return [{} for _ in cameras]
    many = len(sightings)
    xyz = np.array([person.ahead(stamp_ns) for person in people])
    spread = np.array([person.spread for person in people])
    speed = np.array([person.speed for person in people])
    dt = np.array([(stamp_ns - one.stamp_ns) * 1e-9 for one in sightings])
    table = costs(
        np.concatenate([xyz] * many),
        np.concatenate([spread] * many),
        [one for one in sightings for _ in people],
        (dt[:, None, None] * speed).reshape(-1, 3),
    ).reshape(many, len(people))
    for row, one in enumerate(sightings):
        for column, person in enumerate(people):
            if one.track_id and person.tracks.get(one.source) == one.track_id:
                table[row, column] *= _SAME_TRACK
    table[~(table < GATE)] = _FAR
    out, first = [], 0
    for camera in cameras:
        part = table[first : first + len(camera)]
        rows, columns = linear_sum_assignment(part)
        out.append({int(r): people[c] for r, c in zip(rows, columns) if part[r, c] < GATE})
        first += len(camera)
    return out


def pair_costs(pairs: Sequence[tuple[Sighting, Sighting]], stamp_ns: int) -> Array:
    """(N,) the same of sightings of different cameras: each as a body in the rays of the other."""
    if not pairs:
        return np.zeros(0)
    bodies = [a for a, _ in pairs] + [b for _, b in pairs]
    others = [b for _, b in pairs] + [a for a, _ in pairs]
    dt = [np.array([(stamp_ns - one.stamp_ns) * 1e-9 for one in row]) for row in (bodies, others)]
    velocity = [np.array([one.velocity for one in row]) for row in (bodies, others)]
    xyz = np.array([one.points for one in bodies]) + (dt[0][:, None] * velocity[0])[:, None]
    spread = np.array([one.spread for one in bodies])
    both = costs(xyz, spread, others, dt[1][:, None] * velocity[1]).reshape(2, -1)
    return np.asarray(both.mean(axis=0))


def groups(sightings: Sequence[Sighting], stamp_ns: int) -> list[list[Sighting]]:
    """Sightings of the same people, at most one of each camera, best first.

    Groups join while every pair across them fits: who is who agrees over all cameras, not only
    between two.
    """
    count = len(sightings)
    table = np.full((count, count), np.inf)
    index = [
        (i, j) for i, j in itertools.combinations(range(count), 2)
        if sightings[i].source != sightings[j].source
    ]  # fmt: skip
    values = pair_costs([(sightings[i], sightings[j]) for i, j in index], stamp_ns)
    for (i, j), value in zip(index, values):
        table[i, j] = table[j, i] = value
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
