# SPDX-License-Identifier: Apache-2.0
"""Where frames are, by the messages of /tf and /tf_static: the same for all adapters."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, insort
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from ..messages import stamp_of
from ..messages.types import Message
from ..types import Array
from .frames import FrameTree

TF = 'tf2_msgs/msg/TFMessage'
KEEP_NS = 10_000_000_000

Pose = tuple[Array, Array]
"""Translation (3,) metres and quaternion x, y, z, w of a child in its parent."""


@dataclass
class _Edge:
    parent: str
    static: Pose | None = None
    stamps: list[int] = field(default_factory=list)
    poses: dict[int, Pose] = field(default_factory=dict)

    def add(self, stamp_ns: int, pose: Pose) -> None:
        if self.stamps and stamp_ns < self.stamps[-1] - KEEP_NS:
            # Time went back: what was known of the future is worth nothing.
            self.stamps.clear()
            self.poses.clear()
        if stamp_ns not in self.poses:
            insort(self.stamps, stamp_ns)
        self.poses[stamp_ns] = pose
        while self.stamps[-1] - self.stamps[0] > KEEP_NS:
            del self.poses[self.stamps.pop(0)]

    @property
    def newest(self) -> Pose | None:
        """The last pose that is known."""
        return self.poses[self.stamps[-1]] if self.static is None and self.stamps else self.static

    def at(self, stamp_ns: int) -> Pose | None:
        """The pose at that time, interpolated; None outside what is known."""
        if self.static is not None:
            return self.static
        k = bisect_left(self.stamps, stamp_ns)
        if k < len(self.stamps) and self.stamps[k] == stamp_ns:
            return self.poses[stamp_ns]
        if k == 0 or k == len(self.stamps):
            return None
        before, after = self.stamps[k - 1], self.stamps[k]
        (t0, q0), (t1, q1) = self.poses[before], self.poses[after]
        part = (stamp_ns - before) / (after - before)
        turn = Slerp([0, 1], Rotation.from_quat([q0, q1]))(part)
        return (1 - part) * t0 + part * t1, turn.as_quat()


class TransformBuffer:
    """Transforms of the last seconds, and the way from one frame to another."""

    def __init__(self) -> None:
        self._edges: dict[str, _Edge] = {}
        self._changed = threading.Condition()

    def set(self, parent: str, child: str, pose: Pose, stamp_ns: int | None = None) -> None:
        """Take in a transform; without a stamp it holds for ever."""
        with self._changed:
            edge = self._edges.get(child)
            if edge is None or edge.parent != parent:
                edge = self._edges[child] = _Edge(parent)
            if stamp_ns is None:
                edge.static = pose
            else:
                edge.add(stamp_ns, pose)
            self._changed.notify_all()

    def lookup(
        self, target: str, source: str, stamp_ns: int, timeout_s: float = 0.0
    ) -> tuple[Array, Array]:
        """Rotation (3, 3) and translation (3,) m: x_target = R x_source + t at that time.

        Waits for it at most so long; LookupError says what is missing.
        """
        if not source:
            raise LookupError('images have no frame_id; set the parameter camera_frame')
        end = time.monotonic() + timeout_s
        with self._changed:
            while True:
                try:
                    return self._lookup(target, source, stamp_ns)
                except LookupError:
                    left = end - time.monotonic()
                    if left <= 0 or not self._changed.wait(left):
                        raise

    def newest(self, target: str, source: str) -> tuple[Array, Array]:
        """As lookup, of the newest of each frame on the way."""
        return self.newest_stamped(target, source)[:2]

    def newest_stamped(self, target: str, source: str) -> tuple[Array, Array, int | None]:
        """As newest, and the oldest of their stamps in nanoseconds; None if nothing moves."""
        with self._changed:
            rotation, translation = self._lookup(target, source, None)
            up, down = self._ancestors(source), self._ancestors(target)
            way = {*up, *down} - ({*up} & {*down})
            stamps = [
                edge.stamps[-1]
                for frame in way
                if (edge := self._edges.get(frame)) is not None and edge.static is None
            ]
            return rotation, translation, min(stamps, default=None)

    def frames(self) -> FrameTree:
        """What is connected now."""
        with self._changed:
            return FrameTree({child: edge.parent for child, edge in self._edges.items()})

    def _lookup(self, target: str, source: str, stamp_ns: int | None) -> tuple[Array, Array]:
        up, down = self._ancestors(source), self._ancestors(target)
        common = next((frame for frame in up if frame in down), None)
        if common is None:
            raise LookupError(f'no transform from {source!r} to {target!r} is known')
        r_source, t_source = self._chain(up[: up.index(common)], stamp_ns)
        r_target, t_target = self._chain(down[: down.index(common)], stamp_ns)
        return r_target.T @ r_source, r_target.T @ (t_source - t_target)

    def _ancestors(self, frame: str) -> list[str]:
        chain = [frame]
        while frame in self._edges and self._edges[frame].parent not in chain:
            frame = self._edges[frame].parent
            chain.append(frame)
        return chain

    def _chain(self, frames: list[str], stamp_ns: int | None) -> tuple[Array, Array]:
        """Pose of the first frame in the parent of the last."""
        rotation, translation = np.eye(3), np.zeros(3)
        for frame in frames:
            edge = self._edges[frame]
            pose = edge.newest if stamp_ns is None else edge.at(stamp_ns)
            if pose is None:
                if stamp_ns is None:
                    raise LookupError(f'no transform from {frame!r} to {edge.parent!r}')
                ages = ', '.join(
                    f'{(stamp_ns - s) * 1e-9:.3f} s' for s in (*edge.stamps[:1], *edge.stamps[-1:])
                )
                raise LookupError(
                    f'no transform from {frame!r} to {edge.parent!r} at the stamp of the image '
                    f'(oldest and newest are {ages} before it)'
                )
            turn = Rotation.from_quat(pose[1]).as_matrix()
            rotation, translation = turn @ rotation, turn @ translation + pose[0]
        return rotation, translation

    def take(self, message: Message, *, static: bool) -> None:
        """Take in a tf2_msgs/TFMessage of /tf, or of /tf_static; from any thread."""
        for item in message.transforms:
            t, q = item.transform.translation, item.transform.rotation
            quaternion = np.array([q.x, q.y, q.z, q.w])
            translation = np.array([t.x, t.y, t.z])
            if not np.isfinite(translation).all() or not abs(np.linalg.norm(quaternion) - 1) < 0.01:
                continue  # tf2 ignores such ones too
            pose = (translation, quaternion)
            stamp_ns = None if static else stamp_of(item.header)
            parent, child = item.header.frame_id.lstrip('/'), item.child_frame_id.lstrip('/')
            self.set(parent, child, pose, stamp_ns)

    def clear(self) -> None:
        """Forget what moves: time went backwards."""
        with self._changed:
            for edge in self._edges.values():
                edge.stamps.clear()
                edge.poses.clear()
