# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import cv2
import numpy as np
import pytest
from shared import CLIPS

from pose3d_ros.camera import Camera
from pose3d_ros.detectors.crop_keypoints import create_source
from pose3d_ros.errors import ConfigError
from pose3d_ros.networks.crops import Picture, look_at
from pose3d_ros.settings.pipeline import PipelineConfig

pytestmark = pytest.mark.slow

FILES = sorted(CLIPS.glob('*.npz'))
NAMES = [
    f'{side}_{joint}'
    for side in ('left', 'right')
    for joint in ('shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle')
]


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_joints_on_the_people(path, blazepose_model) -> None:
    with np.load(path) as data:
        truth = dict(data)
    rows = [[str(name) for name in truth['joint_names']].index(name) for name in NAMES]
    camera = Camera(K=truth['K'], size=tuple(int(v) for v in truth['image_size']))
    source = create_source('blazepose', PipelineConfig())
    assert source is not None
    ours = [source.skeleton.index(name) for name in NAMES]
    video = cv2.VideoCapture(str(path.with_suffix('.mp4')))
    errors = []
    for index in range(0, len(truth['joints_px']), 30):
        video.set(cv2.CAP_PROP_POS_FRAMES, index)
        _, image = video.read()
        boxes = truth['boxes_xyxy'][index]
        crops = [look_at(camera, np.array([*b[:2], *(b[2:] - b[:2])]), 256) for b in boxes]
        picture = Picture(image)
        found = source.find([(picture, crop) for crop in crops])
        for person, points in enumerate(found):
            inside = truth['in_image'][index, person, rows]
            apart = points.pixels[ours] - truth['joints_px'][index, person, rows]
            errors += list(np.linalg.norm(apart[inside], axis=1))
            assert points.confidence.shape == (33,)
    # BlazePose itself is 17 px off where legs are outside the image.
    assert np.median(errors) < (25 if path.stem == 'upper_body' else 12)


def test_nobody_asked_for(blazepose_model) -> None:
    source = create_source('blazepose', PipelineConfig())
    assert source is not None
    assert source.find([]) == []
    assert create_source('none', PipelineConfig()) is None
    with pytest.raises(ConfigError, match='blazepose'):
        create_source('nobody', PipelineConfig())
