# SPDX-License-Identifier: Apache-2.0
"""A ROS 2 node on Cyclone DDS: publishers, subscriptions, timers, and its place in the graph."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from cyclonedds.builtin import BuiltinDataReader, BuiltinTopicDcpsParticipant
from cyclonedds.core import (
    DDSException,
    Entity,
    GuardCondition,
    InstanceState,
    ReadCondition,
    SampleState,
    ViewState,
    WaitSet,
)
from cyclonedds.domain import Domain, DomainParticipant
from cyclonedds.pub import DataWriter
from cyclonedds.qos import Policy, Qos
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic
from cyclonedds.util import duration

from ..errors import Pose3DError
from ..messages.standalone import StandaloneTypes
from ..messages.types import Message
from ..node.qos import LATCHED, Profile
from ..standalone import wire
from ..standalone.names import Names
from ..standalone.overrides import Overrides
from ..standalone.wire import WireNode, domain_id
from .discovery import cyclone_config, describe_reach
from .graph import GRAPH_TOPIC, GRAPH_TYPE, DdsGraph
from .qos import POLICIES, cyclone_qos
from .types import TopicTypes

# Discovery takes a second or two where it works at all.
ALONE_AFTER_S = 10.0

_log = logging.getLogger(__name__)


# Kept for good: with the domain everything in it goes, other nodes of this process too.
_domains: dict[int, Domain] = {}


def _join(number: int) -> None:
    """Create the domain with our configuration, once in a process."""
    if number in _domains:
        return
    try:
        _domains[number] = Domain(number, cyclone_config())
    except DDSException as error:
        # Somebody else in this process has joined it already, with a configuration of his own.
        if error.code != DDSException.DDS_RETCODE_PRECONDITION_NOT_MET:
            raise


class Publisher:
    """Sends messages of one topic."""

    def __init__(self, writer: DataWriter[Any], sample: Any, types: StandaloneTypes, name: str):
        self._writer, self._sample, self._types, self._type = writer, sample, types, name
        self.failures = 0

    def publish(self, message: Message | bytes) -> None:
        """Serialise, unless that is done, and write; a reader that keeps nothing up does not end
        the node.
        """
        if not isinstance(message, bytes):
            message = bytes(self._types.serialize(message, self._type))
        try:
            self._writer.write(self._sample(message))
        except DDSException as error:
            self.failures += 1
            if error.code != DDSException.DDS_RETCODE_TIMEOUT:
                raise Pose3DError(f'cannot publish: {error}') from error

    def listeners(self) -> int:
        """Number of matched subscriptions."""
        return int(_status(self._writer.get_publication_matched_status).current_count)

    def flush(self, timeout_s: float) -> None:
        """Wait until reliable subscriptions have everything, at most so long."""
        if self.listeners():
            # On timeout the library raises the wrong exception.
            with suppress(AttributeError, DDSException):
                self._writer.wait_for_acks(duration(seconds=timeout_s))

    def incompatible(self) -> str:
        """The policy that keeps peers away; empty if none does."""
        return _incompatible(
            _status(self._writer.get_offered_incompatible_qos_status), self.listeners()
        )


class Subscription:
    """Receives serialised messages of one topic, full name. profile: with all overrides."""

    reader: DataReader[Any]
    condition: ReadCondition
    profile: Profile

    def __init__(self, topic: str, type_name: str, callback: Callable[[bytes], None]) -> None:
        self.topic, self.type_name = topic, type_name
        self._callback = callback

    def listen(self, reader: DataReader[Any], profile: Profile) -> None:
        """Receive by that reader from now on."""
        self.reader, self.profile = reader, profile
        self.condition = ReadCondition(
            reader, ViewState.Any | SampleState.NotRead | InstanceState.Any
        )

    def dispatch(self) -> None:
        """Call back for each message that waits."""
        # Taken in one go: what comes meanwhile has its turn after the other subscriptions.
        for sample in self.reader.take(100):
            raw = getattr(sample, 'raw', b'')
            if raw:
                self._callback(raw)

    def publishers(self) -> int:
        """Number of matched publishers."""
        return int(_status(self.reader.get_subscription_matched_status).current_count)

    def lost(self) -> int:
        """Messages that got lost on the way, for example because fragments were dropped."""
        return int(_status(self.reader.get_sample_lost_status).total_count)

    def encounters(self) -> tuple[int, int]:
        """Matched publishers now, and all that ever did not fit: changes when one comes or goes."""
        status = _status(self.reader.get_requested_incompatible_qos_status)
        return self.publishers(), int(status.total_count)

    def incompatible(self) -> str:
        """The policy that keeps peers away; empty if none does."""
        return _incompatible(
            _status(self.reader.get_requested_incompatible_qos_status), self.publishers()
        )


def _status(read: Callable[[], Any]) -> Any:
    """The status that an entity's method gives (the library leaves those untyped)."""
    return read()


def _incompatible(status: Any, matched: int) -> str:
    if not status.total_count or matched:
        return ''
    return POLICIES.get(int(status.last_policy_id), f'policy {status.last_policy_id}')


class DdsNode(WireNode):
    """A participant in a DDS domain."""

    def __init__(
        self,
        names: Names,
        *,
        domain: int | None = None,
        distro: str = 'jazzy',
        overrides: Overrides | None = None,
    ) -> None:
        super().__init__(names, distro, overrides)
        self._topic_types = TopicTypes(self.types.store)
        # Iron brought type hashes, and identifiers of 16 bytes in place of 24.
        self._old = distro == 'humble'
        self._lock = threading.Lock()
        self._topics: dict[str, Topic[Any]] = {}
        self._endpoints: dict[str, list[Entity]] = {'reader': [], 'writer': []}
        self._subscriptions: list[Subscription] = []
        self._publishers: list[Publisher] = []
        number = domain_id(domain)
        try:
            _join(number)
            self._participant = DomainParticipant(number, qos=Qos(Policy.Userdata(b'enclave=/;')))
        except DDSException as error:
            raise Pose3DError(
                f'cannot join DDS domain {number}: {error} (is a network interface up, is '
                'CYCLONEDDS_URI right?)'
            ) from error
        self._domain = number
        self._waitset = WaitSet(self._participant)
        self._guard = GuardCondition(self._participant)
        self._waitset.attach(self._guard)
        self._announcements = self._writer(GRAPH_TOPIC, GRAPH_TYPE, LATCHED)
        self.graph = DdsGraph(self._participant, self._topic(GRAPH_TOPIC, GRAPH_TYPE), self.types)
        self._announce()
        self._alone = threading.Timer(ALONE_AFTER_S, self._warn_if_alone)
        self._alone.daemon = True
        self._alone.start()

    def publisher(self, topic: str, type_name: str, profile: Profile) -> Publisher:
        """As WireNode.publisher."""
        full = self.names.topic(topic)
        profile = self._overrides.apply(profile, full, 'publisher')
        publisher = self._writer(f'rt{full}', type_name, profile)
        self._publishers.append(publisher)
        self._announce()
        return publisher

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
        subscription = Subscription(full, type_name, callback)
        self._subscriptions.append(subscription)
        self._open(subscription, self._overrides.apply(profile, full, 'subscription'))
        return subscription

    def resubscribe(self, subscription: wire.Subscription, profile: Profile) -> bool:
        """As WireNode.resubscribe."""
        assert isinstance(subscription, Subscription)
        profile = self._overrides.apply(profile, subscription.topic, 'subscription')
        if profile == subscription.profile:
            return False
        old = subscription.reader
        self._waitset.detach(subscription.condition)
        self._endpoints['reader'].remove(old)
        self._open(subscription, profile)
        old._delete(old._ref)
        return True

    def _open(self, subscription: Subscription, profile: Profile) -> None:
        topic, type_name = f'rt{subscription.topic}', subscription.type_name
        reader: DataReader[Any] = DataReader(
            self._participant,
            self._topic(topic, type_name),
            qos=cyclone_qos(profile, self._user_data(type_name)),
        )
        subscription.listen(reader, profile)
        self._waitset.attach(subscription.condition)
        self._endpoints['reader'].append(reader)
        self._announce()

    def _wait(self, seconds: float) -> None:
        self._waitset.wait(duration(seconds=seconds))

    def _wake(self) -> None:
        self._guard.set(True)

    def _listening(self) -> list[Subscription]:
        return self._subscriptions

    def close(self, flush_s: float = 1.0) -> None:
        """Leave the network; what was published last still gets through."""
        self._alone.cancel()
        end = time.monotonic() + flush_s
        for publisher in self._publishers:
            publisher.flush(max(0.0, end - time.monotonic()))
        self._subscriptions.clear()
        self._publishers.clear()
        self._endpoints = {'reader': [], 'writer': []}
        # Goes with all that belongs to it. Entities delete themselves again; that does no harm.
        self._participant._delete(self._participant._ref)

    def others(self) -> int:
        """Number of other participants in the domain that this one has found."""
        reader = BuiltinDataReader(self._participant, BuiltinTopicDcpsParticipant)
        keys = {sample.key for sample in reader.read(1000)}
        return len(keys - {self._participant.guid})

    def _warn_if_alone(self) -> None:
        with suppress(DDSException):  # closed meanwhile
            if not self.others():
                _log.warning(
                    'nobody else found in DDS domain %d within %g s (reach: %s); ROS_DOMAIN_ID and '
                    'ROS_AUTOMATIC_DISCOVERY_RANGE must fit those of the others',
                    self._domain,
                    ALONE_AFTER_S,
                    describe_reach(),
                )

    def _writer(self, wire_name: str, type_name: str, profile: Profile) -> Publisher:
        topic = self._topic(wire_name, type_name)
        writer: DataWriter[Any] = DataWriter(
            self._participant, topic, qos=cyclone_qos(profile, self._user_data(type_name))
        )
        if wire_name.startswith('rt/'):
            self._endpoints['writer'].append(writer)
        return Publisher(writer, self._topic_types(type_name), self.types, type_name)

    def _topic(self, wire_name: str, type_name: str) -> Topic[Any]:
        key = f'{wire_name} {type_name}'
        if key not in self._topics:
            self._topics[key] = Topic(self._participant, wire_name, self._topic_types(type_name))
        return self._topics[key]

    def _user_data(self, type_name: str) -> bytes:
        if self._old:
            return b''
        return f'typehash={self.types.type_hash(type_name)};'.encode()

    def _announce(self) -> None:
        """Tell the network of this node and its endpoints, for `ros2 node list` and the like."""
        with self._lock:
            gid_type = self.types('rmw_dds_common/msg/Gid')
            length = len(gid_type().data)

            def gid(entity: Entity) -> Message:
                data = np.frombuffer(entity.guid.bytes.ljust(length, b'\0'), dtype=np.uint8)
                return gid_type(data=data)

            node = self.types('rmw_dds_common/msg/NodeEntitiesInfo')(
                node_namespace=self.names.namespace,
                node_name=self.names.name,
                reader_gid_seq=[gid(e) for e in self._endpoints['reader']],
                writer_gid_seq=[gid(e) for e in self._endpoints['writer']],
            )
            self._announcements.publish(
                self.types(GRAPH_TYPE)(gid=gid(self._participant), node_entities_info_seq=[node])
            )
