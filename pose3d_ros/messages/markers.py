# SPDX-License-Identifier: Apache-2.0
"""People as RViz markers, in the colours of the debug image.

Namespaces: `joints` and `bones`; `text`; `velocity`, an arrow to where the person will be in a
second; `uncertainty`, ellipsoids of one standard deviation; `floor`, a ring around the place where
each person stands; `frustum`, the camera's field of view.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby

import numpy as np
from numpy.typing import ArrayLike

from ..camera import Camera
from ..drawing.style import CONFIDENT, LEFT, PALETTE, RIGHT, UNTRACKED, Colour, bones, label, neck
from ..settings.node import NodeConfig
from ..skeleton import Skeleton
from ..types import Array, JointStatus, Pose3D
from .body import quaternion_of
from .marker_cdr import ARROW, LINE_LIST, SPHERE, SPHERE_LIST, MarkerArrayWriter, check_definition
from .types import Types

_PALE = 0.6  # share of grey in the colour of what the image does not show
_GREY = 0.45
_TEXT_ABOVE_M = 0.25
_FRUSTUM_M = 0.2
_SLOW_M_S = 0.15  # no arrow for what may be noise
_RING_M, _CORNERS = 0.25, 16
_ASIDE_M, _AHEAD_M = 1.2, 3.0  # where people without an absolute position stand
_LONGEST_GAP_NS = 5_000_000_000


def _rgb(colour: Colour) -> Array:
    return np.array(colour[::-1], np.float32) / 255


def _table() -> Array:
    """(ids + 1, 3, 2, 4) r, g, b, a by palette entry, side (mid, left, right) and paleness."""
    table = np.ones((len(PALETTE) + 1, 3, 2, 4), np.float32)
    for k, colour in enumerate((*PALETTE, UNTRACKED)):
        for side, used in enumerate((colour, LEFT, RIGHT)):
            table[k, side, 0, :3] = _rgb(used)
            table[k, side, 1, :3] = (1 - _PALE) * _rgb(used) + _PALE * _GREY
    return table


_COLOURS = _table()
_SOLID = _COLOURS[:, 0, 0]
_TEXTS = [colour.tobytes() for colour in _SOLID]
_CLOUD = _SOLID * np.array([1, 1, 1, 0.25], np.float32)
_GREY_LINES = (0.75, 0.75, 0.75, 1.0)


@dataclass(frozen=True, eq=False)
class MarkerFrame:
    """Where and when markers are drawn.

    rotation (3, 3), translation (3,) m: x_frame = R x_camera + t. up: (3,) unit vector in the
    camera's optical frame. camera: its frustum is drawn. newest: viewers take the newest transform
    of the frame instead of the one at the stamp.
    """

    stamp_ns: int
    frame_id: str
    rotation: Array = field(default_factory=lambda: np.eye(3))
    translation: Array = field(default_factory=lambda: np.zeros(3))
    up: Array = field(default_factory=lambda: np.array([0.0, -1.0, 0.0]))
    camera: Camera | None = None
    newest: bool = False


class MarkerBuilder:
    """Markers of one camera. Remembers what it has shown, to delete what is gone."""

    def __init__(self, types: Types) -> None:
        """Raises ConfigError if Marker is not what is written here."""
        check_definition(types)
        self._shown: set[tuple[str, int]] = set()
        self._last_ns: int | None = None

    def array(self, poses: Sequence[Pose3D], frame: MarkerFrame, config: NodeConfig) -> bytes:
        """Serialised MarkerArray: everybody in poses, and a DELETE for each marker that is gone.

        poses: in the camera's optical frame.
        """
        drawing = _Drawing(frame, config, self._lifetime_ns(frame.stamp_ns, config))
        numbered = [
            # People without ids get negative ones: only their order tells them apart.
            (int(pose.track_id) & 0x7FFFFFFF if pose.track_id else -1 - index, pose, place)
            for index, (pose, place) in enumerate(zip(poses, _places(poses)))
        ]
        groups = [
            _People(list(group), frame)
            for _, group in groupby(numbered, key=lambda item: id(item[1].skeleton))
        ]
        groups = [people for people in groups if people.ids]
        for people in groups:
            drawing.people(people)
        if frame.camera is not None:
            drawing.frustum(frame.camera)
        for people in groups:
            drawing.texts(people)
        for ns, marker_id in sorted(self._shown - drawing.shown):
            drawing.writer.delete(ns, marker_id)
        self._shown = drawing.shown
        return drawing.writer.finish()

    def clear(self, *, stamp_ns: int, frame_id: str) -> bytes:
        """Serialised MarkerArray that removes everything, for the end."""
        self._shown = set()
        writer = MarkerArrayWriter(stamp_ns, frame_id)
        writer.delete_all()
        return writer.finish()

    def _lifetime_ns(self, stamp_ns: int, config: NodeConfig) -> int:
        """As set, but at least three frames, so that nobody flickers at a low rate; 0: for ever."""
        gap = 0 if self._last_ns is None else stamp_ns - self._last_ns
        self._last_ns = stamp_ns
        lifetime = round(config.marker_lifetime_s * 1e9)
        return max(lifetime, 3 * gap) if lifetime and 0 < gap < _LONGEST_GAP_NS else lifetime


class _People:
    """People who share a skeleton, in the markers' frame; those without any joint are left out.

    ids (P), poses (P), entries (P,) of _COLOURS, xyz (P, J, 3) m, finite and pale (P, J), roots
    (P, 3), places (P, 3) where they stand, tops (P, 3), distances (P,) from the camera, NaN if
    they have no absolute position.
    """

    def __init__(self, group: list[tuple[int, Pose3D, Array | None]], frame: MarkerFrame) -> None:
        local = np.stack([pose.xyz for _, pose, _ in group])
        finite = np.isfinite(local).all(axis=2)
        if not finite.all():
            anything = finite.any(axis=1)
            group = [item for item, ok in zip(group, anything.tolist()) if ok]
            local, finite = local[anything], finite[anything]
        self.ids = [marker_id for marker_id, _, _ in group]
        self.poses = poses = [pose for _, pose, _ in group]
        if not poses:
            return
        self.finite = finite
        self.skeleton = skeleton = poses[0].skeleton
        root = list(skeleton.root)
        self.distances = _norms(local[:, root].mean(axis=1))
        for k, (_, _, place) in enumerate(group):
            if place is not None:
                local[k] += place
                self.distances[k] = math.nan
        self.xyz = local @ frame.rotation.T + frame.translation
        self.pale = np.stack([pose.status for pose in poses]) != JointStatus.MEASURED
        self.pale |= np.stack([pose.confidence for pose in poses]) < CONFIDENT
        number = len(PALETTE)
        self.entries = np.array(
            [(p.track_id - 1) % number if p.track_id > 0 else number for p in poses]
        )
        self.roots = self.xyz[:, root].mean(axis=1)
        self._stand(frame.rotation @ frame.up)

    def _stand(self, up: Array) -> None:
        heights = self.xyz @ up
        if not self.finite.all():
            heights = np.where(self.finite, heights, np.nan)
        low, high = np.fmin.reduce(heights, axis=1), np.fmax.reduce(heights, axis=1)
        middles = self.roots
        lost = np.isnan(middles @ up)
        if lost.any():
            middles = middles.copy()
            for k in np.flatnonzero(lost):
                middles[k] = self.xyz[k][self.finite[k]].mean(axis=0)
        heads, lacking = middles, np.ones(len(middles), bool)
        for joint in _heads(self.skeleton):
            heads = np.where((lacking & self.finite[:, joint])[:, None], self.xyz[:, joint], heads)
            lacking = lacking & ~self.finite[:, joint]
            if not lacking.any():
                break
        self.tops = heads + (high - heads @ up)[:, None] * up
        self.places = middles + (low - middles @ up)[:, None] * up


class _Drawing:
    """Writes the markers of one array; texts last."""

    def __init__(self, frame: MarkerFrame, config: NodeConfig, lifetime_ns: int) -> None:
        self.writer = MarkerArrayWriter(
            frame.stamp_ns, frame.frame_id, lifetime_ns=lifetime_ns, frame_locked=frame.newest
        )
        self.shown: set[tuple[str, int]] = set()
        self._frame, self._config = frame, config
        self._scale = config.marker_scale_m
        self._up = frame.rotation @ frame.up

    def people(self, people: _People) -> None:
        """Everything of people who share a skeleton, but the text."""
        self._joints(people)
        self._bones(people)
        self._velocities(people)
        self._floor(people)
        if self._config.marker_uncertainty != 'none':
            self._uncertainties(people)

    def frustum(self, camera: Camera) -> None:
        """Edges of what the camera sees, its distortion left out."""
        lines = _frustum(np.asarray(camera.K, float).tobytes(), camera.size)
        points = lines @ self._frame.rotation.T + self._frame.translation
        self._lines('frustum', self._scale / 8, points)

    def texts(self, people: _People) -> None:
        """What is written above each person."""
        parts = self._config.marker_text_parts
        if not parts:
            return
        height = 4 * self._scale
        above = (people.tops + _TEXT_ABOVE_M * self._up).tolist()
        for marker_id, pose, distance, entry, at in zip(
            people.ids, people.poses, people.distances.tolist(), people.entries.tolist(), above
        ):
            text = label(
                parts,
                track_id=pose.track_id,
                distance_m=distance,
                height_m=pose.height_m,
                score=pose.score,
            )
            if not pose.absolute:
                text = f'{text}  relative'.lstrip()
            self.shown.add(('text', marker_id))
            self.writer.add_text(
                'text', marker_id, text or 'person', height=height, color=_TEXTS[entry], at=at
            )

    def _add(self, marker_type: int, ns: str, ids: Sequence[int], **fields: ArrayLike) -> None:
        self.shown.update((ns, marker_id) for marker_id in ids)
        self.writer.add(marker_type, ns, ids, **fields)  # type: ignore[arg-type]

    def _lines(self, ns: str, width: float, points: Array, colours: Array | None = None) -> None:
        """A marker that is nobody's; a second one of that name gets the next number."""
        number = sum(name == ns for name, _ in self.shown)
        scale = (width, 0.0, 0.0)
        fields = {} if colours is None else {'colors': colours[None]}
        self._add(
            LINE_LIST, ns, [number], scale=scale, color=_GREY_LINES, points=points[None], **fields
        )

    def _joints(self, people: _People) -> None:
        colours = _COLOURS[people.entries[:, None], 0, people.pale.astype(np.intp)]
        scale = [self._scale] * 3
        self._parts(SPHERE_LIST, 'joints', people, scale, people.xyz, colours, people.finite)

    def _bones(self, people: _People) -> None:
        ends, sides, joined = _bones(people.skeleton)
        xyz, finite, pale = people.xyz, people.finite, people.pale
        if joined is not None:
            xyz = np.concatenate([xyz, xyz[:, joined].mean(axis=2)], axis=1)
            finite = np.concatenate([finite, finite[:, joined].all(axis=2)], axis=1)
            pale = np.concatenate([pale, pale[:, joined].any(axis=2)], axis=1)
        # By the points of the lines: each end has the colour of its bone.
        start, end = ends.ravel(), ends[:, ::-1].ravel()
        shade = (pale[:, start] | pale[:, end]).astype(np.intp)
        colours = _COLOURS[people.entries[:, None], sides, shade]
        drawn = finite[:, start] & finite[:, end]
        points = xyz[:, start]
        scale = (0.6 * self._scale, 0.0, 0.0)
        self._parts(LINE_LIST, 'bones', people, scale, points, colours, drawn)

    def _parts(
        self,
        marker_type: int,
        ns: str,
        people: _People,
        scale: Sequence[float],
        points: Array,
        colours: Array,
        drawn: Array,
    ) -> None:
        """A marker for each person, of those (P, n, 3) points that are drawn (P, n)."""
        full = np.asarray(drawn.all(axis=1))
        if full.all():
            color = _SOLID[people.entries]
            self._add(
                marker_type, ns, people.ids, scale=scale, color=color, points=points, colors=colours
            )
            return
        ids = [marker_id for marker_id, ok in zip(people.ids, full.tolist()) if ok]
        if ids:
            color = _SOLID[people.entries[full]]
            self._add(
                marker_type,
                ns,
                ids,
                scale=scale,
                color=color,
                points=points[full],
                colors=colours[full],
            )
        for k in np.flatnonzero(~full & drawn.any(axis=1)).tolist():
            self._add(
                marker_type,
                ns,
                [people.ids[k]],
                scale=scale,
                color=_SOLID[people.entries[k]],
                points=points[k][drawn[k]][None],
                colors=colours[k][drawn[k]][None],
            )

    def _velocities(self, people: _People) -> None:
        velocities = np.stack([pose.velocity for pose in people.poses]) @ self._frame.rotation.T
        arrows = np.stack([people.roots, people.roots + velocities], axis=1)
        fast = (_norms(velocities) > _SLOW_M_S) & np.isfinite(arrows).all(axis=(1, 2))
        ids = [people.ids[k] for k in np.flatnonzero(fast)]
        if ids:
            scale = (0.6 * self._scale, 1.6 * self._scale, 1.6 * self._scale)
            color = _SOLID[people.entries[fast]]
            self._add(ARROW, 'velocity', ids, scale=scale, color=color, points=arrows[fast])

    def _floor(self, people: _People) -> None:
        """A ring where each person stands; one marker for all."""
        ring = _ring(*self._up.tolist())
        points = (people.places[:, None] + ring).reshape(-1, 3)
        colours = np.repeat(_COLOURS[people.entries, 0, 1], len(ring), axis=0)
        self._lines('floor', self._scale / 3, points, colours)

    def _uncertainties(self, people: _People) -> None:
        """Ellipsoids of one standard deviation, of the root or of each joint."""
        stated = [(k, p.covariance) for k, p in enumerate(people.poses) if p.covariance is not None]
        if not stated:
            return
        chosen = [k for k, _ in stated]
        covariances = np.stack([covariance for _, covariance in stated])
        ids, entries = np.array(people.ids)[chosen], people.entries[chosen]
        if self._config.marker_uncertainty == 'joints':
            joints = covariances.shape[1]
            ids = (256 * ids[:, None] + np.arange(joints)).ravel()
            at, entries = people.xyz[chosen].reshape(-1, 3), np.repeat(entries, joints)
            covariances = covariances.reshape(-1, 3, 3)
        else:
            # Errors of two joints of a body are too alike to count as independent.
            at = people.roots[chosen]
            covariances = covariances[:, list(people.skeleton.root)].mean(axis=1)
        good = np.isfinite(at).all(axis=1) & np.isfinite(covariances).all(axis=(1, 2))
        if not good.any():
            return
        turned = self._frame.rotation @ covariances[good] @ self._frame.rotation.T
        variances, axes = np.linalg.eigh(turned)
        axes[np.linalg.det(axes) < 0, :, 0] *= -1
        turns = [quaternion_of(axis) for axis in axes.tolist()]
        self._add(
            SPHERE,
            'uncertainty',
            ids[good].tolist(),
            scale=2 * np.sqrt(np.maximum(variances, 1e-6)),
            color=_CLOUD[entries[good]],
            pose=np.concatenate([at[good], turns], axis=1),
        )


def _places(poses: Sequence[Pose3D]) -> list[Array | None]:
    """Where people without an absolute position stand: side by side, in their order in the image.

    (3,) metres in the camera's optical frame; None for the others.
    """
    places: list[Array | None] = [None] * len(poses)
    loose = [k for k, pose in enumerate(poses) if not pose.absolute]
    across = {k: float(np.nan_to_num(np.nanmean(poses[k].pixels[:, 0]))) for k in loose}
    for rank, k in enumerate(sorted(loose, key=across.__getitem__)):
        places[k] = np.array([_ASIDE_M * (rank - (len(loose) - 1) / 2), 0.0, _AHEAD_M])
    return places


@lru_cache(maxsize=32)
def _bones(skeleton: Skeleton) -> tuple[Array, Array, Array | None]:
    """(E, 2) joints of each bone, (2 E,) the side of each end as in _COLOURS, and the neck.

    The neck, where it is a line between the means of two pairs of joints: (2, 2) those joints;
    the means are joints J and J + 1 then.
    """
    sides = {'mid': 0, 'left': 1, 'right': 2}
    lines = [((a, b), sides[side]) for a, b, side, _ in bones(skeleton)]
    pairs = neck(skeleton)
    if pairs is not None:
        lines.append(((len(skeleton), len(skeleton) + 1), 0))
    ends, codes = zip(*lines)
    return np.array(ends), np.repeat(codes, 2), None if pairs is None else np.array(pairs)


@lru_cache(maxsize=32)
def _heads(skeleton: Skeleton) -> list[int]:
    """Joints that the text stands over, the best first."""
    names = skeleton.by_meaning
    wanted = ('head_top', 'nose', 'skull_base', 'mid_shoulder')
    return [names[name] for name in wanted if name in names]


@lru_cache(maxsize=32)
def _frustum(matrix: bytes, size: tuple[int, int]) -> Array:
    """(16, 3) m ends of lines along the field of view of a camera, in its optical frame."""
    width, height = size
    corners = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]])
    rays = _FRUSTUM_M * corners @ np.linalg.inv(np.frombuffer(matrix).reshape(3, 3)).T
    ends = np.concatenate([rays, np.zeros((1, 3))])
    return np.asarray(ends[[0, 1, 1, 2, 2, 3, 3, 0, 4, 0, 4, 1, 4, 2, 4, 3]])


@lru_cache(maxsize=32)
def _ring(*up: float) -> Array:
    """(N, 3) ends of lines that make a circle around an axis."""
    aside = np.cross(np.eye(3)[int(np.abs(up).argmin())], up)
    aside /= np.linalg.norm(aside)
    angles = np.linspace(0, 2 * np.pi, _CORNERS + 1)
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1) @ [aside, np.cross(up, aside)]
    return np.asarray(_RING_M * np.stack([ring[:-1], ring[1:]], axis=1).reshape(-1, 3))


def _norms(vectors: Array) -> Array:
    return np.asarray(np.sqrt((vectors * vectors).sum(axis=-1)))
