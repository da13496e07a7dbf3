# SPDX-License-Identifier: Apache-2.0
"""A ROS 2 node on Cyclone DDS: publishers, subscriptions, timers, and its place in the graph."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
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

from ..errors import ConfigError, Pose3DError
from ..messages.standalone import StandaloneTypes
from ..messages.types import Message
from ..node.qos import LATCHED, Profile
from .names import Names
from .qos import POLICIES, Overrides, cyclone_qos
from .types import TopicTypes

GRAPH_TYPE = 'rmw_dds_common/msg/ParticipantEntitiesInfo'
# Large images come in bursts of fragments; as much of this as the kernel allows.
_BUFFERS = '<Internal><SocketReceiveBufferSize min="default" max="10MB"/></Internal>'
# A signal is noticed only between two waits.
_LONGEST_WAIT_S = 0.1

_log = logging.getLogger(__name__)


def domain_id(value: int | None = None) -> int:
    """The domain to join: as asked for, else $ROS_DOMAIN_ID, else 0."""
    text = os.environ.get('ROS_DOMAIN_ID') or '0'
    if value is None:
        if not text.strip().isdigit():
            raise ConfigError(f'ROS_DOMAIN_ID must be a number, not {text!r}')
        value = int(text)
    if not 0 <= value <= 232:
        raise ConfigError(f'the domain must lie in [0, 232], not {value}')
    return value


def cyclone_config() -> str:
    """Cyclone DDS's configuration for ROS's discovery variables and $CYCLONEDDS_URI."""
    reach = os.environ.get('ROS_AUTOMATIC_DISCOVERY_RANGE', '').upper()
    if os.environ.get('ROS_LOCALHOST_ONLY') == '1':
        reach = 'LOCALHOST'
    if reach not in ('', 'SUBNET', 'LOCALHOST', 'OFF', 'SYSTEM_DEFAULT'):
        raise ConfigError(
            'ROS_AUTOMATIC_DISCOVERY_RANGE must be one of SUBNET, LOCALHOST, OFF, SYSTEM_DEFAULT, '
            f'not {reach!r}'
        )
    peers = [p.strip() for p in os.environ.get('ROS_STATIC_PEERS', '').split(';') if p.strip()]
    general = discovery = ''
    if reach in ('LOCALHOST', 'OFF'):
        general = '<General><AllowMulticast>false</AllowMulticast></General>'
    if reach == 'LOCALHOST':
        peers.append('localhost')
    if reach == 'OFF':
        peers = []
    if general or peers:
        listed = ''.join(f'<Peer address="{peer}"/>' for peer in peers)
        discovery = (
            '<Discovery><ParticipantIndex>auto</ParticipantIndex>'
            f'<MaxAutoParticipantIndex>32</MaxAutoParticipantIndex><Peers>{listed}</Peers>'
            '</Discovery>'
        )
    own = f'<CycloneDDS><Domain>{general}{discovery}{_BUFFERS}</Domain></CycloneDDS>'
    return ','.join(part for part in (own, os.environ.get('CYCLONEDDS_URI', '')) if part)


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
    """Receives serialised messages of one topic."""

    def __init__(self, reader: DataReader[Any], callback: Callable[[bytes], None]) -> None:
        self._reader, self._callback = reader, callback

    def dispatch(self) -> None:
        """Call back for each message that waits."""
        # Taken in one go: what comes meanwhile has its turn after the other subscriptions.
        for sample in self._reader.take(100):
            raw = getattr(sample, 'raw', b'')
            if raw:
                self._callback(raw)

    def publishers(self) -> int:
        """Number of matched publishers."""
        return int(_status(self._reader.get_subscription_matched_status).current_count)

    def lost(self) -> int:
        """Messages that got lost on the way, for example because fragments were dropped."""
        return int(_status(self._reader.get_sample_lost_status).total_count)

    def incompatible(self) -> str:
        """The policy that keeps peers away; empty if none does."""
        return _incompatible(
            _status(self._reader.get_requested_incompatible_qos_status), self.publishers()
        )


def _status(read: Callable[[], Any]) -> Any:
    """The status that an entity's method gives (the library leaves those untyped)."""
    return read()


def _incompatible(status: Any, matched: int) -> str:
    if not status.total_count or matched:
        return ''
    return POLICIES.get(int(status.last_policy_id), f'policy {status.last_policy_id}')


@dataclass
class _Timer:
    period_s: float
    callback: Callable[[], None]
    due: float = field(default_factory=time.monotonic)


class DdsNode:
    """What rclpy.node.Node is under ROS, as far as it is needed here.

    spin() calls subscriptions and timers back in one thread. Publishers may be used from any.
    """

    def __init__(
        self,
        names: Names,
        *,
        domain: int | None = None,
        distro: str = 'jazzy',
        overrides: Overrides | None = None,
    ) -> None:
        self.names = names
        self.types = StandaloneTypes(distro)
        self._topic_types = TopicTypes(self.types.store)
        # Iron brought type hashes, and identifiers of 16 bytes in place of 24.
        self._old = distro == 'humble'
        self._overrides = overrides or Overrides()
        self._lock = threading.Lock()
        self._topics: dict[str, Topic[Any]] = {}
        self._endpoints: dict[str, list[Entity]] = {'reader': [], 'writer': []}
        self._subscriptions: list[Subscription] = []
        self._publishers: list[Publisher] = []
        self._timers: list[_Timer] = []
        self._stopping = threading.Event()
        number = domain_id(domain)
        try:
            _join(number)
            self._participant = DomainParticipant(number, qos=Qos(Policy.Userdata(b'enclave=/;')))
        except DDSException as error:
            raise Pose3DError(f'cannot join DDS domain {number}: {error}') from error
        self._waitset = WaitSet(self._participant)
        self._guard = GuardCondition(self._participant)
        self._waitset.attach(self._guard)
        self._graph = self._writer('ros_discovery_info', GRAPH_TYPE, LATCHED)
        self._announce()

    def publisher(self, topic: str, type_name: str, profile: Profile) -> Publisher:
        """Publish on a topic, named as in a ROS node: relative, ~/private or /absolute."""
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
        """Subscribe; the callback gets the serialised message.

        suffix: put behind the name after remapping, as image transports do.
        """
        full = self.names.topic(topic) + suffix
        profile = self._overrides.apply(profile, full, 'subscription')
        reader: DataReader[Any] = DataReader(
            self._participant,
            self._topic(f'rt{full}', type_name),
            qos=cyclone_qos(profile, self._user_data(type_name)),
        )
        self._waitset.attach(
            ReadCondition(reader, ViewState.Any | SampleState.NotRead | InstanceState.Any)
        )
        subscription = Subscription(reader, callback)
        self._endpoints['reader'].append(reader)
        self._subscriptions.append(subscription)
        self._announce()
        return subscription

    def every(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call back at this period, from now on."""
        self._timers.append(_Timer(seconds, callback))

    def spin(self) -> None:
        """Serve subscriptions and timers until stop()."""
        while not self._stopping.is_set():
            self.spin_once(_LONGEST_WAIT_S)

    def spin_once(self, timeout_s: float) -> None:
        """Wait for something to do, at most so long, and do it."""
        now = time.monotonic()
        wait = min([timeout_s, *(timer.due - now for timer in self._timers)])
        if wait > 0:
            self._waitset.wait(duration(seconds=wait))
        for subscription in self._subscriptions:
            subscription.dispatch()
        now = time.monotonic()
        for timer in self._timers:
            if now >= timer.due:
                # Late ones are left out, not made up for.
                timer.due = max(timer.due + timer.period_s, now)
                timer.callback()

    def stop(self) -> None:
        """End spin(); from any thread or a signal handler."""
        self._stopping.set()
        self._guard.set(True)

    def close(self, flush_s: float = 1.0) -> None:
        """Leave the network; what was published last still gets through."""
        end = time.monotonic() + flush_s
        for publisher in self._publishers:
            publisher.flush(max(0.0, end - time.monotonic()))
        self._subscriptions.clear()
        self._publishers.clear()
        self._endpoints = {'reader': [], 'writer': []}
        # Goes with all that belongs to it. Entities delete themselves again; that does no harm.
        self._participant._delete(self._participant._ref)

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
            self._graph.publish(
                self.types(GRAPH_TYPE)(gid=gid(self._participant), node_entities_info_seq=[node])
            )
