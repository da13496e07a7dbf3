# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pose3d_ros.messages import make_header
from pose3d_ros.node.transforms import TF, TransformBuffer

S = 1_000_000_000


def pose(x, y, z, degrees=0.0):
    return np.array([x, y, z], float), Rotation.from_euler('z', degrees, degrees=True).as_quat()


def test_static_chain_both_ways():
    buffer = TransformBuffer()
    buffer.set('map', 'base', pose(1, 2, 3, 90))
    buffer.set('base', 'cam', pose(1, 0, 0))
    rotation, translation = buffer.lookup('map', 'cam', 5 * S)
    np.testing.assert_allclose(rotation @ [1, 0, 0] + translation, [1, 4, 3], atol=1e-12)
    back, offset = buffer.lookup('cam', 'map', 5 * S)
    np.testing.assert_allclose(back @ [1, 4, 3] + offset, [1, 0, 0], atol=1e-12)


def test_siblings():
    buffer = TransformBuffer()
    buffer.set('base', 'left', pose(0, 1, 0))
    buffer.set('base', 'right', pose(0, -1, 0, 180))
    rotation, translation = buffer.lookup('right', 'left', 0)
    np.testing.assert_allclose(rotation @ [0, 0, 0] + translation, [0, -2, 0], atol=1e-12)


def test_what_is_connected():
    buffer = TransformBuffer()
    assert not buffer.frames().connects('map', 'cam')
    buffer.set('map', 'base', pose(1, 2, 3))
    buffer.set('base', 'cam', pose(1, 0, 0), 5 * S)
    assert buffer.frames().ancestors('cam') == ['cam', 'base', 'map']


def test_the_newest_of_each_frame():
    buffer = TransformBuffer()
    with pytest.raises(LookupError):
        buffer.newest('map', 'cam')
    buffer.set('map', 'base', pose(1, 0, 0), 5 * S)
    buffer.set('map', 'base', pose(2, 0, 0), 6 * S)
    buffer.set('base', 'cam', pose(0, 1, 0))
    _, translation = buffer.newest('map', 'cam')
    np.testing.assert_allclose(translation, [2, 1, 0])
    buffer.clear()
    with pytest.raises(LookupError, match="from 'base' to 'map'"):
        buffer.newest('map', 'cam')


def test_same_frame():
    rotation, translation = TransformBuffer().lookup('cam', 'cam', 0)
    np.testing.assert_array_equal(rotation, np.eye(3))
    np.testing.assert_array_equal(translation, np.zeros(3))


def test_interpolation_at_the_stamp():
    buffer = TransformBuffer()
    buffer.set('map', 'cam', pose(0, 0, 0, 0), 10 * S)
    buffer.set('map', 'cam', pose(4, 0, 0, 80), 14 * S)
    buffer.set('map', 'cam', pose(2, 2, 0, 40), 12 * S)  # late, but in time
    rotation, translation = buffer.lookup('map', 'cam', 13 * S)
    np.testing.assert_allclose(translation, [3, 1, 0])
    angle = Rotation.from_matrix(rotation).as_euler('zyx', degrees=True)[0]
    assert angle == pytest.approx(60)


@pytest.mark.parametrize('stamp_ns', [9 * S, 15 * S])
def test_no_extrapolation(stamp_ns):
    buffer = TransformBuffer()
    buffer.set('map', 'cam', pose(0, 0, 0), 10 * S)
    buffer.set('map', 'cam', pose(4, 0, 0), 14 * S)
    with pytest.raises(LookupError, match="no transform from 'cam' to 'map' at the stamp"):
        buffer.lookup('map', 'cam', stamp_ns)


def test_unknown_frames():
    buffer = TransformBuffer()
    buffer.set('map', 'base', pose(0, 0, 0))
    with pytest.raises(LookupError, match="no transform from 'cam' to 'map' is known"):
        buffer.lookup('map', 'cam', 0)


def test_waits_for_a_transform_that_is_on_its_way():
    buffer = TransformBuffer()
    buffer.set('map', 'cam', pose(0, 0, 0), 10 * S)
    later = threading.Timer(0.1, lambda: buffer.set('map', 'cam', pose(2, 0, 0), 12 * S))
    later.start()
    _, translation = buffer.lookup('map', 'cam', 11 * S, timeout_s=5.0)
    np.testing.assert_allclose(translation, [1, 0, 0])
    begin = time.monotonic()
    with pytest.raises(LookupError):
        buffer.lookup('map', 'cam', 13 * S, timeout_s=0.05)
    assert time.monotonic() - begin > 0.04


def test_old_transforms_are_forgotten_and_time_may_go_back():
    buffer = TransformBuffer()
    for second in range(100, 150):
        buffer.set('map', 'cam', pose(second, 0, 0), second * S)
    assert len(buffer._edges['cam'].stamps) <= 12
    buffer.set('map', 'cam', pose(1, 0, 0), 1 * S)
    _, translation = buffer.lookup('map', 'cam', 1 * S)
    assert translation[0] == 1


def test_a_circle_is_not_followed_for_ever():
    buffer = TransformBuffer()
    buffer.set('a', 'b', pose(0, 0, 0))
    buffer.set('b', 'a', pose(0, 0, 0))
    with pytest.raises(LookupError):
        buffer.lookup('c', 'a', 0)


def test_images_without_a_frame():
    with pytest.raises(LookupError, match='set the parameter camera_frame'):
        TransformBuffer().lookup('map', '', 0)


def test_messages():
    pytest.importorskip('rosbags')
    from pose3d_ros.messages.standalone import StandaloneTypes

    types = StandaloneTypes()

    def message(parent, child, x, stamp_ns, w=1.0):
        transform = types('geometry_msgs/msg/TransformStamped')(
            header=make_header(types, stamp_ns, parent), child_frame_id=child
        )
        transform.transform.translation.x = x
        transform.transform.rotation.w = w
        return types(TF)(transforms=[transform])

    buffer = TransformBuffer()
    buffer.take(message('base', '/cam', 1.0, 0), static=True)
    buffer.take(message('/map', 'base', 10.0, 5 * S), static=False)
    buffer.take(message('map', 'base', 99.0, 5 * S, w=0.0), static=False)  # no rotation: ignored
    buffer.take(message('map', 'base', np.nan, 5 * S), static=False)
    buffer.take(message('map', 'base', 20.0, 6 * S), static=False)
    _, translation = buffer.lookup('map', 'cam', 5 * S + S // 2)
    assert translation[0] == pytest.approx(16.0)
    # What moved is forgotten, what is fixed is not.
    buffer.clear()
    with pytest.raises(LookupError, match="no transform from 'base' to 'map'"):
        buffer.lookup('map', 'cam', 5 * S + S // 2)
    assert buffer.lookup('base', 'cam', 9 * S)[1][0] == 1.0
