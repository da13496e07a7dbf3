# SPDX-License-Identifier: Apache-2.0
"""People as TF frames, under a bounded set of names.

A frame once sent stays in every listener's tree, so names are made of slots that are used again,
not of track ids: `body_<slot>` (REP-155: origin mid hips, x out of the chest, y left, z to the
head), and with tf_joints 'all' the links `<name>_<slot>`, parented to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

from ..settings.node import NodeConfig
from ..skeleton import MEANS, Skeleton
from ..types import Array, Pose3D
from .body import quaternion_of, rotation_of
from .types import Message, Types, make_header


class TransformBuilder:
    """Transforms of one source. Remembers who holds which slot."""

    def __init__(self, types: Types, source: str = '') -> None:
        self._types = types
        self._stamped = types('geometry_msgs/msg/TransformStamped')
        self._transform = types('geometry_msgs/msg/Transform')
        self._vector = types('geometry_msgs/msg/Vector3')
        self._quaternion = types('geometry_msgs/msg/Quaternion')
        # One object for all that do not turn: a message only reads it.
        self._upright = self._quaternion(x=0.0, y=0.0, z=0.0, w=1.0)
        self._source = f'{source}_' if source else ''
        # Slots in the order in which they became free; track id -> slot, last stamp.
        self._free: list[int] = []
        self._held: dict[int, tuple[int, int]] = {}
        self._slots = 0

    def transforms(
        self,
        poses: Sequence[Pose3D],
        *,
        stamp_ns: int,
        frame_id: str,
        config: NodeConfig,
        prefix: str,
        lost: Iterable[int] = (),
    ) -> list[Message]:
        """geometry_msgs/TransformStamped of everybody who can have some; names begin with prefix.

        That is: an id, an absolute position, hips and shoulders finite, and a free slot.
        """
        for track_id in lost:
            self._release(track_id)
        if config.tf_joints == 'none':
            return []
        made: list[Message] = []
        for pose in poses:
            if not pose.track_id or not pose.absolute:
                continue
            rotation = rotation_of(pose)
            if rotation is None or not np.isfinite(pose.root).all():
                continue
            slot = self._slot(pose.track_id, stamp_ns, config)
            if slot is None:
                continue
            header = make_header(self._types, stamp_ns, frame_id)
            begin, suffix = prefix + self._source, f'_{slot}'
            body = f'{begin}body{suffix}'
            made.append(self._make(header, body, pose.root.tolist(), quaternion_of(rotation)))
            if config.tf_joints == 'all':
                parent = make_header(self._types, stamp_ns, body)
                local = (pose.xyz - pose.root) @ np.asarray(rotation)
                names, pairs = _pairs(pose.skeleton)
                places: list[list[float]] = local[pairs].mean(axis=1).tolist()
                for name, xyz in zip(names, places):
                    if xyz[0] == xyz[0]:  # not NaN
                        made.append(self._make(parent, f'{begin}{name}{suffix}', xyz))
        return made

    def clear(self) -> None:
        """Free all slots."""
        for track_id in list(self._held):
            self._release(track_id)

    def _make(
        self, header: Message, child: str, xyz: Sequence[float], xyzw: Sequence[float] = ()
    ) -> Message:
        return self._stamped(
            header=header,
            child_frame_id=child,
            transform=self._transform(
                translation=self._vector(x=xyz[0], y=xyz[1], z=xyz[2]),
                rotation=self._quaternion(x=xyzw[0], y=xyzw[1], z=xyzw[2], w=xyzw[3])
                if xyzw
                else self._upright,
            ),
        )

    def _slot(self, track_id: int, stamp_ns: int, config: NodeConfig) -> int | None:
        held = self._held.get(track_id)
        if held is None:
            self._expire(stamp_ns, config)
            if self._slots < config.tf_max_people:
                self._slots += 1
                slot = self._slots
            elif self._free:
                slot = self._free.pop(0)
            else:
                return None
        else:
            slot = held[0]
        self._held[track_id] = slot, stamp_ns
        return slot

    def _expire(self, stamp_ns: int, config: NodeConfig) -> None:
        """Free the slots of those who are gone without notice (a reset forgets tracks)."""
        keep_ns = (config.track_max_missed_s + config.max_gap_s) * 1e9
        for track_id, (_, last_ns) in list(self._held.items()):
            if abs(stamp_ns - last_ns) > keep_ns:
                self._release(track_id)

    def _release(self, track_id: int) -> None:
        held = self._held.pop(track_id, None)
        if held is not None:
            self._free.append(held[0])


@lru_cache(maxsize=32)
def links(skeleton: Skeleton) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Names of the frames beside the body's, and the joints whose mean each is.

    REP-155's own names where it has them: waist, torso, head, l_shoulder ... r_ankle.
    """
    by = skeleton.by_meaning
    sides = {'left': 'l', 'right': 'r'}
    members: dict[str, tuple[int, ...]] = {}
    for name, meaning in (('waist', 'pelvis'), ('torso', 'mid_shoulder')):
        parts = (meaning,) if meaning in by else MEANS[meaning]
        if all(part in by for part in parts):
            members[name] = tuple(by[part] for part in parts)
    for parts in (('left_ear', 'right_ear'), ('head_top',), ('nose',)):
        if all(part in by for part in parts):
            members['head'] = tuple(by[part] for part in parts)
            break
    taken = {index[0] for index in members.values() if len(index) == 1}
    for index, joint in enumerate(skeleton.names):
        side, _, rest = joint.partition('_')
        name = f'{sides[side]}_{rest}' if side in sides else joint
        if index not in taken and name not in members:
            members[name] = (index,)
    return tuple(members.items())


@lru_cache(maxsize=32)
def _pairs(skeleton: Skeleton) -> tuple[tuple[str, ...], Array]:
    """Names of links() and (L, 2) indices of two joints, or twice the same, whose mean each is."""
    table = links(skeleton)
    pairs = np.array([(index[0], index[-1]) for _, index in table])
    return tuple(name for name, _ in table), pairs
