# SPDX-License-Identifier: Apache-2.0
"""The network as Cyclone DDS and the announcements of ROS nodes tell it."""

from __future__ import annotations

from typing import Any

from cyclonedds.builtin import (
    BuiltinDataReader,
    BuiltinTopic,
    BuiltinTopicDcpsParticipant,
    BuiltinTopicDcpsPublication,
)
from cyclonedds.core import InstanceState, ReadCondition, SampleState, ViewState
from cyclonedds.domain import DomainParticipant
from cyclonedds.qos import Policy
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic

from ..errors import InputError
from ..messages.standalone import StandaloneTypes
from ..node.graph import Peer
from ..node.qos import Profile
from ..standalone.names import ros_type
from .qos import cyclone_qos

GRAPH_TYPE = 'rmw_dds_common/msg/ParticipantEntitiesInfo'
GRAPH_TOPIC = 'ros_discovery_info'
_MOST = 10_000


class _Present:
    """What discovery knows now of one sort of entity."""

    def __init__(self, participant: DomainParticipant, topic: BuiltinTopic) -> None:
        self._reader = BuiltinDataReader(participant, topic)
        self._alive = ReadCondition(
            self._reader, ViewState.Any | SampleState.Any | InstanceState.Alive
        )

    def samples(self) -> list[Any]:
        """Of the entities that exist."""
        return [s for s in self._reader.read(_MOST, self._alive) if hasattr(s, 'key')]


class DdsGraph:
    """Publishers and nodes of a domain. topic: that of the announcements."""

    def __init__(
        self, participant: DomainParticipant, topic: Topic[Any], types: StandaloneTypes
    ) -> None:
        self._types = types
        self._publications = _Present(participant, BuiltinTopicDcpsPublication)
        self._participants = _Present(participant, BuiltinTopicDcpsParticipant)
        profile = Profile(transient_local=True, depth=1000)
        self._announcements: DataReader[Any] = DataReader(
            participant, topic, qos=cyclone_qos(profile)
        )
        # By participant: the nodes in it, and the node of each of its writers.
        self._nodes: dict[bytes, list[str]] = {}
        self._writers: dict[bytes, dict[bytes, str]] = {}

    def publishers(self, topic: str) -> list[Peer]:
        """As Graph.publishers."""
        self._update()
        writers = {gid: name for named in self._writers.values() for gid, name in named.items()}
        return [
            Peer(writers.get(sample.key.bytes, ''), ros_type(sample.type_name), _profile(sample))
            for sample in self._publications.samples()
            if sample.topic_name == f'rt{topic}'
        ]

    def topics(self) -> list[tuple[str, str]]:
        """As Graph.topics."""
        names = ((s.topic_name, ros_type(s.type_name)) for s in self._publications.samples())
        return [
            (name.removeprefix('rt'), type_name)
            for name, type_name in names
            if name.startswith('rt/')
        ]

    def nodes(self) -> list[str]:
        """As Graph.nodes."""
        self._update()
        return [name for names in self._nodes.values() for name in names]

    def _update(self) -> None:
        for sample in self._announcements.take(_MOST):
            try:
                info = self._types.deserialize(getattr(sample, 'raw', b''), GRAPH_TYPE)
            except InputError:
                continue
            who = _guid(info.gid)
            nodes = info.node_entities_info_seq
            self._nodes[who] = [_full(node) for node in nodes]
            self._writers[who] = {
                _guid(gid): _full(node) for node in nodes for gid in node.writer_gid_seq
            }
        alive = {sample.key.bytes for sample in self._participants.samples()}
        for gone in self._nodes.keys() - alive:
            del self._nodes[gone], self._writers[gone]


def _guid(gid: Any) -> bytes:
    """The part of an identifier that DDS knows; Humble's are longer."""
    return bytes(gid.data)[:16]


def _full(node: Any) -> str:
    return f'{node.node_namespace.rstrip("/")}/{node.node_name}'


def _profile(sample: Any) -> Profile:
    return Profile(
        reliable=isinstance(sample.qos[Policy.Reliability], Policy.Reliability.Reliable),
        transient_local=sample.qos[Policy.Durability] == Policy.Durability.TransientLocal,
    )
