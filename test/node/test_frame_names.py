# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from support.node import TYPES, S

from pose3d_ros.messages import make_header

TF = 'tf2_msgs/msg/TFMessage'


def message(*children, stamp_ns=7 * S):
    made = TYPES(TF)()
    for child in children:
        item = TYPES('geometry_msgs/msg/TransformStamped')(child_frame_id=child)
        item.header = make_header(TYPES, stamp_ns, 'cam')
        made.transforms.append(item)
    return made


@pytest.fixture
def people(make):
    """A node with a person before its camera, that broadcasts transforms."""

    def start(**settings):
        node = make(publish_tf=True, **settings)
        for camera in node.core.config.camera_names:
            node.calibrate(name=camera)
        return node

    return start


def broadcast(node, stamp_ns=S, camera=''):
    node.image(stamp_ns, camera=camera)
    return [item.child_frame_id for item in node.transforms[-1]]


def test_a_node_of_its_own_keeps_the_names(people):
    node = people()
    assert broadcast(node) == ['body_1']
    # What it says itself comes back to it.
    for transforms in node.transforms:
        assert not node.core.transforms(TYPES(TF)(transforms=transforms))
    assert broadcast(node, 2 * S) == ['body_1']
    assert node.core.info().tf_prefix == ''
    assert node.status('frames').message == 'body_1 and so on'


def test_somebody_else_has_the_name(people):
    node = people()
    assert broadcast(node) == ['body_1']
    assert not node.core.transforms(message('base_link', 'head_1', 'body_9', 'somebody_1'))
    assert node.core.transforms(message('odom', 'body_2'))
    assert broadcast(node, 2 * S) == ['pose3d_estimator_body_1']
    # Said once, and not again for the same.
    assert not node.core.transforms(message('body_2'))
    (line,) = [line for line in node.warnings() if 'body_2' in line]
    assert 'begin with pose3d_estimator_' in line
    assert node.status('frames').message == line
    assert node.core.info().tf_prefix == 'pose3d_estimator_'


def test_every_frame_counts_that_is_broadcast(people):
    node = people(tf_joints='all')
    assert node.core.transforms(message('head_1'))
    assert all(name.startswith('pose3d_estimator_') for name in broadcast(node))


def test_a_prefix_of_the_user(people):
    node = people(tf_prefix='robot1/')
    assert not node.core.transforms(message('body_1'))
    assert broadcast(node) == ['robot1/body_1']
    assert node.core.transforms(message('robot1/body_1'))
    assert broadcast(node, 2 * S) == ['pose3d_estimator_robot1/body_1']


def test_names_of_several_cameras(people):
    node = people(cameras='left,right')
    assert not node.core.transforms(message('body_1', 'left_somebody_1'))
    assert node.core.transforms(message('right_body_1'))
    assert broadcast(node, camera='left') == ['pose3d_estimator_left_body_1']


def test_without_transforms_nothing_is_said(make):
    node = make()
    assert not node.core.transforms(message('body_1'))
    assert node.core.info().tf_prefix == ''
