# SPDX-License-Identifier: Apache-2.0
"""The network as the liveliness tokens of ROS nodes tell it."""

from __future__ import annotations

import threading

import zenoh

from ..messages.standalone import StandaloneTypes
from ..node.graph import Peer
from ..node.qos import Profile
from .keys import NODE, PUBLISHER, Token, parse_token, tokens_of

# In Zenoh every publisher serves every subscription of its key, whatever their profiles.
_SERVES_ALL = Profile(reliable=True, transient_local=True)


class ZenohGraph:
    """Nodes, publishers and subscriptions of a domain. Followed from the beginning on."""

    def __init__(self, session: zenoh.Session, domain: int, types: StandaloneTypes) -> None:
        self._types = types
        self._lock = threading.Lock()
        self._tokens: dict[str, Token] = {}
        # The session goes on with it for as long as it is referred to.
        self._subscriber = session.liveliness().declare_subscriber(
            tokens_of(domain), self._on_token, history=True
        )

    def publishers(self, topic: str) -> list[Peer]:
        """As Graph.publishers; another definition of a message is another type."""
        return [
            Peer(token.node, self._type(token), _SERVES_ALL)
            for token in self._alive(PUBLISHER)
            if token.topic == topic
        ]

    def topics(self) -> list[tuple[str, str]]:
        """As Graph.topics."""
        return [(token.topic, token.type_name) for token in self._alive(PUBLISHER)]

    def nodes(self) -> list[str]:
        """As Graph.nodes."""
        return [token.node for token in self._alive(NODE)]

    def matching(self, wanted: Token) -> tuple[int, int]:
        """Tokens of that sort, topic and type: with the same definition, and with another one."""
        hashes = [
            token.type_hash == wanted.type_hash
            for token in self._alive(wanted.sort)
            if (token.topic, token.type_name) == (wanted.topic, wanted.type_name)
        ]
        return sum(hashes), len(hashes) - sum(hashes)

    def _type(self, token: Token) -> str:
        name = token.type_name
        if name in self._types.store.fielddefs and token.type_hash != self._types.type_hash(name):
            return f'another definition of {name} ({token.type_hash})'
        return name

    def _alive(self, sort: str) -> list[Token]:
        with self._lock:
            return [token for token in self._tokens.values() if token.sort == sort]

    def _on_token(self, sample: zenoh.Sample) -> None:
        key = str(sample.key_expr)
        token = parse_token(key)
        with self._lock:
            if sample.kind != zenoh.SampleKind.PUT:
                self._tokens.pop(key, None)
            elif token is not None:
                self._tokens[key] = token
