# SPDX-License-Identifier: Apache-2.0
"""ROS's discovery variables: the node without ROS finds, and is found, as another node of ROS."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from harness import TIMEOUT_S, Process
from support.domains import free_domain

VARIABLES = {
    'subnet': {},
    'localhost': {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'},
    'localhost_only': {'ROS_LOCALHOST_ONLY': '1'},
    'off': {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'OFF'},
}
NONE = {
    'ROS_AUTOMATIC_DISCOVERY_RANGE': '',
    'ROS_LOCALHOST_ONLY': '',
    'ROS_STATIC_PEERS': '',
    'CYCLONEDDS_URI': '',
}
PINGING = str(Path(__file__).with_name('pinging.py'))


@pytest.fixture
def ours(without_ros, domain):
    """Function that starts a node without ROS that answers; it is ready then."""

    def start(name: str, **variables: str) -> None:
        values = {**NONE, **variables, 'ROS_DOMAIN_ID': domain}
        without_ros('support.echo', name, **values).wait_for('ready')

    return start


@pytest.fixture
def theirs(tmp_path, domain):
    """Function that starts a node of ROS that asks."""
    started = []

    def start(name: str, **variables: str) -> Process:
        values = {**NONE, **variables, 'ROS_DOMAIN_ID': domain}
        started.append(Process([sys.executable, PINGING, name], tmp_path / f'{name}.log', **values))
        return started[-1]

    yield start
    for process in started:
        process.__exit__()


@pytest.fixture
def domain():
    """One that no other test uses."""
    return str(free_domain())


def wait_for(nodes: dict[str, Process], expected: dict[str, set[str]]) -> dict[str, set[str]]:
    """What the nodes have printed as soon as it contains what is expected."""
    end = time.monotonic() + TIMEOUT_S
    while True:
        lines = {
            name: {line for line in node.output.splitlines() if line.startswith(('both ', 'from '))}
            for name, node in nodes.items()
        }
        if all(expected[name] <= lines[name] for name in nodes):
            return lines
        assert time.monotonic() < end, f'only {lines}'
        time.sleep(0.05)


def test_ranges(ours, theirs):
    for name, variables in VARIABLES.items():
        ours(name, **variables)
    nodes = {name: theirs(name, **variables) for name, variables in VARIABLES.items()}
    # On one machine everybody finds everybody who has not turned discovery off.
    found = {f'both {name}' for name in VARIABLES if name != 'off'}
    lines = wait_for(nodes, {name: set() if name == 'off' else found for name in nodes})
    assert lines.pop('off') == set()
    assert not any(line.endswith(' off') for heard in lines.values() for line in heard)
