# SPDX-License-Identifier: Apache-2.0
"""vision_msgs/Detection2DArray to person boxes."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from ..types import Array
from .types import Message

DETECTIONS = 'vision_msgs/msg/Detection2DArray'
# Definitions of vision_msgs 4 (Humble and later), for where no ROS is installed.
DEFINITIONS = {
    'vision_msgs/msg/Point2D': 'float64 x\nfloat64 y\n',
    'vision_msgs/msg/Pose2D': 'vision_msgs/Point2D position\nfloat64 theta\n',
    'vision_msgs/msg/BoundingBox2D': (
        'vision_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y\n'
    ),
    'vision_msgs/msg/ObjectHypothesis': 'string class_id\nfloat64 score\n',
    'vision_msgs/msg/ObjectHypothesisWithPose': (
        'vision_msgs/ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose\n'
    ),
    'vision_msgs/msg/Detection2D': (
        'std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n'
        'vision_msgs/BoundingBox2D bbox\nstring id\n'
    ),
    'vision_msgs/msg/Detection2DArray': (
        'std_msgs/Header header\nvision_msgs/Detection2D[] detections\n'
    ),
}
# A detector needs time: when an image comes, its own boxes seldom are there already.
NEAR_NS = 500_000_000


def boxes_of(message: Message, classes: Collection[str]) -> Array:
    """(N, 5) x, y, width, height, score of the detections of those classes; rotation is ignored.

    One without a hypothesis counts, with a score of 1, and so does an empty class.
    """
    out = []
    for detection in message.detections:
        scores = [
            float(result.hypothesis.score)
            for result in detection.results
            if not result.hypothesis.class_id or result.hypothesis.class_id in classes
        ]
        if detection.results and not scores:
            continue
        score = max(scores, default=1.0)
        box = detection.bbox
        x, y = float(box.center.position.x), float(box.center.position.y)
        width, height = float(box.size_x), float(box.size_y)
        out.append((x - width / 2, y - height / 2, width, height, score))
    return np.array(out).reshape(-1, 5)
