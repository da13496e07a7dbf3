# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests that run in a ROS 2 with this package installed and sourced."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

# For `support.blobs`, here and in the nodes that tests start.
TESTS = str(Path(__file__).parents[1])
sys.path.append(TESTS)
os.environ['PYTHONPATH'] = os.pathsep.join([os.environ.get('PYTHONPATH', ''), TESTS])

from support.domains import free_domain

# Before rclpy: a network of this run's own, and of each worker of pytest-xdist.
if 'PYTEST_XDIST_WORKER' in os.environ or 'ROS_DOMAIN_ID' not in os.environ:
    os.environ['ROS_DOMAIN_ID'] = str(free_domain())
os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
if os.environ.get('ROS_DISTRO') == 'humble':
    os.environ.setdefault('ROS_LOCALHOST_ONLY', '1')
os.environ['RCUTILS_COLORIZED_OUTPUT'] = '0'

from pose3d_ros.ros.environment import join_virtual_environment

join_virtual_environment()

import rclpy
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from harness import Peer, Process, Running, find_blazepose

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


@pytest.fixture
def without_ros(tmp_path: Path) -> Iterator:
    """Function that starts a module in an environment without ROS, with Cyclone DDS."""
    python = os.environ.get('POSE3D_STANDALONE_PYTHON', '')
    if not python:
        pytest.skip('POSE3D_STANDALONE_PYTHON names no Python with cyclonedds and rosbags')
    started: list[Process] = []

    def run(module: str, *arguments: str, **environment: str) -> Process:
        started.append(
            Process(
                [python, '-m', module, *arguments],
                tmp_path / f'without_ros_{len(started)}.log',
                without=('LD_LIBRARY_PATH', 'AMENT_PREFIX_PATH', 'VIRTUAL_ENV', 'ROS_DISTRO'),
                PYTHONPATH=os.pathsep.join([str(Path(TESTS).parent), TESTS]),
                **environment,
            )
        )
        return started[-1]

    yield run
    for process in started:
        process.__exit__()


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
