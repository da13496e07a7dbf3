# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import cv2
import numpy as np
import pytest
from shared import CLIPS

from pose3d_ros.detectors.blazepose import BlazePoseFinder
from pose3d_ros.detectors.boxes import clipped, iou
from pose3d_ros.settings.pipeline import PipelineConfig

pytestmark = pytest.mark.slow

FILES = sorted(CLIPS.glob('*.npz'))


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_boxes_lie_on_the_people(path, blazepose_model) -> None:
    truth = np.load(path)['boxes_xyxy']
    video = cv2.VideoCapture(str(path.with_suffix('.mp4')))
    finder = BlazePoseFinder(PipelineConfig())
    overlaps = []
    for index in range(0, len(truth), 30):
        video.set(cv2.CAP_PROP_POS_FRAMES, index)
        read, image = video.read()
        assert read
        found = finder.find(image, 224).boxes
        found[:, 2:] -= found[:, :2]
        found = clipped(found, (640, 480))
        for box in truth[index]:
            expected = np.array([*box[:2], *(box[2:] - box[:2])])
            overlaps.append(iou(expected, found).max() if len(found) else 0.0)
    # It finds one of two people at times.
    assert np.mean(overlaps) > (0.55 if truth.shape[1] == 1 else 0.4)


def test_nobody_in_an_empty_picture(blazepose_model) -> None:
    finder = BlazePoseFinder(PipelineConfig())
    assert len(finder.find(np.full((480, 640, 3), 90, np.uint8), 224)) == 0
