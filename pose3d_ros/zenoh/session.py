# SPDX-License-Identifier: Apache-2.0
"""The session of a node: whom it connects to, by the variables of rmw_zenoh."""

from __future__ import annotations

import json
import os
from typing import Any

import zenoh

from ..errors import ConfigError, Pose3DError

ROUTER = 'tcp/localhost:7447'
FILE, OVERRIDE = 'ZENOH_SESSION_CONFIG_URI', 'ZENOH_CONFIG_OVERRIDE'
# Where rmw_zenoh's default configuration departs from Zenoh's: nodes of a machine meet through its
# router and then talk directly. The cache of transient local topics wants time stamps.
_DEFAULTS: dict[str, Any] = {
    'mode': 'peer',
    'connect/endpoints': [ROUTER],
    'listen/endpoints': ['tcp/localhost:0'],
    'scouting/multicast/enabled': False,
    'scouting/gossip/enabled': True,
    'scouting/gossip/target': {'router': ['router', 'peer'], 'peer': ['router']},
    'timestamping/enabled': {'router': True, 'peer': True, 'client': True},
}


def session_config() -> zenoh.Config:
    """rmw_zenoh's defaults, or the file of $ZENOH_SESSION_CONFIG_URI; then $ZENOH_CONFIG_OVERRIDE.

    Raises ConfigError that names the variable.
    """
    path = os.environ.get(FILE)
    if path:
        try:
            config = zenoh.Config.from_file(path)
        except zenoh.ZError as error:
            raise ConfigError(f'{FILE}: cannot read {path!r}: {error}') from error
    else:
        config = zenoh.Config()
        for key, value in _DEFAULTS.items():
            config.insert_json5(key, json.dumps(value))
    for change in filter(None, os.environ.get(OVERRIDE, '').split(';')):
        key, assigned, text = change.partition('=')
        if not assigned:
            raise ConfigError(f'{OVERRIDE}: {change!r} must be KEY=VALUE, several with ; between')
        try:
            config.insert_json5(key.strip(), text.strip())
        except zenoh.ZError as error:
            raise ConfigError(f'{OVERRIDE}: cannot set {change!r}: {error}') from error
    return config


def endpoints(config: zenoh.Config) -> str:
    """The addresses that a session connects to, in words."""
    listed = json.loads(config.get_json('connect/endpoints'))
    if isinstance(listed, dict):
        listed = [address for addresses in listed.values() for address in addresses or ()]
    return ', '.join(map(str, listed or ())) or 'none configured'


def open_session(config: zenoh.Config) -> zenoh.Session:
    """Raises Pose3DError if that cannot be done; a peer goes on without its router."""
    try:
        return zenoh.open(config)
    except zenoh.ZError as error:
        raise Pose3DError(
            f'cannot open a Zenoh session ({endpoints(config)}): {error} (are {FILE} and '
            f'{OVERRIDE} right, does a router run?)'
        ) from error
