# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('onnx', reason='onnx makes the networks of this test')

from support.drawn_model import write

from pose3d_ros.estimators.openpose3d.published import published
from pose3d_ros.networks.openpose3d_people import extract
from pose3d_ros.pipeline import Pipeline
from pose3d_ros.settings.parsing import from_mapping
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.tools.openpose3d_scenes import draw
from pose3d_ros.types import Frame

IMAGE = np.zeros((720, 1280, 3), np.uint8)


def test_parity_delivers_the_published_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / 'three.onnx', draw(3, (57, 32)).maps)
    settings = {'estimator': 'openpose3d', 'model': str(path), 'parity': True}
    pipeline = Pipeline(from_mapping(PipelineConfig, settings))
    poses = pipeline.process(Frame(IMAGE)).people
    assert pipeline.skeleton.name == 'panoptic_19'
    scene = draw(3, (57, 32))
    people = extract(scene.maps['heatmaps'], scene.maps['pafs'])
    rows = published(people, scene.maps['features'], 256 / 720, 1024.0, 'standalone')
    assert len(poses) == len(rows.poses_3d)
    for pose, row, flat in zip(poses, rows.poses_3d, rows.poses_2d):
        np.testing.assert_allclose(pose.xyz * 100, row.reshape(19, 4)[:, :3], atol=1e-3)
        missing = flat[:-1].reshape(19, 3)[:, 2] == -1
        np.testing.assert_array_equal(np.isnan(pose.pixels[:, 0]), missing)
        np.testing.assert_allclose(pose.pixels[~missing], flat[:-1].reshape(19, 3)[~missing, :2])
    assert sorted(pose.track_id for pose in poses) == [1, 2, 3]
    again = pipeline.process(Frame(IMAGE, 40_000_000)).people
    assert [p.track_id for p in again] == [p.track_id for p in poses]
