# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from pose3d_ros.pipeline import Pipeline
from pose3d_ros.resources import resource
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.skeleton import get_skeleton
from pose3d_ros.tools.benchmark import benchmark
from pose3d_ros.tools.clips import JOINTS, Clip
from pose3d_ros.tools.evaluate import evaluate_clip


@pytest.mark.slow
def test_the_error_counts_frames_that_are_finished_late(tmp_path):
    """As `evaluate` does, for a lifter that finishes several frames at once."""
    clip = Clip.load(resource('demo', 'jump.mp4'))
    names = get_skeleton('coco_17').names
    pixels = np.full((len(clip.pixels), 1, 17, 2), np.nan)
    pixels[:, :, [names.index(joint) for joint in JOINTS]] = clip.pixels
    confidence = np.isfinite(pixels).all(axis=-1).astype(float)
    np.savez(tmp_path / 'people.npz', pixels=pixels, confidence=confidence)
    config = PipelineConfig(
        estimator='lifter',
        precision='f32',
        threads=1,
        options={'keypoints': str(tmp_path / 'people.npz'), 'latency': 'delay', 'delay': 5},
    )
    (timing,) = benchmark([config], clip, rounds=1)
    scores = evaluate_clip(Pipeline(config), clip).scores()
    assert scores['people_found'] == len(clip.xyz)
    assert timing.mpjpe_mm == round(scores['mpjpe_mm'], 1)
    assert timing.stages['delay'][-1] > 100
