# SPDX-License-Identifier: Apache-2.0
"""Whom a node on the wire can find: ROS's discovery variables as a configuration of Cyclone DDS.

As rmw_cyclonedds has it, so that both ends of a network mean the same by the same variables.
"""

from __future__ import annotations

import logging
import os
import socket
from pathlib import Path
from urllib.parse import unquote, urlparse
from xml.sax.saxutils import quoteattr

from ..errors import ConfigError
from ..node.qos import CYCLONE_BUFFERS

RANGES = ('SUBNET', 'LOCALHOST', 'OFF', 'SYSTEM_DEFAULT')
# Peers of the same machine may know themselves by the loopback interface alone. Static peers are
# reached through the other one. Not for SUBNET: Fast DDS on another machine would send all that it
# publishes for this node to its own loopback interface too.
_INTERFACES = (
    '<Interfaces><NetworkInterface autodetermine="true" priority="1"/>'
    '<NetworkInterface address="127.0.0.1" priority="0" multicast="false"/></Interfaces>'
)

_log = logging.getLogger('pose3d')
_ROUTES = Path('/proc/net/route')


def discovery_range() -> str:
    """One of RANGES, by $ROS_LOCALHOST_ONLY and $ROS_AUTOMATIC_DISCOVERY_RANGE."""
    if _localhost_only():
        return 'LOCALHOST'
    value = os.environ.get('ROS_AUTOMATIC_DISCOVERY_RANGE', '').upper() or 'SUBNET'
    if value not in RANGES:
        raise ConfigError(
            f'ROS_AUTOMATIC_DISCOVERY_RANGE must be one of {", ".join(RANGES)}, not {value!r}'
        )
    return value


def static_peers() -> list[str]:
    """Addresses of $ROS_STATIC_PEERS, as far as the range heeds them."""
    if _localhost_only() or discovery_range() in ('OFF', 'SYSTEM_DEFAULT'):
        return []
    listed = os.environ.get('ROS_STATIC_PEERS', '').split(';')
    return [peer.strip() for peer in listed if peer.strip()]


def _localhost_only() -> bool:
    return os.environ.get('ROS_LOCALHOST_ONLY') == '1'


def describe_reach() -> str:
    """Range and static peers in words."""
    peers = static_peers()
    return discovery_range() + (f', static peers {", ".join(peers)}' if peers else '')


def cyclone_config() -> str:
    """Cyclone DDS's configuration; $CYCLONEDDS_URI comes last and prevails."""
    reach, peers = discovery_range(), static_peers()
    uri = os.environ.get('CYCLONEDDS_URI', '')
    general = ''
    if reach == 'LOCALHOST' and _has_network() and not _names_interfaces(uri):
        general = _INTERFACES
    if reach in ('LOCALHOST', 'OFF'):
        general += '<AllowMulticast>false</AllowMulticast>'
    if reach == 'OFF':
        # Nobody else has this tag.
        discovery = (
            f'<ParticipantIndex>none</ParticipantIndex><Tag>ros_discovery_off_{os.getpid()}</Tag>'
        )
    elif reach == 'SYSTEM_DEFAULT':
        discovery = ''
    else:
        # Those of this machine who use no multicast are discovered by asking at the ports that
        # follow from the domain, again and again: who is not there yet does not hear it.
        reached = ['localhost', *filter(_resolves, peers)]
        listed = ''.join(f'<Peer address={quoteattr(peer)}/>' for peer in reached)
        discovery = (
            '<ParticipantIndex>auto</ParticipantIndex>'
            '<MaxAutoParticipantIndex>32</MaxAutoParticipantIndex>'
            f'<SPDPInterval>3 s</SPDPInterval><Peers>{listed}</Peers>'
            '<InitialLocatorPruneDelay>inf</InitialLocatorPruneDelay>'
        )
    own = (
        f'<CycloneDDS><Domain><General>{general}</General>'
        f'<Discovery>{discovery}</Discovery>{CYCLONE_BUFFERS}</Domain></CycloneDDS>'
    )
    return ','.join(part for part in (own, uri) if part)


def _resolves(peer: str) -> bool:
    """Whether a name or address, perhaps with a port, means something; if not, with a warning."""
    host = peer.partition(':')[0] if peer.count(':') == 1 else peer
    try:
        socket.getaddrinfo(host, None)
    except OSError as error:
        # Cyclone DDS would end the process.
        _log.warning('ROS_STATIC_PEERS: %s is left out (%s)', peer, error.strerror)
        return False
    return True


def _has_network() -> bool:
    """Whether an interface beside the loopback has an address; else that one is found anyway."""
    try:
        return len(_ROUTES.read_text(encoding='ascii').splitlines()) > 1
    except OSError:
        return True  # not Linux


def _names_interfaces(uri: str) -> bool:
    """Whether a configuration chooses network interfaces; ours would be added to those."""
    return any('NetworkInterface' in _text(part.strip()) for part in uri.split(','))


def _text(part: str) -> str:
    if part.startswith('file://'):
        part = unquote(urlparse(part).path)
    elif part.startswith('<'):
        return part
    try:
        return Path(part).read_text(encoding='utf-8', errors='replace')
    except OSError:
        return part  # Cyclone DDS itself says what is wrong with it
