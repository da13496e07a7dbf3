# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('onnx', reason='onnx makes the network of this test')

from support.drawn_model import write

from pose3d_ros.errors import ConfigError
from pose3d_ros.pipeline import Pipeline
from pose3d_ros.settings.parsing import from_mapping
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.tools.openpose3d_scenes import draw
from pose3d_ros.tools.throughput import throughput
from pose3d_ros.types import Frame

FRAMES = [Frame(np.zeros((120, 160, 3), np.uint8), k * 40_000_000) for k in range(6)]


@pytest.mark.slow
def test_drawn_people(tmp_path: Path) -> None:
    path = write(tmp_path / 'net.onnx', draw(0, (43, 32)).maps, {'pose3d.weights': 'random'})
    settings = {'estimator': 'openpose3d', 'model': str(path), 'allow_random_weights': True}
    pipeline = Pipeline(from_mapping(PipelineConfig, settings))
    results = throughput(pipeline, FRAMES, [0, 2], rounds=2)
    assert [(one.people, one.detected) for one in results] == [(0, 0), (2, 2)]
    for one in results:
        assert len(one.network_fps) == len(one.path_fps) == 2
        assert len(one.latency_ms) == len(one.network_ms) == 12
        assert min(one.added_ms) > 0
        assert set(one.stages) == {'prepare', 'network', 'decode', 'track+smooth+place'}
        assert one.record()['share'] == round(one.share, 3)
    assert np.median(results[1].stages['decode']) > np.median(results[0].stages['decode'])


def test_estimators_that_do_not_overlap() -> None:
    pipeline = Pipeline(PipelineConfig(estimator='support.blobs'))
    assert not pipeline.overlaps
    with pytest.raises(ConfigError, match='works on one frame at a time'):
        throughput(pipeline, FRAMES)
    assert [
        result.frame.image is frame.image for result, frame in zip(pipeline.stream(FRAMES), FRAMES)
    ] == [True] * len(FRAMES)
