# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pose3d_ros.tools import metrics


@pytest.fixture
def truth():
    return np.random.default_rng(0).normal(size=(20, 13, 3))


def test_mpjpe_of_a_known_offset(truth):
    assert metrics.mpjpe(truth + np.array((0.03, 0, 0.04)), truth) == pytest.approx(0.05)


def test_missing_joints_are_left_out(truth):
    predicted = truth + np.array((0, 0.1, 0))
    predicted[:, 4] = np.nan
    predicted[3] = np.nan
    errors = metrics.mpjpe(predicted, truth)
    assert np.isnan(errors[3])
    assert np.delete(errors, 3) == pytest.approx(0.1)
    for metric in (metrics.n_mpjpe, metrics.pa_mpjpe, metrics.pck):
        values = metric(predicted, truth)
        assert np.isnan(values[3])
        assert np.isfinite(np.delete(values, 3)).all()


def test_n_mpjpe_forgives_size_alone(truth):
    assert metrics.n_mpjpe(0.7 * truth, truth) == pytest.approx(0, abs=1e-12)
    turned = truth @ Rotation.from_euler('y', 30, degrees=True).as_matrix().T
    assert (metrics.n_mpjpe(turned, truth) > 0.1).all()


def test_pa_mpjpe_forgives_rotation_scale_and_place(truth):
    turn = Rotation.from_euler('xyz', [20, -70, 130], degrees=True).as_matrix()
    moved = 1.3 * truth @ turn.T + [1, 2, 3]
    assert metrics.pa_mpjpe(moved, truth) == pytest.approx(0, abs=1e-12)


def test_pa_mpjpe_does_not_forgive_a_mirrored_body(truth):
    assert (metrics.pa_mpjpe(truth * [-1, 1, 1], truth) > 0.1).all()


def test_pck_counts_joints(truth):
    predicted = truth.copy()
    predicted[:, 0] += [0.2, 0, 0]
    assert metrics.pck(predicted, truth) == pytest.approx(12 / 13)


def test_coverage_of_a_right_covariance():
    rng = np.random.default_rng(1)
    sigma = np.array([0.01, 0.02, 0.1])
    errors = rng.normal(size=(20000, 3)) * sigma
    covariance = np.broadcast_to(np.diag(sigma**2), (20000, 3, 3))
    assert metrics.coverage(errors, covariance) == pytest.approx(0.683, abs=0.01)
    assert metrics.coverage(errors, covariance / 100) < 0.1
    assert np.isnan(metrics.coverage(errors, np.full((20000, 3, 3), np.nan)))


def people(*centres):
    shape = np.random.default_rng(2).normal(size=(13, 2)) * 20
    return np.array([shape + centre for centre in centres])


def test_matching_is_optimal_and_limited():
    truth = people((100, 100), (160, 100))
    predicted = people((150, 100), (300, 300), (95, 100))
    assert sorted(metrics.match_people(predicted, truth, np.full(2, 40))) == [(0, 1), (2, 0)]
    assert metrics.match_people(predicted, truth, np.full(2, 4)) == []
    assert metrics.match_people(np.zeros((0, 13, 2)), truth, np.full(2, 40)) == []


def test_matching_prefers_two_pairs_to_one_good_one():
    truth = people((100, 100), (120, 100))
    predicted = people((118, 100), (139, 100))
    # Greedy would pair 0 with 1 (2 px) and leave 1 with 0 (39 px, beyond the limit).
    assert sorted(metrics.match_people(predicted, truth, np.full(2, 30))) == [(0, 0), (1, 1)]


def test_parity_lifters_mpjpe(recorded):
    with np.load(recorded('lifters/metrics/mmpose_keypoint_mpjpe.npz')) as d:
        predicted, truth, mask = d['pred'], d['gt'], d['mask']
        masked = np.where(mask[..., None], predicted, np.nan)
        errors = metrics.joint_errors(masked, truth)
        assert np.nanmean(errors) == pytest.approx(d['none_masked'], rel=1e-6)
        mean = {
            'none_full': metrics.mpjpe(predicted, truth),
            'scale_full': metrics.n_mpjpe(predicted, truth),
            'procrustes_full': metrics.pa_mpjpe(predicted, truth),
            'procrustes_reflected_full': metrics.pa_mpjpe(d['pred_reflected'], truth),
        }
        for key, value in mean.items():
            assert value.mean() == pytest.approx(d[key], rel=1e-6), key


def test_parity_lifters_official_losses(recorded):
    with np.load(recorded('lifters/metrics/official_losses.npz')) as d:
        predicted, truth = d['pred'], d['gt']
        assert metrics.mpjpe(predicted, truth) == pytest.approx(d['per_frame_mpjpe'], rel=1e-6)
        assert metrics.pa_mpjpe(predicted, truth) == pytest.approx(d['per_frame_p_mpjpe'], rel=1e-6)
        assert metrics.n_mpjpe(predicted, truth).mean() == pytest.approx(
            d['vp3d_n_mpjpe'], rel=1e-6
        )
