# SPDX-License-Identifier: Apache-2.0
"""Views of several cameras in, one set of people at a common time out."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from ..skeleton import Skeleton
from ..types import Array, JointStatus, Pose3D, PositionSource, TrackingState
from .bodies import Body, bodies_of
from .corrections import Corrections
from .health import CameraHealth, Health
from .matching import assign, groups
from .person import Person
from .sighting import Sighting, View, sightings_of
from .triangulation import Rays, intersections, misses

S_NS = 1_000_000_000
_KEEP_NS = S_NS // 2
_STALE_NS = S_NS // 5  # a view further from the common time says nothing of it
_MAX_MISSED_NS = S_NS
_SOLVE_NS = S_NS // 5
_MERGE_FRAMES = 5
_LOOK_FRAMES = 6


@dataclass(frozen=True)
class FusionResult:
    """The people at one time. cameras: names; bit k of Pose3D.cameras is the k-th. ended: ids."""

    stamp_ns: int
    people: list[Pose3D]
    cameras: tuple[str, ...]
    ended: tuple[int, ...] = ()


class Fuser:
    """Keeps people over time. skeleton: of all results. cameras: names, in the order of bits."""

    def __init__(self, skeleton: Skeleton, cameras: Sequence[str]) -> None:
        self.skeleton, self.cameras = skeleton, tuple(cameras)
        self.corrections = Corrections()
        self.health = Health(self.cameras)
        self.people: list[Person] = []
        self._ids = itertools.count(1)
        self._views: dict[str, deque[tuple[int, list[Sighting]]]] = {}
        for name in cameras:
            self.corrections.add_camera(name)
            self._views[name] = deque()
        self._solved_ns: int | None = None
        self._twins: dict[tuple[int, int], int] = {}

    def add(self, view: View) -> None:
        """Take in a view, newer than the last one of its camera; InputError for broken people."""
        sightings = sightings_of(view, self.skeleton)
        views = self._views[view.source]
        if views and view.stamp_ns < views[-1][0]:
            views.clear()
        views.append((view.stamp_ns, sightings))
        while view.stamp_ns - views[0][0] > _KEEP_NS:
            views.popleft()
        self.health.received(view)

    def reset(self) -> tuple[int, ...]:
        """Forget people and views; the ids that end."""
        ended = tuple(person.id for person in self.people)
        self.people = []
        for views in self._views.values():
            views.clear()
        return ended

    def fuse(self, stamp_ns: int) -> FusionResult:
        """The people at that time, which is later than the last one."""
        by_camera = {name: self._sightings(name, stamp_ns) for name in self.cameras}
        members: dict[int, list[Sighting]] = {person.id: [] for person in self.people}
        unmatched: list[Sighting] = []
        chosen = assign(self.people, list(by_camera.values()), stamp_ns)
        for sightings, choice in zip(by_camera.values(), chosen):
            for k, one in enumerate(sightings):
                (members[choice[k].id] if k in choice else unmatched).append(one)
        self.corrections.forget(stamp_ns)
        motions = [np.nan_to_num(person.motion) for person in self.people]
        bodies = bodies_of(list(members.values()), motions, stamp_ns)
        for person, sightings, body, motion in zip(self.people, members.values(), bodies, motions):
            self._measured(person, body, motion, stamp_ns)
            astray = [one for one in sightings if one not in body.sightings]
            for one in astray:
                person.tracks.pop(one.source, None)
            unmatched += astray
        new = groups(unmatched, stamp_ns)
        speeds = [np.mean([one.velocity for one in group], axis=0) for group in new]
        joints = len(self.skeleton)
        moving = [np.tile(speed, (joints, 1)) for speed in speeds]
        for speed, body in zip(speeds, bodies_of(new, moving, stamp_ns)):
            if body.points is not None:
                person = Person(next(self._ids), body.points, speed, stamp_ns)
                self._measured(person, body, np.zeros((joints, 3)), stamp_ns)
                self.people.append(person)
        self._join_twins(stamp_ns)
        ended = tuple(p.id for p in self.people if stamp_ns - p.last_ns > _MAX_MISSED_NS)
        self.people = [person for person in self.people if person.id not in ended]
        if self._solved_ns is None or stamp_ns - self._solved_ns > _SOLVE_NS:
            self.corrections.solve()
            self._solved_ns = stamp_ns
        for name, sightings in by_camera.items():
            shared = [p for p in self.people if name in p.sources and len(p.sources) > 1]
            self.health.matched(name, len(sightings), len(shared))
        people = [self._pose(person, stamp_ns) for person in self.people if person.hits]
        return FusionResult(stamp_ns, people, self.cameras, ended)

    def states(self, now_ns: int) -> list[CameraHealth]:
        """How each camera does, for diagnostics. now_ns: by the clock of received views."""
        return self.health.states(now_ns, self.corrections)

    def _sightings(self, name: str, stamp_ns: int) -> list[Sighting]:
        """What the view of a camera nearest to a time holds, its known errors taken away."""
        off = self.corrections.applied.get(name)
        late_ns = 0 if off is None else round(off.clock_s * 1e9)
        best = min(self._views[name], key=lambda v: abs(v[0] - late_ns - stamp_ns), default=None)
        if best is None or abs(best[0] - late_ns - stamp_ns) > _STALE_NS:
            return []
        if off is None:
            return best[1]
        turn = Rotation.from_rotvec(off.turn).as_matrix()
        return [
            Sighting(
                source=name,
                track_id=one.track_id,
                stamp_ns=one.stamp_ns - late_ns,
                origin=one.origin,
                directions=one.directions @ turn.T,
                sigma=one.sigma,
                depth=one.depth,
                depth_sigma=one.depth_sigma,
                relative_sigma=one.relative_sigma,
                velocity=turn @ one.velocity,
                pose=one.pose,
            )
            for one in best[1]
        ]

    def _measured(self, person: Person, body: Body, motion: Array, stamp_ns: int) -> None:
        """Move a person on, by what was measured."""
        points, rays = body.points, body.rays
        person.update(points, stamp_ns)
        person.sources = [one.source for one in body.sightings]
        person.takes_part = (
            np.zeros((0, len(motion)), bool) if points is None else points.takes_part
        )
        for one in body.sightings:
            person.tracks[one.source] = one.track_id
        # One person in so many frames is enough: what is looked for changes within seconds.
        due = (person.hits + person.id) % _LOOK_FRAMES == 0
        if points is not None and len(person.sources) > 1 and person.hits > 5 and due:
            depth = np.add.reduce((points.xyz - rays.origins) * rays.directions, axis=-1)
            self.corrections.add(person.sources, rays, depth, motion)
            for row, one in enumerate(body.sightings):
                self._judge(row, one, rays)

    def _judge(self, row: int, one: Sighting, rays: Rays) -> None:
        """Reprojection error of a camera, against the joints as the others have them."""
        others = [k for k in range(len(rays.sigma)) if k != row]
        rest = Rays(rays.origins[others], rays.directions[others], rays.sigma[others])
        if len(others) > 1:
            xyz = intersections(rest)
            miss = misses(xyz, rays)[row] / np.maximum(one.depth, 0.1)
            miss = miss[np.isfinite(miss)]
            if len(miss):
                self.health.missed(one.source, float(np.sort(miss)[len(miss) // 2]))

    def _join_twins(self, stamp_ns: int) -> None:
        """Make one of two people whom no camera sees at once and who stay in one place."""
        twins: dict[tuple[int, int], int] = {}
        for a, b in itertools.combinations(self.people, 2):
            if not a.sources or not b.sources or set(a.sources) & set(b.sources):
                continue
            apart = a.xyz - b.xyz
            good = np.isfinite(apart[:, 0])
            if good.sum() < 4:
                continue
            middle = np.median(apart[good], axis=0)
            spread = a.spread + b.spread + 0.1**2 * np.eye(3)
            if float(middle @ np.linalg.solve(spread, middle)) < 9.0:
                twins[a.id, b.id] = self._twins.get((a.id, b.id), 0) + 1
        self._twins = twins
        for (_, young), frames in twins.items():
            if frames >= _MERGE_FRAMES:
                # Its sightings find the older one by themselves when nobody else claims them.
                self.people = [person for person in self.people if person.id != young]

    def _pose(self, person: Person, stamp_ns: int) -> Pose3D:
        seen_now = person.last_ns == stamp_ns
        current = person.current(stamp_ns) & np.isfinite(person.xyz[:, 0])
        measured = current & (person.seen_ns == stamp_ns)
        status = np.where(
            measured,
            JointStatus.MEASURED,
            np.where(current, JointStatus.PREDICTED, JointStatus.INVALID),
        )
        bits = np.zeros(len(current), dtype=np.uint32)
        for row, source in enumerate(person.sources):
            bit = np.uint32(1 << self.cameras.index(source))
            bits |= np.where(person.takes_part[row], bit, np.uint32(0)).astype(np.uint32)
        state = TrackingState.TRACKED if person.hits > 1 else TrackingState.NEW
        root = list(self.skeleton.root)
        return Pose3D(
            skeleton=self.skeleton,
            xyz=np.where(current[:, None], person.xyz, np.nan),
            confidence=np.where(measured, 1.0, np.where(current, 0.3, np.nan)),
            pixels=np.full((len(current), 2), np.nan),
            status=status.astype(np.uint8),
            covariance=np.where(current[:, None, None], person.covariance, np.nan),
            position_source=PositionSource.CAMERAS
            if len(person.sources) > 1
            else PositionSource.METRIC,
            placed_by='fusion',
            score=1.0,
            track_id=person.id,
            tracking_state=state if seen_now else TrackingState.PREDICTED,
            velocity=person.motion[root].mean(axis=0),
            cameras=bits,
        )
