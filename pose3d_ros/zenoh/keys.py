# SPDX-License-Identifier: Apache-2.0
"""Key expressions, liveliness tokens and attachments of rmw_zenoh, from Jazzy on.

After docs/design.md and the sources of rmw_zenoh_cpp. Both sides build the same text of what they
know of a topic, so every character counts.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import xxhash

from ..node.qos import Profile
from ..standalone.names import Names, ros_type, wire_type

_SPACE = '@ros2_lv'
NODE, PUBLISHER, SUBSCRIPTION = 'NN', 'MP', 'MS'
# rmw_zenoh leaves out of a token what is as its own default profile has it.
_USUAL_DEPTH = 42
# Sequence number, nanoseconds, length and bytes of the publisher's identifier.
_ATTACHMENT = struct.Struct('<qqB16s')


@dataclass(frozen=True)
class Token:
    """A node, publisher or subscription that is alive. sort: NODE, PUBLISHER or SUBSCRIPTION.

    node: its full name. A node itself has no topic.
    """

    sort: str
    node: str
    topic: str = ''
    type_name: str = ''
    type_hash: str = ''


def topic_key(domain: int, topic: str, type_name: str, type_hash: str) -> str:
    """Key expression of a topic's messages; topic: full name."""
    return f'{domain}/{topic.strip("/")}/{wire_type(type_name)}/{type_hash}'


def tokens_of(domain: int) -> str:
    """Key expression of everything that is alive in a domain."""
    return f'{_SPACE}/{domain}/**'


def token_of_node(domain: int, session: str, names: Names) -> str:
    """Liveliness token of the one node in a session, which has the number 0."""
    return f'{_SPACE}/{domain}/{session}/0/0/{NODE}/{_node(names)}'


def token_of_endpoint(
    domain: int, session: str, number: int, names: Names, token: Token, profile: Profile
) -> str:
    """Liveliness token of a publisher or subscription; number: its own in the session."""
    return '/'.join(
        (
            f'{_SPACE}/{domain}/{session}/0/{number}/{token.sort}/{_node(names)}',
            _mangled(token.topic),
            wire_type(token.type_name),
            token.type_hash,
            _qos(profile),
        )
    )


def parse_token(key: str) -> Token | None:
    """What a liveliness token says; None if it is none of rmw_zenoh's."""
    # Newer releases add parts at the end.
    parts = key.split('/')
    if len(parts) < 9 or parts[0] != _SPACE:
        return None
    sort, namespace, name = parts[5], _plain(parts[7]), parts[8]
    node = f'{namespace.rstrip("/")}/{name}'
    if sort == NODE:
        return Token(sort, node)
    if len(parts) < 13:
        return None
    return Token(sort, node, _plain(parts[9]), ros_type(parts[10]), parts[11])


def identifier(token: str) -> bytes:
    """Identifier (GID) of the publisher or subscription with a liveliness token, 16 bytes."""
    digest: int = xxhash.xxh3_128_intdigest(token.encode())
    return digest.to_bytes(16, 'little')


def attachment(number: int, stamp_ns: int, publisher: bytes) -> bytes:
    """What goes with each message; number: from 1 on, publisher: its identifier."""
    return _ATTACHMENT.pack(number, stamp_ns, len(publisher), publisher)


def parse_attachment(data: bytes) -> tuple[int, bytes] | None:
    """Number of a message and identifier of its publisher; None if that is no attachment."""
    if len(data) != _ATTACHMENT.size:
        return None
    number, _, _, publisher = _ATTACHMENT.unpack(data)
    return number, publisher


def _node(names: Names) -> str:
    # The enclave, which belongs to ROS's security, comes first.
    return f'{_mangled("/")}/{_mangled(names.namespace)}/{names.name}'


def _qos(profile: Profile) -> str:
    """Reliability, durability, history and depth; deadline, lifespan and liveliness stay open."""
    reliability = '' if profile.reliable else '2'
    durability = '1' if profile.transient_local else ''
    depth = '' if profile.depth == _USUAL_DEPTH else profile.depth
    return f'{reliability}:{durability}:,{depth}:,:,:,,'


def _mangled(name: str) -> str:
    return name.replace('/', '%')


def _plain(name: str) -> str:
    return name.replace('%', '/')
