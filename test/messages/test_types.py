# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import array

import numpy as np
import pytest

from pose3d_ros.messages import make_header, stamp_of
from pose3d_ros.messages.standalone import StandaloneTypes
from pose3d_ros.messages.types import fill

TYPES = StandaloneTypes()


@pytest.mark.parametrize('stamp_ns', [0, 1, 999_999_999, 1_000_000_000, 1_795_234_735_960_157_641])
def test_stamps(stamp_ns):
    header = make_header(TYPES, stamp_ns, 'cam')
    assert stamp_of(header) == stamp_ns
    assert header.frame_id == 'cam'
    assert 0 <= header.stamp.nanosec < 10**9


class RosLike:
    """A message class of ROS: sequences of numbers are of array.array."""

    def __init__(self):
        self.data = array.array('B')
        self.parents = array.array('h')


def test_fill_keeps_the_kind_of_sequence():
    message = RosLike()
    fill(message, 'data', np.arange(12, dtype=np.uint8).reshape(3, 4)[:, :2])
    assert message.data == array.array('B', [0, 1, 4, 5, 8, 9])
    fill(message, 'parents', np.array([-1, 300]))
    assert message.parents == array.array('h', [-1, 300])
    image = TYPES('sensor_msgs/msg/Image')()
    fill(image, 'data', np.ones((2, 3), np.uint8))
    assert image.data.tolist() == [1] * 6
    fill(image, 'data', np.zeros(0))
    assert len(image.data) == 0
