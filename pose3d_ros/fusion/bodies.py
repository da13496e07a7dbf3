# SPDX-License-Identifier: Apache-2.0
"""The joints of people by all their sightings: of everybody at once, since calls cost most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..types import Array
from .matching import median
from .sighting import Sighting
from .triangulation import Points, Rays, intersections, misses, solve

_ACCELERATION = 5.0  # m/s² that people depart from constant velocity by
_ASTRAY_M = 0.2  # median miss of a sighting that is of somebody else
_SIZES = 0.4, 2.5  # a body that is misjudged by more is somebody else's
_MIN_JOINTS = 3


@dataclass(frozen=True, eq=False)
class Body:
    """A person at one time. sightings: C that are of this person. rays: (C, J), moved to that
    time. points: None without sightings.
    """

    sightings: list[Sighting]
    rays: Rays
    points: Points | None


def bodies_of(
    groups: Sequence[Sequence[Sighting]], motions: Sequence[Array], stamp_ns: int
) -> list[Body]:
    """A body for each group of sightings of one person, at most one of each camera.

    motions: (J, 3) m/s of each person's joints. Sightings that turn out to be of somebody else are
    left out.
    """
    kept = [list(group) for group in groups]
    while True:
        bodies, medians = _solved(kept, motions, stamp_ns)
        again = False
        for group, misses_of in zip(kept, medians):
            if len(group) > 1:
                worst = int(np.argmax(misses_of))
                if not misses_of[worst] < _ASTRAY_M:
                    group.pop(worst)
                    again = True
        if not again:
            return bodies


def _solved(
    groups: list[list[Sighting]], motions: Sequence[Array], stamp_ns: int
) -> tuple[list[Body], list[Array]]:
    """Bodies, and of each the median miss of its sightings in metres."""
    most = max((len(group) for group in groups), default=0)
    if not most:
        none = np.zeros((0, 0, 3))
        return [Body([], Rays(none, none, none[..., 0]), None) for _ in groups], [
            np.zeros(0) for _ in groups
        ]
    people, joints = len(groups), len(motions[0])
    rows = (most, people, joints)
    origins, directions = np.zeros((*rows, 3)), np.full((*rows, 3), np.nan)
    sigma, along, relative = np.ones(rows), np.full(rows, np.nan), np.ones(rows)
    common = np.ones(rows[:2])
    for column, (group, motion) in enumerate(zip(groups, motions)):
        for row, one in enumerate(group):
            dt = (stamp_ns - one.stamp_ns) * 1e-9
            origins[row, column] = one.origin + dt * motion
            directions[row, column] = one.directions
            sigma[row, column] = np.hypot(one.sigma, _ACCELERATION / 2 * dt**2)
            along[row, column] = one.depth
            relative[row, column] = one.relative_sigma
            common[row, column] = one.depth_sigma * one.distance
    flat = (most, people * joints)
    rays = Rays(origins.reshape(*flat, 3), directions.reshape(*flat, 3), sigma.reshape(flat))
    start = intersections(rays)
    # A body whose size is misjudged is right after scaling about its camera: so much is its
    # distance off, by the joints that others see too.
    depth = np.add.reduce((start - rays.origins) * rays.directions, axis=-1).reshape(rows)
    with np.errstate(invalid='ignore', divide='ignore'):
        ratio = (depth / along).reshape(-1, joints)
    good = ratio > 0  # not NaN
    scale = median(ratio, good).reshape(rows[:2])
    fits = (scale > _SIZES[0]) & (scale < _SIZES[1])
    fits &= good.sum(axis=1).reshape(rows[:2]) >= _MIN_JOINTS
    along *= np.where(fits, scale, 1.0)[..., None]
    relative = np.where(fits[..., None], relative, np.hypot(relative, common[..., None]))
    solved = solve(rays, start, along.reshape(flat), relative.reshape(flat))
    errors = misses(solved.xyz, rays).reshape(rows)
    medians = median(errors.reshape(-1, joints), ~np.isnan(errors.reshape(-1, joints)))
    medians = np.where(np.isnan(medians), np.inf, medians).reshape(rows[:2])
    xyz, weights = solved.xyz.reshape(people, joints, 3), solved.weights.reshape(rows)
    covariance = solved.covariance.reshape(people, joints, 3, 3)
    bodies = []
    for column, group in enumerate(groups):
        own = slice(len(group))
        bodies.append(
            Body(
                list(group),
                Rays(origins[own, column], directions[own, column], sigma[own, column]),
                Points(xyz[column], covariance[column], weights[own, column]) if group else None,
            )
        )
    return bodies, [medians[: len(group), k] for k, group in enumerate(groups)]
