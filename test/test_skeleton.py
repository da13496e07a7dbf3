# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from pose3d_ros.errors import ConfigError
from pose3d_ros.skeleton import SKELETONS, Skeleton, conversion, get_skeleton
from pose3d_ros.types import JointStatus, Pose3D, PositionSource, convert

ALL = list(SKELETONS.values())


def make(skeleton: Skeleton, **changes: object) -> Pose3D:
    joints = len(skeleton)
    fields = {
        'skeleton': skeleton,
        'xyz': np.arange(joints * 3, dtype=float).reshape(joints, 3),
        'confidence': np.linspace(0.5, 1, joints),
        'pixels': np.arange(joints * 2, dtype=float).reshape(joints, 2),
        'status': np.full(joints, JointStatus.MEASURED, np.uint8),
        'position_source': PositionSource.METRIC,
    }
    return Pose3D(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize('skeleton', ALL, ids=lambda s: s.name)
def test_a_name_says_how_many_joints_there_are(skeleton: Skeleton) -> None:
    assert len(skeleton) == int(skeleton.name.rpartition('_')[2])
    assert skeleton.about
    assert set(skeleton.computed) <= set(skeleton.names)
    assert set(skeleton.meanings) <= set(skeleton.names)


def test_all_conventions_are_there() -> None:
    assert len({skeleton.names for skeleton in ALL}) == len(ALL)
    assert {'blazepose_33', 'coco_17', 'h36m_17', 'cmu_22', 'openpose_18'} <= set(SKELETONS)


@pytest.mark.parametrize('skeleton', ALL, ids=lambda s: s.name)
def test_convention_is_consistent(skeleton: Skeleton) -> None:
    assert len(set(skeleton.names)) == len(skeleton)
    assert len(skeleton.parents) == len(skeleton)
    for joint in range(len(skeleton)):
        seen = [joint]
        while skeleton.parents[seen[-1]] >= 0:
            seen.append(skeleton.parents[seen[-1]])
            assert len(seen) <= len(skeleton)
    mirror = skeleton.mirror
    assert [mirror[k] for k in mirror] == list(range(len(skeleton)))
    for joint, other in enumerate(mirror):
        sides = {
            skeleton.names[joint].partition('left')[1],
            skeleton.names[other].partition('left')[1],
        }
        assert joint == other or sides == {'', 'left'}
    assert all(0 <= a < len(skeleton) and 0 <= b < len(skeleton) for a, b in skeleton.edges)


def test_known_orders() -> None:
    assert get_skeleton('blazepose_33').names[23:29:2] == ('left_hip', 'left_knee', 'left_ankle')
    assert get_skeleton('h36m_17').mirror == (
        0,
        4,
        5,
        6,
        1,
        2,
        3,
        7,
        8,
        9,
        10,
        14,
        15,
        16,
        11,
        12,
        13,
    )
    mirror = (0, 1, 2, 9, 10, 11, 12, 13, 14, 3, 4, 5, 6, 7, 8, 17, 18, 15, 16)
    assert get_skeleton('coco_cmu_19').mirror == get_skeleton('panoptic_19').mirror == mirror
    assert get_skeleton('openpose_18').names[:3] == ('nose', 'neck', 'right_shoulder')
    assert get_skeleton('cpm_14').names[0] == 'head_top'


def test_blazepose_to_coco_is_the_published_set() -> None:
    table = conversion(get_skeleton('blazepose_33'), get_skeleton('coco_17'))
    published = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
    assert table == tuple((k,) for k in published)


def test_means_are_inferred_and_missing_joints_are_missing() -> None:
    coco, target = get_skeleton('coco_17'), get_skeleton('h36m_17')
    pose = make(coco)
    found = convert(pose, target)
    pelvis = target.index('pelvis')
    np.testing.assert_allclose(found.xyz[pelvis], pose.xyz[[11, 12]].mean(axis=0))
    assert found.status[pelvis] == JointStatus.INFERRED
    assert found.confidence[pelvis] == pose.confidence[[11, 12]].min()
    for name in ('spine', 'thorax', 'neck', 'head'):
        joint = target.index(name)
        assert np.isnan(found.xyz[joint]).all()
        assert np.isnan(found.pixels[joint]).all()
        assert found.status[joint] == JointStatus.INVALID


def test_same_name_other_meaning_is_not_copied() -> None:
    found = convert(make(get_skeleton('openpose_18')), get_skeleton('h36m_17'))
    assert found.status[get_skeleton('h36m_17').index('neck')] == JointStatus.INVALID
    found = convert(make(get_skeleton('openpose_18')), get_skeleton('panoptic_19'))
    assert found.status[get_skeleton('panoptic_19').index('neck')] == JointStatus.MEASURED


def test_mean_of_an_invalid_joint_is_invalid() -> None:
    status = np.full(17, JointStatus.MEASURED, np.uint8)
    status[11] = JointStatus.INVALID
    found = convert(make(get_skeleton('coco_17'), status=status), get_skeleton('h36m_17'))
    assert found.status[0] == JointStatus.INVALID


def test_relative_poses_are_moved_to_the_new_root() -> None:
    pose = make(get_skeleton('coco_17'), position_source=PositionSource.RELATIVE)
    found = convert(pose, get_skeleton('h36m_17'))
    np.testing.assert_allclose(found.xyz[0], 0, atol=1e-12)


def test_there_and_back() -> None:
    pose = make(get_skeleton('coco_17'), covariance=np.tile(np.eye(3), (17, 1, 1)))
    back = convert(convert(pose, get_skeleton('blazepose_33')), get_skeleton('coco_17'))
    np.testing.assert_array_equal(back.xyz, pose.xyz)
    np.testing.assert_array_equal(back.covariance, pose.covariance)
    np.testing.assert_array_equal(back.status, pose.status)


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(ConfigError, match='coco_17'):
        get_skeleton('coco')
    with pytest.raises(ConfigError, match='left_ear'):
        get_skeleton('coco_17').index('tail')
