# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from support.poses import person, random_person

from pose3d_ros.messages import TransformBuilder
from pose3d_ros.messages.standalone import StandaloneTypes
from pose3d_ros.messages.transforms import links
from pose3d_ros.settings.node import NodeConfig
from pose3d_ros.skeleton import SKELETONS
from pose3d_ros.types import PositionSource

TYPES = StandaloneTypes()


def sent(builder, poses, stamp_ns=0, lost=(), **settings):
    config = NodeConfig(**settings)
    return builder.transforms(
        poses, stamp_ns=stamp_ns, frame_id='cam', config=config, prefix=config.tf_prefix, lost=lost
    )


def test_root():
    (got,) = sent(TransformBuilder(TYPES), [person(at=(0.5, 0.25, 3))], stamp_ns=2_000_000_001)
    assert (got.header.frame_id, got.child_frame_id) == ('cam', 'body_1')
    assert (got.header.stamp.sec, got.header.stamp.nanosec) == (2, 1)
    t, q = got.transform.translation, got.transform.rotation
    assert (t.x, t.y, t.z) == pytest.approx((0.5, 0.25, 3))
    rotation = Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix()
    np.testing.assert_allclose(rotation[:, 0], [0, 0, -1], atol=1e-9)


def test_all_joints_lead_back_to_the_camera():
    pose = random_person(np.random.default_rng(3), 'blazepose_33')
    body, *rest = sent(TransformBuilder(TYPES), [pose], tf_joints='all')
    t, q = body.transform.translation, body.transform.rotation
    rotation = Rotation.from_quat([q.x, q.y, q.z, q.w])
    found = {}
    for item in rest:
        assert item.header.frame_id == 'body_1'
        assert item.transform.rotation.w == 1
        local = item.transform.translation
        at = rotation.apply([local.x, local.y, local.z]) + np.array([t.x, t.y, t.z])
        found[item.child_frame_id] = at
    index = pose.skeleton.index
    np.testing.assert_allclose(found['l_wrist_1'], pose.xyz[index('left_wrist')])
    np.testing.assert_allclose(found['r_ankle_1'], pose.xyz[index('right_ankle')])
    np.testing.assert_allclose(found['waist_1'], pose.root, atol=1e-9)
    ears = pose.xyz[[index('left_ear'), index('right_ear')]]
    np.testing.assert_allclose(found['head_1'], ears.mean(axis=0))
    assert len(rest) == len({item.child_frame_id for item in rest})


@pytest.mark.parametrize('name', SKELETONS)
def test_links_of_every_skeleton(name):
    names = [link for link, _ in links(SKELETONS[name])]
    assert len(names) == len(set(names))
    sides = ['shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle']
    wanted = {'waist', 'torso', 'head', *(f'{s}_{part}' for s in 'lr' for part in sides)}
    assert wanted <= set(names)


@pytest.mark.slow
def test_names_are_bounded_over_many_tracks():
    builder, names = TransformBuilder(TYPES), set()
    for k in range(1000):
        poses = [person(2 * k + 1), person(2 * k + 2)]
        gone = [2 * k - 1, 2 * k] if k else []
        # Sometimes nobody says that a track ended: time must do.
        lost = gone if k % 3 else []
        got = sent(builder, poses, stamp_ns=k * 2_000_000_000, lost=lost, tf_max_people=5)
        assert len({t.child_frame_id for t in got}) == 2
        names |= {t.child_frame_id for t in got}
    assert names <= {f'body_{slot}' for slot in range(1, 6)}


def test_a_person_keeps_the_frame():
    builder = TransformBuilder(TYPES)
    first = [t.child_frame_id for t in sent(builder, [person(10), person(20)])]
    second = [t.child_frame_id for t in sent(builder, [person(20), person(10)])]
    assert second == first[::-1]
    (alone,) = sent(builder, [person(20)], lost=[10])
    assert alone.child_frame_id == first[1]


def test_more_people_than_slots():
    builder = TransformBuilder(TYPES)
    poses = [person(k) for k in range(1, 5)]
    assert len(sent(builder, poses, tf_max_people=2)) == 2
    got = sent(builder, poses[2:], lost=[1, 2], tf_max_people=2)
    assert {t.child_frame_id for t in got} == {'body_1', 'body_2'}


@pytest.mark.parametrize(
    'pose',
    [
        person(0),
        person(position_source=PositionSource.RELATIVE),
        person(xyz=np.full((17, 3), np.nan)),
    ],
)
def test_no_transform_for(pose):
    assert sent(TransformBuilder(TYPES), [pose]) == []


def test_switch_and_prefix():
    assert sent(TransformBuilder(TYPES), [person()], tf_joints='none') == []
    (got,) = sent(TransformBuilder(TYPES, 'left'), [person()], tf_prefix='robot1/')
    assert got.child_frame_id == 'robot1/left_body_1'


def test_clear_frees_the_slots():
    builder = TransformBuilder(TYPES)
    sent(builder, [person(1)], tf_max_people=1)
    assert sent(builder, [person(2)], tf_max_people=1) == []
    builder.clear()
    assert len(sent(builder, [person(2)], tf_max_people=1)) == 1
