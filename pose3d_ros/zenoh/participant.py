# SPDX-License-Identifier: Apache-2.0
"""A ROS 2 node on Zenoh: publishers, subscriptions, and its place in the graph."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import zenoh
import zenoh.ext

from ..errors import ConfigError, Pose3DError
from ..messages.standalone import StandaloneTypes
from ..messages.types import Message
from ..node.qos import Profile
from ..standalone import wire
from ..standalone.names import Names
from ..standalone.overrides import Overrides
from ..standalone.wire import WireNode, domain_id
from .graph import ZenohGraph
from .keys import (
    PUBLISHER,
    SUBSCRIPTION,
    Token,
    attachment,
    identifier,
    parse_attachment,
    token_of_endpoint,
    token_of_node,
    topic_key,
)
from .session import FILE, OVERRIDE, endpoints, open_session, session_config

# A router on this machine or in its network answers in much less.
ALONE_AFTER_S = 3.0
# As rmw_zenoh has it for reliable transient local topics.
_HEARTBEAT_S = 0.5
_OTHER_DEFINITION = 'definition of the message (type hash)'

_log = logging.getLogger(__name__)


class Publisher:
    """Sends messages of one topic. matches: as ZenohGraph.matching, of its subscriptions."""

    def __init__(
        self,
        entity: Any,
        types: StandaloneTypes,
        token: Token,
        gid: bytes,
        matches: Callable[[], tuple[int, int]],
    ) -> None:
        self._entity, self._types, self._type = entity, types, token.type_name
        self._gid, self._matches = gid, matches
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)

    def publish(self, message: Message | bytes) -> None:
        """Serialise, unless that is done, and send."""
        if not isinstance(message, bytes):
            message = bytes(self._types.serialize(message, self._type))
        with self._lock:
            note = attachment(next(self._numbers), time.time_ns(), self._gid)
            try:
                self._entity.put(message, attachment=note)
            except zenoh.ZError as error:
                raise Pose3DError(f'cannot publish: {error}') from error

    def listeners(self) -> int:
        """Number of matched subscriptions."""
        return self._matches()[0]

    def incompatible(self) -> str:
        """What keeps subscriptions away; empty if nothing does."""
        matched, others = self._matches()
        return _OTHER_DEFINITION if others and not matched else ''


class Subscription:
    """Receives serialised messages of one topic, full name. profile: with all overrides."""

    def __init__(
        self,
        topic: str,
        profile: Profile,
        callback: Callable[[bytes], None],
        wake: Callable[[], None],
        matches: Callable[[], tuple[int, int]],
    ) -> None:
        self.topic, self.profile = topic, profile
        self._callback, self._wake, self._matches = callback, wake, matches
        self._waiting: deque[bytes] = deque(maxlen=profile.depth)
        self._numbers: dict[bytes, int] = {}
        self._lost = 0

    def receive(self, sample: zenoh.Sample) -> None:
        """Keep a message until dispatch(); in a thread of Zenoh's."""
        note = parse_attachment(bytes(sample.attachment or b''))
        if note is not None:
            number, publisher = note
            expected = self._numbers.get(publisher, number - 1) + 1
            self._lost += max(0, number - expected)
            self._numbers[publisher] = max(number, expected - 1)
        self._waiting.append(bytes(sample.payload))
        self._wake()

    def dispatch(self) -> None:
        """Call back for each message that waits."""
        for _ in range(len(self._waiting)):
            self._callback(self._waiting.popleft())

    def publishers(self) -> int:
        """Number of matched publishers."""
        return self._matches()[0]

    def lost(self) -> int:
        """Messages that got lost on the way, by the publishers' numbers."""
        return self._lost

    def encounters(self) -> tuple[int, int]:
        """Never changes: every profile suits every publisher."""
        return 0, 0

    def incompatible(self) -> str:
        """What keeps publishers away; empty if nothing does."""
        matched, others = self._matches()
        return _OTHER_DEFINITION if others and not matched else ''


class ZenohNode(WireNode):
    """A session with one node in it."""

    graph: ZenohGraph

    def __init__(
        self,
        names: Names,
        *,
        domain: int | None = None,
        distro: str = 'jazzy',
        overrides: Overrides | None = None,
    ) -> None:
        super().__init__(names, distro, overrides)
        if distro == 'humble':
            raise ConfigError('peers of Humble have no type hashes: Zenoh needs jazzy or later')
        self._domain = domain_id(domain)
        self._subscriptions: list[Subscription] = []
        self._awake = threading.Event()
        config = session_config()
        self._session = open_session(config)
        self._id = str(self._session.info.zid())
        self._numbers = itertools.count(1)
        self.graph = ZenohGraph(self._session, self._domain, self.types)
        # All that the session declares, for as long as it lives.
        self._declared: list[Any] = []
        self._announce(token_of_node(self._domain, self._id, names))
        self._alone = threading.Timer(ALONE_AFTER_S, self._warn_if_alone, [endpoints(config)])
        self._alone.daemon = True
        self._alone.start()

    def publisher(self, topic: str, type_name: str, profile: Profile) -> Publisher:
        """As WireNode.publisher."""
        full = self.names.topic(topic)
        profile = self._overrides.apply(profile, full, 'publisher')
        own = self._token(PUBLISHER, full, type_name)
        options: dict[str, Any] = {
            'congestion_control': zenoh.CongestionControl.DROP,
            'reliability': zenoh.Reliability.RELIABLE
            if profile.reliable
            else zenoh.Reliability.BEST_EFFORT,
        }
        if profile.transient_local:
            options |= {
                'cache': zenoh.ext.CacheConfig(profile.depth),
                'publisher_detection': True,
            }
            if profile.reliable:
                options['sample_miss_detection'] = zenoh.ext.MissDetectionConfig(
                    heartbeat=None, sporadic_heartbeat=_HEARTBEAT_S
                )
        entity = zenoh.ext.declare_advanced_publisher(self._session, self._key(own), **options)
        token = token_of_endpoint(
            self._domain, self._id, next(self._numbers), self.names, own, profile
        )
        self._declared.append(entity)
        self._announce(token)
        others = self._token(SUBSCRIPTION, full, type_name)
        return Publisher(
            entity, self.types, own, identifier(token), lambda: self.graph.matching(others)
        )

    def subscribe(
        self,
        topic: str,
        type_name: str,
        profile: Profile,
        callback: Callable[[bytes], None],
        *,
        suffix: str = '',
    ) -> Subscription:
        """As WireNode.subscribe."""
        full = self.names.topic(topic) + suffix
        profile = self._overrides.apply(profile, full, 'subscription')
        own, others = (self._token(sort, full, type_name) for sort in (SUBSCRIPTION, PUBLISHER))
        subscription = Subscription(
            full, profile, callback, self._wake, lambda: self.graph.matching(others)
        )
        options: dict[str, Any] = {}
        if profile.transient_local:
            options = {
                'subscriber_detection': True,
                'history': zenoh.ext.HistoryConfig(
                    detect_late_publishers=True, max_samples=profile.depth
                ),
            }
            if profile.reliable:
                options['recovery'] = zenoh.ext.RecoveryConfig(
                    periodic_queries=None, heartbeat=True
                )
        self._subscriptions.append(subscription)
        self._declared.append(
            zenoh.ext.declare_advanced_subscriber(
                self._session, self._key(own), subscription.receive, **options
            )
        )
        self._announce(
            token_of_endpoint(self._domain, self._id, next(self._numbers), self.names, own, profile)
        )
        return subscription

    def resubscribe(self, subscription: wire.Subscription, profile: Profile) -> bool:
        """Nothing is to be done: see Subscription.encounters()."""
        return False

    def close(self) -> None:
        """As WireNode.close."""
        self._alone.cancel()
        self._subscriptions.clear()
        for entity in reversed(self._declared):
            entity.undeclare()
        self._declared.clear()
        self._session.close()

    def _wait(self, seconds: float) -> None:
        self._awake.wait(seconds)
        self._awake.clear()

    def _wake(self) -> None:
        self._awake.set()

    def _listening(self) -> list[Subscription]:
        return self._subscriptions

    def _token(self, sort: str, topic: str, type_name: str) -> Token:
        return Token(sort, self.names.full, topic, type_name, self.types.type_hash(type_name))

    def _key(self, token: Token) -> str:
        return topic_key(self._domain, token.topic, token.type_name, token.type_hash)

    def _announce(self, token: str) -> None:
        self._declared.append(self._session.liveliness().declare_token(token))

    def _warn_if_alone(self, addresses: str) -> None:
        info = self._session.info
        if not self._session.is_closed() and not info.routers_zid() and not info.peers_zid():
            _log.warning(
                'no Zenoh router reached within %g s (%s); one comes with ROS 2 (ros2 run '
                'rmw_zenoh_cpp rmw_zenohd), %s and %s name others; still trying',
                ALONE_AFTER_S,
                addresses,
                FILE,
                OVERRIDE,
            )
