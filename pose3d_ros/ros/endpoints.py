# SPDX-License-Identifier: Apache-2.0
"""Publishers and subscriptions of one camera, with QoS overrides and an eye on incompatible peers.

A best-effort publisher and a reliable subscriber exchange nothing and say nothing about it; here
it becomes a warning when it happens and an error in the diagnostics for as long as it lasts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSCompatibility,
    QoSPolicyKind,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
    qos_policy_name_from_kind,
)
from rclpy.qos_overriding_options import QoSOverridingOptions

from ..node.qos import Profile

try:
    from rclpy.event_handler import (
        PublisherEventCallbacks,
        SubscriptionEventCallbacks,
        UnsupportedEventTypeError,
    )
except ImportError:  # Humble
    from rclpy.qos_event import (
        PublisherEventCallbacks,
        SubscriptionEventCallbacks,
        UnsupportedEventTypeError,
    )


# As QoSOverridingOptions.with_default_policies() has them.
POLICIES = (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.RELIABILITY)


def ros_qos(profile: Profile) -> QoSProfile:
    """A profile as rclpy wants it."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=profile.depth,
        reliability=ReliabilityPolicy.RELIABLE
        if profile.reliable
        else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL
        if profile.transient_local
        else DurabilityPolicy.VOLATILE,
    )


def profile_of(qos: QoSProfile) -> Profile:
    """The other way round."""
    return Profile(
        reliable=qos.reliability == ReliabilityPolicy.RELIABLE,
        transient_local=qos.durability == DurabilityPolicy.TRANSIENT_LOCAL,
        depth=qos.depth,
    )


def describe_qos(qos: QoSProfile) -> str:
    """The policies that users stumble over, in words."""
    parts = [qos.reliability.name.lower().replace('_', ' '), f'depth {qos.depth}']
    if qos.durability == DurabilityPolicy.TRANSIENT_LOCAL:
        parts.append('transient local')
    return ', '.join(parts)


@dataclass
class Endpoint:
    """A publisher or subscription, its resolved topic and its QoS with all overrides."""

    handle: Any
    topic: str
    qos: QoSProfile
    publishes: bool
    suspect: bool = False
    """An incompatible peer was seen; whether it is still there has to be looked up."""
    make: Callable[[QoSProfile], None] | None = None
    """Makes a subscription anew whose reliability may change."""


class Endpoints:
    """Creates endpoints on a lifecycle node and destroys them again.

    QoSOverridingOptions let a file set `qos_overrides.<topic>.<publisher|subscription>.<policy>`.
    """

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        self._endpoints: list[Endpoint] = []
        self.lost = 0
        """Messages that the middleware reported as lost."""

    def publisher(self, message_type: type, topic: str, profile: Profile) -> Endpoint:
        """A lifecycle publisher."""
        qos = ros_qos(profile)
        made = Endpoint(None, '', qos, True)
        made.handle = self._node.create_lifecycle_publisher(
            message_type,
            topic,
            qos,
            event_callbacks=PublisherEventCallbacks(
                incompatible_qos=lambda event: self._incompatible(made, event)
            ),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        made.topic = made.handle.topic_name
        self._endpoints.append(made)
        return made

    def subscription(
        self,
        message_type: type,
        topic: str,
        callback: Callable[[Any], None],
        profile: Profile,
        raw: bool = False,
        *,
        changes: bool = False,
    ) -> Endpoint:
        """A subscription. raw: the callback gets the serialised message.

        changes: its reliability may, by resubscribe(), unless the user has fixed it.
        """
        made = Endpoint(None, '', ros_qos(profile), False)
        policies = list(POLICIES)
        if changes and not self._fixed(topic):
            # A parameter would keep the first value for ever.
            policies.remove(QoSPolicyKind.RELIABILITY)
        options = QoSOverridingOptions(policies)

        def make(qos: QoSProfile) -> None:
            made.qos, made.suspect = qos, False
            made.handle = self._subscription(made, message_type, topic, callback, options, raw)

        make(made.qos)
        made.make = make if QoSPolicyKind.RELIABILITY not in policies else None
        made.topic = made.handle.topic_name
        self._endpoints.append(made)
        return made

    def resubscribe(self, endpoint: Endpoint, profile: Profile) -> bool:
        """Go on with the reliability of that profile; whether it is another one."""
        reliability = ros_qos(profile).reliability
        if endpoint.make is None or endpoint.qos.reliability == reliability:
            return False
        self._node.destroy_subscription(endpoint.handle)
        endpoint.qos.reliability = reliability
        endpoint.make(endpoint.qos)
        return True

    def _fixed(self, topic: str) -> bool:
        """Whether the user has chosen the reliability of a subscription."""
        resolved = self._node.resolve_topic_name(topic)
        name = f'qos_overrides.{resolved}.subscription.reliability'
        if self._node.has_parameter(name):
            return True
        anything = ParameterDescriptor(dynamic_typing=True)
        chosen = self._node.declare_parameter(name, None, anything).value is not None
        self._node.undeclare_parameter(name)
        return chosen

    def _subscription(
        self,
        made: Endpoint,
        message_type: type,
        topic: str,
        callback: Callable[[Any], None],
        options: QoSOverridingOptions,
        raw: bool,
    ) -> Any:
        events: dict[str, Any] = {
            'incompatible_qos': lambda event: self._incompatible(made, event),
            'message_lost': self._message_lost,
        }
        while True:
            try:
                return self._node.create_subscription(
                    message_type,
                    topic,
                    callback,
                    made.qos,
                    event_callbacks=SubscriptionEventCallbacks(**events),
                    qos_overriding_options=options,
                    raw=raw,
                )
            except UnsupportedEventTypeError:
                # Not every middleware counts lost messages.
                if events.pop('message_lost', None) is None:
                    raise

    def destroy(self, *, publishers: bool) -> None:
        """Destroy all subscriptions, or all publishers."""
        for endpoint in [e for e in self._endpoints if e.publishes == publishers]:
            if publishers:
                self._node.destroy_lifecycle_publisher(endpoint.handle)
            else:
                self._node.destroy_subscription(endpoint.handle)
            self._endpoints.remove(endpoint)

    def flush(self, timeout_s: float) -> None:
        """Wait until reliable subscribers have all that was published, at most so long."""
        end = time.monotonic() + timeout_s
        for endpoint in self._endpoints:
            if endpoint.publishes and endpoint.handle.get_subscription_count():
                left = max(0.0, end - time.monotonic())
                endpoint.handle.wait_for_all_acked(Duration(seconds=left))

    def problems(self) -> list[str]:
        """Incompatible peers that are there now."""
        descriptions = []
        for endpoint in self._endpoints:
            if endpoint.suspect:
                peers = self._incompatible_peers(endpoint)
                descriptions += peers
                endpoint.suspect = bool(peers)
        return descriptions

    def _incompatible(self, endpoint: Endpoint, event: Any) -> None:
        endpoint.suspect = True
        policy = qos_policy_name_from_kind(event.last_policy_kind)
        role, peer = ('publisher', 'subscriber') if endpoint.publishes else (
            'subscription', 'publisher')  # fmt: skip
        self._node.get_logger().warning(
            f'a {peer} of {endpoint.topic} has an incompatible QoS ({policy}): nothing is '
            f'exchanged with it. This node uses {describe_qos(endpoint.qos)}; see the parameters '
            f'qos_overrides.{endpoint.topic}.{role}.*'
        )

    def _incompatible_peers(self, endpoint: Endpoint) -> list[str]:
        node, descriptions = self._node, []
        if endpoint.publishes:
            peers = node.get_subscriptions_info_by_topic(endpoint.topic)
        else:
            peers = node.get_publishers_info_by_topic(endpoint.topic)
        for peer in peers:
            pair = (
                (endpoint.qos, peer.qos_profile)
                if endpoint.publishes
                else (peer.qos_profile, endpoint.qos)
            )
            compatible, reason = qos_check_compatible(*pair)
            if compatible == QoSCompatibility.ERROR:
                name = f'{peer.node_namespace.rstrip("/")}/{peer.node_name}'
                descriptions.append(f'{name} on {endpoint.topic}: {reason.strip().rstrip(";")}')
        return descriptions

    def _message_lost(self, event: Any) -> None:
        self.lost = int(event.total_count)
