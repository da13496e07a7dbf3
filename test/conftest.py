# SPDX-License-Identifier: Apache-2.0
"""Fixtures for what is not in the repository: recorded results, clips, model files."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Not a setting of pytest: Humble's has none for it. An installed package goes before the checkout.
sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1]))

from shared import DATA, PARITY, Recorded, parity_file

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
