# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pose3d_ros.errors import ConfigError
from pose3d_ros.estimators.lifter.joints import H36M, to_h36m, to_joints, weights_of
from pose3d_ros.skeleton import SKELETONS, Skeleton

EVERY = pytest.mark.parametrize('source', SKELETONS.values(), ids=list(SKELETONS))


def row(source: Skeleton, joint: str) -> dict[str, float]:
    """Weights of the source's joints, by their names."""
    weights = weights_of(source)[H36M.index(joint)]
    return {source.names[k]: float(weights[k]) for k in np.flatnonzero(weights)}


@EVERY
def test_limbs_are_taken_by_name_and_nothing_is_missing(source: Skeleton) -> None:
    for name in H36M.names:
        if name.startswith(('left', 'right')):
            assert row(source, name) == {name: 1}
    np.testing.assert_allclose(weights_of(source).sum(axis=1), 1)


@EVERY
def test_the_trunk_lies_between_hips_and_shoulders(source: Skeleton) -> None:
    # Someone upright: hips at 0, shoulders at 1, all of the head at 2.
    height = {'hip': 0.0, 'pelvis': 0.0, 'body_center': 0.0, 'thorax': 1.0, 'spine': 0.5}
    head = ('nose', 'eye', 'ear', 'mouth', 'head', 'neck', 'upper_neck')
    points = np.zeros((len(source), 1))
    for k, name in enumerate(source.names):
        part = source.by_meaning
        meaning = next(meaning for meaning, index in part.items() if index == k)
        word = name.removeprefix('left_').removeprefix('right_')
        if 'shoulder' in meaning:
            points[k] = 1.0
        elif word in height:
            points[k] = height[word]
        elif word.startswith(head):
            points[k] = 2.0
    found = dict(zip(H36M.names, to_h36m(points, source)[:, 0]))
    assert found['pelvis'] == 0
    assert found['spine'] == pytest.approx(0.5)
    assert found['thorax'] == pytest.approx(1)
    assert found['neck'] == found['head'] == 2


def test_joints_that_are_computed_give_way_to_what_they_are_made_of() -> None:
    hips = {'left_hip': 0.5, 'right_hip': 0.5}
    shoulders = {'left_shoulder': 0.5, 'right_shoulder': 0.5}
    for name in ('coco_17', 'coco_cmu_19', 'panoptic_19', 'openpose_18', 'blazepose_33'):
        assert row(SKELETONS[name], 'pelvis') == hips
        assert row(SKELETONS[name], 'thorax') == shoulders
    assert row(SKELETONS['halpe_26'], 'pelvis') == {'pelvis': 1}
    assert row(SKELETONS['halpe_26'], 'thorax') == {'neck': 1}
    np.testing.assert_array_equal(weights_of(H36M), np.eye(17))


def test_what_is_made_of_a_missing_joint_is_missing() -> None:
    points = np.zeros((17, 2))
    points[11] = np.nan
    found = to_h36m(points, SKELETONS['coco_17'])
    missing = {H36M.names[k] for k in np.flatnonzero(np.isnan(found).any(axis=1))}
    assert missing == {'left_hip', 'pelvis', 'spine'}


def test_what_nothing_stands_for_is_missing() -> None:
    coco = SKELETONS['coco_17']
    faceless = dataclasses.replace(coco, names=(*(f'dot_{k}' for k in range(5)), *coco.names[5:]))
    found = to_h36m(np.zeros((17, 2)), faceless)
    missing = {H36M.names[k] for k in np.flatnonzero(np.isnan(found).any(axis=1))}
    assert missing == {'neck', 'head'}


def test_other_counts_are_refused() -> None:
    with pytest.raises(ConfigError, match='coco_17 has 17 joints, not 5'):
        to_h36m(np.zeros((5, 2)), SKELETONS['coco_17'])


def test_coco_joints_of_other_sources() -> None:
    coco, blazepose = SKELETONS['coco_17'], SKELETONS['blazepose_33']
    points = np.arange(33.0)[:, None] * [1.0, 2.0]
    out = to_joints(points, blazepose, coco)
    np.testing.assert_array_equal(out, points[[blazepose.index(name) for name in coco.names]])
    # Human3.6M has no face but what stands for the nose.
    out = to_joints(np.arange(17.0)[:, None], H36M, coco)
    assert (out[:5] == H36M.index('neck')).all()
    assert out[coco.index('left_wrist')] == H36M.index('left_wrist')
