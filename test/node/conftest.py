# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from support.node import Node


@pytest.fixture
def make():
    made = []

    def start(*args, **settings):
        node = Node(*args, **settings)
        made.append(node)
        return node

    yield start
    for node in made:
        assert node.core.deactivate()
