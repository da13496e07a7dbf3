# SPDX-License-Identifier: Apache-2.0
"""How good poses are: the usual errors against ground truth.

Arrays are (..., J, 3) metres, or (..., J, 2) pixels where said. A joint that is NaN in either array
is left out; a pose without any common joint gives NaN. Every function that averages returns one
number per pose, so that the caller chooses the mean over frames.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..geometry import procrustes
from ..types import Array


def joint_errors(predicted: Array, truth: Array) -> Array:
    """(..., J) Euclidean distance of each joint, NaN where either is missing."""
    distance: Array = np.linalg.norm(np.asarray(predicted, float) - truth, axis=-1)
    return distance


def mean_over_joints(values: Array) -> Array:
    """(...) mean of (..., J) over the joints that are not NaN; NaN if there is none."""
    good = np.isfinite(values)
    count = good.sum(axis=-1)
    total = np.where(good, values, 0.0).sum(axis=-1)
    mean: Array = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean


def median_over_joints(values: Array) -> Array:
    """(...) median of (..., J) over the joints that are not NaN; NaN if there is none."""
    good = np.isfinite(values).any(axis=-1)
    median: Array = np.full(good.shape, np.nan)
    median[good] = np.nanmedian(values[good], axis=-1)
    return median


def mpjpe(predicted: Array, truth: Array) -> Array:
    """Mean per-joint position error ("protocol 1" of Human3.6M, Ionescu et al., PAMI 2014).

    Nothing is aligned here: move both roots to the origin first for the usual root-relative number.
    """
    return mean_over_joints(joint_errors(predicted, truth))


def n_mpjpe(predicted: Array, truth: Array) -> Array:
    """MPJPE after the best scaling of each root-relative pose (Rhodin et al., CVPR 2018)."""
    predicted, truth = _common(predicted, truth)
    square = np.nansum(predicted**2, axis=(-2, -1))
    scale = np.nansum(predicted * truth, axis=(-2, -1)) / np.where(square > 0, square, np.nan)
    return mpjpe(predicted * scale[..., None, None], truth)


def pa_mpjpe(predicted: Array, truth: Array) -> Array:
    """MPJPE after the best rotation, translation and scale of each pose ("protocol 2")."""
    predicted, truth = _common(predicted, truth)
    shape = predicted.shape
    out = np.full(int(np.prod(shape[:-2])), np.nan)
    pairs = zip(predicted.reshape(-1, *shape[-2:]), truth.reshape(-1, *shape[-2:]))
    for k, (p, t) in enumerate(pairs):
        good = np.isfinite(p).all(axis=-1)
        # Three points are the least that fix a rotation.
        if good.sum() >= 3:
            moved = procrustes(p[good], t[good])(p[good])
            out[k] = np.linalg.norm(moved - t[good], axis=1).mean()
    return out.reshape(shape[:-2])


def pck(predicted: Array, truth: Array, threshold: float = 0.15) -> Array:
    """Share of joints nearer than the threshold (3DPCK at 150 mm, Mehta et al., 3DV 2017)."""
    errors = joint_errors(predicted, truth)
    return mean_over_joints(np.where(np.isfinite(errors), errors < threshold, np.nan))


def coverage(errors: Array, covariance: Array, sigmas: float = 1.0) -> float:
    """Share of single coordinates whose error is within so many stated standard deviations.

    errors (..., 3) metres, covariance (..., 3, 3) square metres. A right and Gaussian covariance
    gives 0.683 for one sigma; a lower share means that it promises too much. NaN if there is none.
    """
    variance = np.diagonal(covariance, axis1=-2, axis2=-1)
    good = np.isfinite(errors) & np.isfinite(variance) & (variance >= 0)
    if not good.any():
        return float('nan')
    return float((np.abs(errors[good]) <= sigmas * np.sqrt(variance[good])).mean())


def match_people(predicted: Array, truth: Array, limits: Array) -> list[tuple[int, int]]:
    """Pairs (prediction, truth) with the least sum of mean 2D distances.

    predicted (P, J, 2), truth (Q, J, 2) pixels; limits (Q,) pixels: pairs farther apart than the
    limit of the true person are no match. As many pairs as possible are made within the limits.
    """
    if not len(predicted) or not len(truth):
        return []
    distance = mpjpe(predicted[:, None], truth[None])
    allowed = np.isfinite(distance)
    allowed &= distance <= np.asarray(limits)[None]
    # A forbidden pair costs more than all allowed ones together, so it is taken last and dropped.
    cost = np.where(allowed, distance, 1e9)
    rows, columns = linear_sum_assignment(cost)
    return [(int(r), int(c)) for r, c in zip(rows, columns) if allowed[r, c]]


def _common(predicted: Array, truth: Array) -> tuple[Array, Array]:
    """Both arrays with NaN in every joint that either lacks."""
    predicted, truth = np.broadcast_arrays(np.asarray(predicted, float), np.asarray(truth, float))
    bad = ~(np.isfinite(predicted) & np.isfinite(truth)).all(axis=-1, keepdims=True)
    return np.where(bad, np.nan, predicted), np.where(bad, np.nan, truth)
