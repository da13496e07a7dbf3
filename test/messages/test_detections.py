# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from pose3d_ros.messages import make_header
from pose3d_ros.messages.detections import DETECTIONS, boxes_of
from pose3d_ros.messages.standalone import DISTROS, StandaloneTypes

TYPES = StandaloneTypes()
MS = 1_000_000


def message(stamp_ns: int, *found: tuple[float, float, float, float, str, float]):
    """Detections of centre, size, class and score, as they come off the wire."""
    array = TYPES(DETECTIONS)(header=make_header(TYPES, stamp_ns, 'camera'))
    for x, y, width, height, kind, score in found:
        detection = TYPES('vision_msgs/msg/Detection2D')()
        detection.bbox.center.position.x, detection.bbox.center.position.y = x, y
        detection.bbox.size_x, detection.bbox.size_y = width, height
        result = TYPES('vision_msgs/msg/ObjectHypothesisWithPose')()
        result.hypothesis.class_id, result.hypothesis.score = kind, score
        detection.results.append(result)
        array.detections.append(detection)
    return TYPES.deserialize(bytes(TYPES.serialize(array, DETECTIONS)), DETECTIONS)


def test_boxes_of_people_only() -> None:
    got = message(
        5, (100, 80, 40, 60, 'person', 0.9), (10, 10, 5, 5, 'dog', 0.8), (50, 50, 20, 20, '', 0.4)
    )
    boxes = boxes_of(got, ['person', '0'])
    assert np.allclose(boxes, [(80, 50, 40, 60, 0.9), (40, 40, 20, 20, 0.4)])
    assert boxes_of(message(5), ['person']).shape == (0, 5)


def test_without_hypothesis_it_is_a_person() -> None:
    got = message(5, (100, 80, 40, 60, 'person', 0.9))
    got.detections[0].results = []
    assert boxes_of(got, ['person'])[0, 4] == 1


@pytest.mark.parametrize('distro', DISTROS)
def test_the_type_exists_in_every_distribution(distro: str) -> None:
    types = StandaloneTypes(distro)
    assert types.type_hash(DETECTIONS).startswith('RIHS01_')
