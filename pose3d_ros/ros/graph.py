# SPDX-License-Identifier: Apache-2.0
"""The network as rclpy tells it."""

from __future__ import annotations

from rclpy.node import Node

from ..node.graph import Peer
from .endpoints import profile_of


class RosGraph:
    """Publishers and nodes, as a node sees them."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def publishers(self, topic: str) -> list[Peer]:
        """As Graph.publishers."""
        return [
            Peer(
                _full(info.node_name, info.node_namespace),
                info.topic_type,
                profile_of(info.qos_profile),
            )
            for info in self._node.get_publishers_info_by_topic(topic)
        ]

    def topics(self) -> list[tuple[str, str]]:
        """As Graph.topics."""
        return [
            (topic, type_name)
            for topic, type_names in self._node.get_topic_names_and_types()
            for type_name in type_names
            if self._node.count_publishers(topic)
        ]

    def nodes(self) -> list[str]:
        """As Graph.nodes."""
        names = self._node.get_node_names_and_namespaces()
        return [_full(name, namespace) for name, namespace in names]


def _full(name: str, namespace: str) -> str:
    # Before a node is announced rcl has this in place of its name.
    if name.startswith('_NODE_NAME_UNKNOWN'):
        return ''
    return f'{namespace.rstrip("/")}/{name}'
