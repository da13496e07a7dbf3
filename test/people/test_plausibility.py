# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import math

import numpy as np
import pytest
from support.blobs import draw

from pose3d_ros.outputs.tables import pose_from_record, pose_record
from pose3d_ros.people.plausibility import bone_quality
from pose3d_ros.pipeline import Pipeline
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.skeleton import SKELETONS
from pose3d_ros.types import Frame, Pose3D

H36M = SKELETONS['h36m_17']


def body(stretch: float = 1.0) -> Pose3D:
    """A body of average bones in Human3.6M's joints; stretch: of the left shin."""
    xyz = np.zeros((17, 3))
    for side, x in (('right', -1), ('left', 1)):
        factor = stretch if side == 'left' else 1.0
        xyz[H36M.index(f'{side}_hip')] = 134.2 * x, 0, 0
        xyz[H36M.index(f'{side}_knee')] = 134.2 * x, 456.0086, 0
        xyz[H36M.index(f'{side}_ankle')] = 134.2 * x, 456.0086 + factor * 452.1255, 0
        xyz[H36M.index(f'{side}_shoulder')] = 180.78 * x, -500, 0
        xyz[H36M.index(f'{side}_elbow')] = 180.78 * x, -500 + 284.1253, 0
        xyz[H36M.index(f'{side}_wrist')] = 180.78 * x, -500 + 284.1253, 249.7726
    xyz[[8, 9, 10], 1] = -500, -578, -760
    blank = np.ones(17)
    return Pose3D(H36M, xyz / 1000, blank, np.full((17, 2), np.nan), blank.astype(np.uint8))


def test_an_average_body_is_perfect_in_any_size_and_view() -> None:
    pose = body()
    assert bone_quality(pose) == pytest.approx(1, abs=1e-5)
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    assert bone_quality(pose.replace(xyz=3 * pose.xyz @ turn + 5)) == pytest.approx(1, abs=1e-5)


def test_quality_falls_with_every_stretch() -> None:
    found = [bone_quality(body(stretch)) for stretch in (1.0, 1.1, 1.3, 2.0)]
    assert found == sorted(found, reverse=True)
    assert found[-1] < 0.6 * found[0]


def test_unknown_joints_are_left_out() -> None:
    pose = body(3.0)
    xyz = pose.xyz.copy()
    xyz[H36M.index('left_ankle')] = np.nan
    assert bone_quality(pose.replace(xyz=xyz)) == pytest.approx(1, abs=1e-5)
    assert math.isnan(bone_quality(pose.replace(xyz=np.full((17, 3), np.nan))))
    assert bone_quality(pose.replace(xyz=np.zeros((17, 3)))) == 0


def test_the_pipeline_states_it_when_asked(tmp_path) -> None:
    frame = Frame(draw([(320, 240, 320)]))
    for asked in (False, True):
        pipeline = Pipeline(PipelineConfig(estimator='support.blobs', bone_quality=asked))
        (pose,) = pipeline.process(frame).people
        assert math.isnan(pose.bone_quality) is not asked
        again = pose_from_record(pose_record(pose))
        assert math.isnan(again.bone_quality) is not asked
