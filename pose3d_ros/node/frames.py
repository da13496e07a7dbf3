# SPDX-License-Identifier: Apache-2.0
"""Which frames transforms connect, and which of them stand still."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

FIXED = ('map', 'odom')
"""Frames of the world, the outermost first (REP-105)."""
Z_UP = (*FIXED, 'base_footprint', 'base_link')
"""Frames whose z axis points up, the outermost first (REP-105, REP-120)."""


class FrameTree:
    """What transforms say of parents, at one moment. parents: the parent frame of each child."""

    def __init__(self, parents: Mapping[str, str]) -> None:
        self._parents = dict(parents)

    def ancestors(self, frame: str) -> list[str]:
        """The frame itself, its parent and so on up to the root."""
        ancestors = [frame]
        while (parent := self._parents.get(ancestors[-1])) is not None and parent not in ancestors:
            ancestors.append(parent)
        return ancestors

    def root(self, frame: str) -> str:
        """The frame at the top of the tree."""
        return self.ancestors(frame)[-1]

    def connects(self, a: str, b: str) -> bool:
        """Whether there is a way from one frame to the other."""
        return self.root(a) == self.root(b)

    def upright(self, frame: str, names: Iterable[str] = Z_UP) -> str:
        """The first of those frames that is connected; empty if none is.

        A prefix, as in `robot1/odom`, is no part of the name. Ancestors come before frames aside.
        """
        above = self.ancestors(frame)
        others = {*self._parents, *self._parents.values()} - set(above)
        aside = sorted(other for other in others if self.connects(frame, other))
        for name in names:
            for candidate in (*above, *aside):
                if candidate.rpartition('/')[2] == name:
                    return candidate
        return ''
