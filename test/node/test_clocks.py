# SPDX-License-Identifier: Apache-2.0
"""Stamps of another clock are named, once, with what to do."""

from __future__ import annotations

import numpy as np
import pytest
from support.node import TYPES

from pose3d_ros.messages.diagnostics import OK, WARN
from pose3d_ros.messages.types import make_header
from pose3d_ros.node.clocks import auxiliary_clock_problem, image_clock_problem

S = 1_000_000_000


@pytest.mark.parametrize('late_s', [None, 0.0, -0.2, 5.0, -9.9])
def test_queues_and_drifts_are_no_other_clock(late_s: float | None) -> None:
    assert image_clock_problem('/image', late_s) == ''


def test_another_clock_is_named() -> None:
    assert "stamps on /image are 1700000000.0 s behind this node's" in image_clock_problem(
        '/image', 1.7e9
    )
    assert 'ahead of' in image_clock_problem('/image', -20.0)
    assert auxiliary_clock_problem('/depth', '/image', 0.9) == ''
    assert 'stamps on /depth are 3600.0 s behind those on /image' in auxiliary_clock_problem(
        '/depth', '/image', -3600.0
    )


def test_the_node_says_once_that_images_are_of_another_clock(make):
    node = make(input_timeout_s=60.0)
    node.in_step = False
    for k in range(3):
        node.image(k * S + 1)  # stamped in time since boot
        status = node.status('input')
        assert status.level == WARN
        assert 'stamps on /camera/image are' in status.message
    assert len([line for line in node.warnings() if 'stamps on /camera/image' in line]) == 1
    node.image(node.now - S)
    assert node.status('input').level == OK
    node.image(1)
    node.status('input')
    assert len([line for line in node.warnings() if 'stamps on /camera/image' in line]) == 2


def test_depth_images_of_another_clock(make):
    node = make(depth_transport='raw', depth_wait_s=0.0)
    depth = TYPES('sensor_msgs/msg/Image')(
        header=make_header(TYPES, 5 * S, 'cam'), height=480, width=640, encoding='16UC1', step=1280
    )
    depth.data = np.zeros(480 * 1280, np.uint8)
    node.core.auxiliary('depth_image', '', depth)
    node.image(node.now)
    status = node.status('depth_image')
    assert status.level == WARN
    assert 'are 495.0 s behind those on /camera/image' in status.message
    assert [line for line in node.warnings() if 'behind those on' in line] == [status.message]
