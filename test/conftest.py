# SPDX-License-Identifier: Apache-2.0
"""Fixtures for what is not in the repository: recorded results, clips, model files."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Not a setting of pytest: Humble's has none for it. An installed package goes before the checkout.
sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1]))

from shared import DATA, PARITY, Recorded, parity_file
from support.network import Network

from pose3d_ros.errors import ModelError
from pose3d_ros.zoo import Model, find_model


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that parallel workers end together."""
    slow = {item.path for item in items if item.get_closest_marker('slow')}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """Commands set up the loggers of the package; the next test starts without that."""
    loggers = [logging.getLogger(name) for name in ('pose3d', 'pose3d_ros')]
    before = [(each.handlers[:], each.propagate, each.level) for each in loggers]
    yield
    for each, (handlers, propagate, level) in zip(loggers, before):
        each.handlers, each.propagate = handlers, propagate
        each.setLevel(level)


@pytest.fixture(scope='session')
def recorded() -> Recorded:
    """Finds a file of recorded results of the published programs by its name below the folder."""

    def find(name: str) -> Path:
        path = parity_file(name)
        if path is None:
            pytest.skip(f'no {PARITY / name} (POSE3D_PARITY names another folder)')
        return path

    return find


@pytest.fixture(scope='session')
def data_dir() -> Path:
    """Clips with ground truth, photographs, motion data."""
    if not DATA.is_dir():
        pytest.skip(f'no clips and images in {DATA} (POSE3D_DATA names another folder)')
    return DATA


@pytest.fixture(scope='session')
def blazepose_model() -> Model:
    """BlazePose's files, which `make test` fetches."""
    try:
        return find_model('blazepose')
    except ModelError as error:
        pytest.skip(str(error))


@pytest.fixture
def network(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Network]:
    """A network of one's own: DDS or, by the fixture's parameter, Zenoh with a router."""
    for name in [name for name in os.environ if name.startswith(('ROS_', 'CYCLONE', 'ZENOH_'))]:
        monkeypatch.delenv(name)
    if getattr(request, 'param', 'dds') == 'zenoh':
        pytest.importorskip('zenoh')
        pytest.importorskip('xxhash')
        from support.router import free_address, start_router

        from pose3d_ros.zenoh.participant import ZenohNode

        address = free_address()
        monkeypatch.setenv('ZENOH_CONFIG_OVERRIDE', f'connect/endpoints=["{address}"]')
        router = start_router(address)
        made = Network(tmp_path, ZenohNode, '--transport', 'zenoh')
        yield made
        made.end()
        router.close()
        return
    pytest.importorskip('cyclonedds')
    from pose3d_ros.dds.participant import DdsNode

    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    made = Network(tmp_path, DdsNode)
    yield made
    made.end()
