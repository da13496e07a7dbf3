# SPDX-License-Identifier: Apache-2.0
"""Boxes from a vision_msgs topic reach the estimator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pose3d_ros.estimators import _metro_parts as parts
from pose3d_ros.messages import image_message, make_header
from pose3d_ros.messages.detections import DETECTIONS
from pose3d_ros.messages.standalone import StandaloneTypes
from pose3d_ros.node_config import NodeConfig
from pose3d_ros.node_core import NodeCore
from pose3d_ros.pipeline import Pipeline
from pose3d_ros.zoo.networks.metro import MetroGraph, write_graph

TYPES = StandaloneTypes()
S = 1_000_000_000


class Shell:
    def __init__(self) -> None:
        self.sent: list = []

    def listeners(self, camera, output) -> int:
        return int(output == 'skeletons')

    def publish(self, camera, output, message) -> None:
        self.sent.append(message)

    def broadcast(self, transforms) -> None:
        pass

    def lookup(self, target, source, stamp_ns, timeout_s):
        raise LookupError


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    known = parts.JOINTS[19]
    write_graph(
        tmp_path / 'toy.pb',
        MetroGraph(known.names, known.edges, known.internal, known.inside, width=4),
    )
    return tmp_path / 'toy.pb'


def test_people_are_where_the_topic_says(graph: Path) -> None:
    config = NodeConfig(
        estimator='metro', model=str(graph), allow_random_weights=True, precision='f32',
        options={'detector': 'topic', 'keypoints': 'none'},
    )  # fmt: skip
    shell = Shell()
    core = NodeCore(config, Pipeline(config), TYPES, shell, clock=lambda: 10 * S)
    assert core.wants_detections
    core.activate()
    image = np.zeros((480, 640, 3), np.uint8)
    core.image('', image_message(TYPES, image, stamp_ns=10 * S, frame_id='camera'))
    assert core.runner.wait_idle(10)
    assert len(shell.sent[-1].skeletons) == 0
    array = TYPES(DETECTIONS)(header=make_header(TYPES, 11 * S, 'camera'))
    detection = TYPES('vision_msgs/msg/Detection2D')()
    detection.bbox.center.position.x, detection.bbox.center.position.y = 400.0, 240.0
    detection.bbox.size_x, detection.bbox.size_y = 120.0, 300.0
    array.detections.append(detection)
    core.detections('', array)
    core.image('', image_message(TYPES, image, stamp_ns=11 * S, frame_id='camera'))
    assert core.runner.wait_idle(10)
    assert len(shell.sent[-1].skeletons) == 1
    core.deactivate()


def test_other_estimators_do_not_listen(graph: Path) -> None:
    config = NodeConfig(
        estimator='metro', model=str(graph), allow_random_weights=True, precision='f32',
        options={'detector': 'image', 'keypoints': 'none'},
    )  # fmt: skip
    assert not NodeCore(config, Pipeline(config), TYPES, Shell()).wants_detections
