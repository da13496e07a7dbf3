# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from pose3d_ros.errors import InputError
from pose3d_ros.estimators.lifting_from_the_deep.prior import Prior
from pose3d_ros.skeleton import SKELETONS
from pose3d_ros.tools.training import pose_prior

H36M = SKELETONS['h36m_17']
EXTRA = ('nose', 'left_ear', 'right_ear', 'left_toe', 'right_toe')


def motion(count: int, seed: int = 0, spread: float = 0.08) -> np.ndarray:
    """(T, 22, 3) metres: a standing figure, bent at random and turned anyhow."""
    rng = np.random.default_rng(seed)
    h = H36M.index
    body = np.zeros((22, 3))
    for side, x in (('right', 1), ('left', -1)):
        body[h(f'{side}_hip')] = 0.1 * x, 0, 0.9
        body[h(f'{side}_knee')] = 0.1 * x, 0.05, 0.5
        body[h(f'{side}_ankle')] = 0.1 * x, 0, 0.1
        body[h(f'{side}_shoulder')] = 0.2 * x, 0, 1.4
        body[h(f'{side}_elbow')] = 0.25 * x, 0, 1.15
        body[h(f'{side}_wrist')] = 0.25 * x, 0.1, 0.95
    body[[0, 7, 8, 9, 10], 2] = 0.9, 1.15, 1.4, 1.55, 1.75
    body[17:20] = (0, 0.12, 1.6), (-0.07, 0, 1.62), (0.07, 0, 1.62)
    body[20:] = (-0.1, 0.12, 0.05), (0.1, 0.12, 0.05)
    poses = body + rng.normal(0, spread, (count, 1, 1)) * rng.normal(0, 1, (1, 22, 3))
    poses = poses + rng.normal(0, spread / 2, (count, 22, 3))
    angle = rng.uniform(0, 2 * np.pi, count)
    c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y = poses[..., 0], poses[..., 1]
    return np.stack([c * x - s * y + 3, s * x + c * y, poses[..., 2]], axis=-1)


def write(path, clips):
    arrays = {'joint_names': np.array(H36M.names), 'extra_names': np.array(EXTRA)}
    for name, clip in clips.items():
        arrays[name], arrays[f'{name}__extra'] = clip[:, :17], clip[:, 17:]
    np.savez(path, **arrays)


@pytest.mark.slow
def test_from_clips_to_a_prior(tmp_path):
    write(
        tmp_path / 'clips.npz', {'a': motion(300), 'b': motion(200, 1), 'held_out': motion(50, 2)}
    )
    command = [str(tmp_path / 'clips.npz'), str(tmp_path / 'prior.npz'), '--exclude', 'held_out']
    command += ['--components', '2', '--basis', '20', '--notice', 'made up']
    assert pose_prior.main(command) == 0
    prior = Prior.load(tmp_path / 'prior.npz')
    assert prior.mu.shape == (2, 3, 22)
    assert prior.joints == (*H36M.names, *EXTRA)
    assert prior.share.sum() == pytest.approx(1)
    flat = prior.e.reshape(2, 20, 66)
    np.testing.assert_allclose(flat @ flat.transpose(0, 2, 1), np.tile(np.eye(20), (2, 1, 1)),
                               atol=1e-5)  # fmt: skip
    # z up, facing +y, right side at +x, millimetres, centred; both sides alike.
    mean = np.tensordot(prior.share, prior.mu, 1)
    h = H36M.index
    assert mean[0, h('right_shoulder')] == pytest.approx(200, rel=0.3)
    assert mean[2, h('head')] - mean[2, h('left_ankle')] == pytest.approx(1650, rel=0.15)
    assert mean[1, 17] - mean[1, h('neck')] > 50
    np.testing.assert_allclose(mean[:, :17].mean(axis=1), 0, atol=1)
    np.testing.assert_allclose(mean[0, h('left_knee')], -mean[0, h('right_knee')], atol=15)


def test_facing_is_independent_of_the_heading():
    poses = motion(40, spread=0.0)
    turned = pose_prior.centred(pose_prior.facing(poses))
    np.testing.assert_allclose(turned, np.broadcast_to(turned[:1], turned.shape), atol=1e-9)


def test_bodies_differ_but_stay_symmetric():
    names = (*H36M.names, *EXTRA)
    poses = motion(30, spread=0.0)
    settings = pose_prior.PriorSettings()
    out = pose_prior.reproportioned(poses, names, np.random.default_rng(0), settings)
    h = H36M.index
    lengths = {
        side: np.linalg.norm(out[:, h(f'{side}_knee')] - out[:, h(f'{side}_hip')], axis=1)
        for side in ('left', 'right')
    }
    np.testing.assert_allclose(lengths['left'], lengths['right'], rtol=1e-6)
    assert lengths['left'].std() > 0.01
    twice = pose_prior.mirrored(pose_prior.mirrored(poses, names), names)
    np.testing.assert_array_equal(twice, poses)


def test_bad_clips(tmp_path):
    path = tmp_path / 'clips.npz'
    with pytest.raises(InputError, match='no set of motion clips'):
        pose_prior.read_clips(path)
    write(path, {'a': motion(20)})
    with pytest.raises(InputError, match='no clip b'):
        pose_prior.read_clips(path, ['b'])
    with pytest.raises(InputError, match='holds no clips'):
        pose_prior.read_clips(path, ['a'])
    assert pose_prior.main([str(path), str(tmp_path / 'out.npz')]) == 1
    assert not (tmp_path / 'out.npz').exists()
