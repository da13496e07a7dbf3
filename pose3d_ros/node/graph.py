# SPDX-License-Identifier: Apache-2.0
"""What a node knows of the others on its network: who publishes what, and how."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from .qos import SENSOR_DATA, Profile
from .topics import IMAGE_TYPES


@dataclass(frozen=True)
class Peer:
    """A publisher of a topic. node: its full name, empty if that is unknown."""

    node: str
    type_name: str
    profile: Profile

    @property
    def name(self) -> str:
        """The node for people to read."""
        return self.node or 'somebody'


class Graph(Protocol):
    """The network as one node sees it now."""

    def publishers(self, topic: str) -> list[Peer]:
        """Whoever publishes on a topic of that full name."""

    def topics(self) -> list[tuple[str, str]]:
        """Full name and type of every topic that somebody publishes."""

    def nodes(self) -> list[str]:
        """Full names of all nodes, this one's too; a name of two nodes stands there twice."""


def image_profile(reliability: str, peers: Iterable[Peer], type_name: str) -> Profile:
    """How to subscribe to images, by that setting and whoever publishes them now.

    Reliable loses none, and fits reliable publishers alone; a best-effort one fits everybody.
    """
    offers = [peer.profile.reliable for peer in peers if peer.type_name == type_name]
    reliable = reliability == 'reliable' or (reliability == 'auto' and bool(offers) and all(offers))
    return replace(SENSOR_DATA, reliable=reliable)


def unheard(peer: Peer, type_name: str, wanted: Profile) -> str:
    """Why a subscription of that type and profile hears nothing of a publisher; empty if it can."""
    offered = peer.profile
    if peer.type_name != type_name:
        return f'publishes {peer.type_name}, not {type_name}'
    if wanted.reliable and not offered.reliable:
        return 'publishes best effort, and this node asks for reliable'
    if wanted.transient_local and not offered.transient_local:
        return 'publishes volatile, and this node asks for transient local'
    return ''


def nearest_images(graph: Graph, topic: str, own: str, count: int = 5) -> list[str]:
    """Image topics that somebody publishes, those whose names are most alike first.

    own: full name of this node, whose outputs are left out.
    """
    images = {
        name
        for name, type_name in graph.topics()
        if type_name in IMAGE_TYPES.values() and not name.startswith(f'{own}/')
    }
    return sorted(images, key=lambda name: (-_likeness(name, topic), name))[:count]


def namesakes(names: Iterable[str], own: str) -> int:
    """How many other nodes have this one's name."""
    return max(0, sum(name == own for name in names) - 1)


def _likeness(a: str, b: str) -> float:
    return difflib.SequenceMatcher(None, a, b).ratio()
