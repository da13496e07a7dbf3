# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from support.keypoints import CAMERA, SIZE, standing_in

from pose3d_ros.estimators.lifting_from_the_deep.observations import observed, sources
from pose3d_ros.pipeline import Pipeline
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.skeleton import SKELETONS, Skeleton
from pose3d_ros.types import Frame, JointStatus, Pose3D, pose_2d

JOINTS = SKELETONS['cmu_22'].names
EVERY = pytest.mark.parametrize('source', SKELETONS.values(), ids=list(SKELETONS))


def person(skeleton: Skeleton) -> Pose3D:
    pixels = CAMERA.project(standing_in(skeleton) + np.array([0.0, 0.0, 4.0]))
    return pose_2d(skeleton, pixels, np.full(len(skeleton), 0.8), 0.9, SIZE)


def test_joints_go_by_meaning() -> None:
    blazepose, cpm = SKELETONS['blazepose_33'], SKELETONS['cpm_14']
    table = dict(zip(JOINTS, sources(blazepose, JOINTS)))
    assert table['left_toe'] == (blazepose.index('left_foot_index'),)
    assert table['thorax'] == (blazepose.index('left_shoulder'), blazepose.index('right_shoulder'))
    assert table['pelvis'] == table['spine'] == table['head'] == ()
    table = dict(zip(JOINTS, sources(cpm, JOINTS)))
    assert table['thorax'] == (cpm.index('neck'),)
    assert table['head'] == (cpm.index('head_top'),)


def test_a_mean_is_as_good_as_its_worse_joint() -> None:
    pose = person(SKELETONS['coco_17'])
    left, right = (pose.skeleton.index(f'{side}_shoulder') for side in ('left', 'right'))
    confidence, status = pose.confidence.copy(), pose.status.copy()
    confidence[left], status[right] = 0.3, JointStatus.INFERRED
    confidence[0] = np.nan
    seen = observed(pose.replace(confidence=confidence, status=status), JOINTS)
    thorax = JOINTS.index('thorax')
    np.testing.assert_allclose(seen.pixels[thorax], pose.pixels[[left, right]].mean(axis=0))
    assert seen.confidence[thorax] == 0.3
    assert not seen.visible[thorax]
    assert seen.confidence[JOINTS.index('nose')] == 1.0
    assert np.isnan(seen.pixels[JOINTS.index('spine')]).all()
    assert (seen.score, seen.size_px) == (0.9, pose.size_px)


@EVERY
def test_any_convention_feeds_the_lifter(source: Skeleton) -> None:
    config = PipelineConfig(
        estimator='lifting_from_the_deep', smoothing=False,
        options={'keypoints': 'topic', 'pitch': 'level'},
    )  # fmt: skip
    frame = Frame(np.zeros((480, 640, 3), np.uint8), camera=CAMERA, keypoints=[person(source)])
    (pose,) = Pipeline(config).process(frame).people
    at = dict(zip(pose.skeleton.names, pose.xyz))
    assert np.isfinite(pose.xyz).all()
    assert 1.3 < at['left_ankle'][1] - at['head'][1] < 2.0
    assert at['left_hip'][0] > at['right_hip'][0]
