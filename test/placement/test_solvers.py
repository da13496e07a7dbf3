# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from shared import CLIPS

from pose3d_ros.placement.solvers import by_bone_lengths, by_box, robust_place
from pose3d_ros.skeleton import SKELETONS

FILES = sorted(CLIPS.glob('*.npz'))
EDGES = np.array([(p, j) for j, p in enumerate(SKELETONS['h36m_17'].parents) if p >= 0])


def body(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A body of 17 joints about its root, and where it stands."""
    rng = np.random.default_rng(seed)
    xyz = rng.normal(0, 1, (17, 3)) * (0.25, 0.5, 0.2)
    return xyz - xyz[0], np.array([rng.uniform(-1, 1), rng.uniform(-0.5, 0.5), rng.uniform(2, 6)])


def seen(xyz: np.ndarray) -> np.ndarray:
    return xyz[:, :2] / xyz[:, 2:]


@pytest.mark.parametrize('seed', range(10))
def test_exact_rays_give_the_exact_place(seed: int) -> None:
    xyz, t = body(seed)
    found = robust_place(xyz, seen(xyz + t), np.ones(17))
    assert found is not None
    assert np.allclose(found.t, t, atol=1e-4)
    assert found.inliers.all()


@pytest.mark.parametrize('seed', range(10))
def test_gross_errors_count_for_nothing(seed: int) -> None:
    xyz, t = body(seed)
    rays = seen(xyz + t)
    wrong = np.random.default_rng(seed + 100).choice(17, 4, replace=False)
    rays[wrong] += 0.3
    found = robust_place(xyz, rays, np.ones(17))
    assert found is not None
    assert np.allclose(found.t, t, rtol=1e-3, atol=2e-3)
    assert not found.inliers[wrong].any()


def test_missing_and_distrusted_joints_are_left_out() -> None:
    xyz, t = body()
    rays = seen(xyz + t)
    rays[:5] = np.nan
    rays[5:8] += 1
    weights = np.ones(17)
    weights[5:8] = 0
    found = robust_place(xyz, rays, weights)
    assert found is not None
    assert np.allclose(found.t, t, atol=1e-4)
    assert robust_place(xyz, rays, np.where(np.arange(17) < 15, 0.0, 1.0)) is None
    assert robust_place(xyz, np.full((17, 2), np.nan), np.ones(17)) is None


def test_a_point_or_a_body_behind_the_camera_has_no_place() -> None:
    xyz, t = body()
    assert robust_place(xyz, np.zeros((17, 2)), np.ones(17)) is None
    behind = robust_place(xyz, seen(xyz + t) * -1, np.ones(17))
    assert behind is None or behind.residual > 0.1 * behind.extent


@pytest.mark.parametrize('wrong', [0.0, 0.2])
@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_places_on_the_clips(path, wrong: float) -> None:
    """True bodies, their pixels with 3 px of noise, a share of them anywhere in the image."""
    rng = np.random.default_rng(0)
    with np.load(path) as data:
        joints, pixels, K = data['joints_cam'], data['joints_px'], data['K']
        size = data['image_size']
    errors = []
    for frame in range(0, len(joints), 10):
        for xyz, uv in zip(joints[frame, :, :17].astype(float), pixels[frame, :, :17]):
            noisy = uv + rng.normal(0, 3, uv.shape)
            chosen = rng.permutation(17)[: round(wrong * 17)]
            noisy[chosen] = rng.uniform(0, 1, (len(chosen), 2)) * size
            rays = np.linalg.solve(K, np.column_stack([noisy, np.ones(17)]).T).T[:, :2]
            found = robust_place(xyz - xyz[0], rays, np.ones(17))
            assert found is not None
            errors.append(np.linalg.norm(found.t - xyz[0]) / np.linalg.norm(xyz[0]))
    assert np.median(errors) < (0.05 if wrong else 0.03)


@pytest.mark.parametrize('seed', range(5))
def test_bone_lengths_find_the_depth(seed: int) -> None:
    xyz, t = body(seed)
    lengths = np.linalg.norm(xyz[EDGES[:, 0]] - xyz[EDGES[:, 1]], axis=1)
    z = by_bone_lengths(seen(xyz + t), xyz[:, 2], EDGES, lengths)
    assert z == pytest.approx(t[2], rel=1e-6)
    rays = seen(xyz + t)
    rays[3] = np.nan
    assert by_bone_lengths(rays, xyz[:, 2], EDGES, lengths) == pytest.approx(t[2], rel=1e-6)
    assert by_bone_lengths(rays * np.nan, xyz[:, 2], EDGES, lengths) is None


def test_a_box_gives_a_guess() -> None:
    xyz, t = body(3)
    rays = seen(xyz + t)
    guess = by_box(xyz, rays.min(axis=0), rays.max(axis=0))
    assert guess is not None
    assert np.linalg.norm(guess - t) < 0.25 * t[2]
    assert by_box(np.zeros((17, 3)), np.array([0.0, 0]), np.array([1.0, 1])) is None
