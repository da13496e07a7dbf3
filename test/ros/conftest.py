# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests that run in a ROS 2 with this package installed and sourced."""

from __future__ import annotations

import os
import random
import shutil
import socket
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest


def free_domain() -> int:
    """A domain whose first ports nobody has bound."""
    while True:
        domain = random.randint(1, 99)
        try:
            for offset in range(4):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                    probe.bind(('127.0.0.1', 7410 + 250 * domain + offset))
        except OSError:
            continue
        return domain


# Before rclpy: a network of this run's own.
os.environ.setdefault('ROS_DOMAIN_ID', str(free_domain()))
os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
if os.environ.get('ROS_DISTRO') == 'humble':
    os.environ.setdefault('ROS_LOCALHOST_ONLY', '1')
os.environ['RCUTILS_COLORIZED_OUTPUT'] = '0'

# For `support.blobs`, here and in the nodes that tests start.
TESTS = str(Path(__file__).parents[1])
sys.path.append(TESTS)
os.environ['PYTHONPATH'] = os.pathsep.join([os.environ.get('PYTHONPATH', ''), TESTS])

from pose3d_ros.ros.environment import join_virtual_environment

join_virtual_environment()

import rclpy
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from harness import Peer, Running, find_blazepose

_numbers = count(1)


def is_installed(name: str) -> bool:
    """Whether there is a ROS package, or a command, of that name."""
    try:
        get_package_prefix(name)
    except PackageNotFoundError:
        return shutil.which(name) is not None
    return True


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs more of ROS than is here."""
    needed = [name for mark in item.iter_markers('needs') for name in mark.args]
    lacking = [name for name in needed if not is_installed(name)]
    if lacking:
        pytest.skip(f'not installed: {", ".join(lacking)}')


@pytest.fixture(scope='session', autouse=True)
def ros() -> Iterator[None]:
    """One context for all tests."""
    rclpy.init()
    yield
    rclpy.try_shutdown()


@pytest.fixture
def namespace() -> str:
    """One that no other test uses."""
    return f'/t{next(_numbers)}'


@pytest.fixture
def peer(namespace: str) -> Iterator[Peer]:
    """The other side: a camera, a listener, a client of services."""
    made = Peer(namespace)
    yield made
    made.destroy_node()


@pytest.fixture
def start(namespace: str) -> Iterator:
    """Function that starts the node within this process; arguments are its parameters."""
    running: list[Running] = []

    def make(*, ros_args: list[str] | None = None, **parameters) -> Running:
        parameters.setdefault('estimator', 'support.blobs')
        parameters.setdefault('diagnostics_period_s', 0.2)
        running.append(Running(namespace, parameters, ros_args or []))
        return running[-1]

    yield make
    for one in running:
        one.close()


@pytest.fixture(scope='session')
def blazepose() -> None:
    """Skips unless BlazePose can run."""
    problem = find_blazepose()
    if problem:
        pytest.skip(problem)


@pytest.fixture
def spy(monkeypatch):
    """An estimator that keeps the frames that it gets; its name is spy.estimator."""
    from dataclasses import dataclass
    from types import ModuleType

    from support import blobs

    from pose3d_ros.settings.declare import setting
    from pose3d_ros.settings.estimators import EstimatorSpec

    @dataclass(frozen=True)
    class Options:
        detector: str = setting('topic', 'where boxes come from')

    kept = []

    class Estimator(blobs.Estimator):
        spec = EstimatorSpec(Options)

        def estimate(self, frames):
            kept.extend(frames)
            return super().estimate(frames)

    for name in ('spy', 'spy.estimator'):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules['spy.estimator'].Estimator = Estimator
    return kept
