# SPDX-License-Identifier: Apache-2.0
"""People as RViz markers: joints, bones and a line of text each."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..settings.node import NodeConfig
from ..types import Array, Pose3D
from .types import Message, Types, make_header

# Red, green, blue in 0..1; a person's colour goes by the track id.
_COLOURS = (
    (0.12, 0.47, 0.71),
    (1.00, 0.50, 0.05),
    (0.17, 0.63, 0.17),
    (0.84, 0.15, 0.16),
    (0.58, 0.40, 0.74),
    (0.55, 0.34, 0.29),
    (0.89, 0.47, 0.76),
    (0.74, 0.74, 0.13),
    (0.09, 0.75, 0.81),
)
_ALPHAS = 16
_TEXT_ABOVE_M = 0.25


class MarkerBuilder:
    """Markers of one source. Remembers whom it has shown, to delete those who left."""

    def __init__(self, types: Types) -> None:
        self._types = types
        self._array = types('visualization_msgs/msg/MarkerArray')
        self._marker = types('visualization_msgs/msg/Marker')
        self._point = types('geometry_msgs/msg/Point')
        self._vector = types('geometry_msgs/msg/Vector3')
        colour = types('std_msgs/msg/ColorRGBA')
        # One object per shade: a message only reads them.
        self._shades = [
            [colour(r=r, g=g, b=b, a=0.2 + 0.8 * level / (_ALPHAS - 1)) for level in range(_ALPHAS)]
            for r, g, b in _COLOURS
        ]
        self._white = colour(r=1.0, g=1.0, b=1.0, a=1.0)
        self._shown: set[tuple[str, int]] = set()

    def array(
        self, poses: Sequence[Pose3D], *, stamp_ns: int, frame_id: str, config: NodeConfig
    ) -> Message:
        """MarkerArray: everybody in poses, and a DELETE for each marker that is gone."""
        header = make_header(self._types, stamp_ns, frame_id)
        seconds = config.marker_lifetime_s
        lifetime = self._types('builtin_interfaces/msg/Duration')(
            sec=int(seconds), nanosec=int(seconds % 1 * 1e9)
        )
        markers: list[Message] = []
        for index, pose in enumerate(poses):
            # People without ids get negative ones: only their order tells them apart.
            marker_id = int(pose.track_id) & 0x7FFFFFFF if pose.track_id else -1 - index
            markers += self._person(pose, marker_id, header, lifetime, config)
        shown = {(marker.ns, marker.id) for marker in markers}
        for ns, marker_id in sorted(self._shown - shown):
            markers.append(
                self._marker(header=header, ns=ns, id=marker_id, action=self._marker.DELETE)
            )
        self._shown = shown
        return self._array(markers=markers)

    def clear(self, *, stamp_ns: int, frame_id: str) -> Message:
        """MarkerArray that removes everything, for the end."""
        self._shown = set()
        header = make_header(self._types, stamp_ns, frame_id)
        return self._array(markers=[self._marker(header=header, action=self._marker.DELETEALL)])

    def _person(
        self, pose: Pose3D, marker_id: int, header: Message, lifetime: Message, config: NodeConfig
    ) -> list[Message]:
        finite = np.asarray(np.isfinite(pose.xyz).all(axis=1))
        if not finite.any():
            return []
        known: list[bool] = finite.tolist()
        point = self._point
        points = [point(x=x, y=y, z=z) for x, y, z in pose.xyz.tolist()]
        shades = self._shades[pose.track_id % len(self._shades)]
        levels = np.nan_to_num(pose.confidence, nan=1.0).clip(0, 1) * (_ALPHAS - 1)
        colours = [shades[level] for level in levels.astype(int).tolist()]
        scale, marker, vector = config.marker_scale_m, self._marker, self._vector
        made = [
            marker(
                header=header,
                ns='joints',
                id=marker_id,
                type=marker.SPHERE_LIST,
                scale=vector(x=scale, y=scale, z=scale),
                color=shades[-1],
                lifetime=lifetime,
                points=[p for p, ok in zip(points, known) if ok],
                colors=[c for c, ok in zip(colours, known) if ok],
            )
        ]
        lines = [points[k] for a, b in pose.skeleton.edges if known[a] and known[b] for k in (a, b)]
        if lines:
            made.append(
                marker(
                    header=header,
                    ns='bones',
                    id=marker_id,
                    type=marker.LINE_LIST,
                    scale=vector(x=scale / 2),
                    color=shades[-1],
                    lifetime=lifetime,
                    points=lines,
                )
            )
        if config.marker_text:
            text = marker(
                header=header,
                ns='text',
                id=marker_id,
                type=marker.TEXT_VIEW_FACING,
                scale=vector(z=2.5 * scale),
                color=self._white,
                lifetime=lifetime,
                text=_label(pose),
            )
            text.pose.position = point(**dict(zip('xyz', _above(pose, finite))))
            made.append(text)
        return made


def _label(pose: Pose3D) -> str:
    parts = [f'#{pose.track_id}' if pose.track_id else 'person']
    if math.isfinite(pose.score):
        parts.append(f'{pose.score:.2f}')
    if not pose.absolute:
        parts.append('relative')
    return ' '.join(parts)


def _above(pose: Pose3D, finite: Array) -> list[float]:
    """A place over the head: beyond the joint that is farthest from the root."""
    known = pose.xyz[finite]
    names = pose.skeleton.by_meaning
    top = [names[n] for n in ('head_top', 'nose', 'skull_base', 'mid_shoulder') if n in names]
    head = next((pose.xyz[k] for k in top if finite[k]), known[0])
    trunk = head - pose.root
    length = float(np.linalg.norm(trunk))
    if length > 1e-3:  # false for NaN
        head = head + trunk * (_TEXT_ABOVE_M / length)
    return [float(v) for v in head]
