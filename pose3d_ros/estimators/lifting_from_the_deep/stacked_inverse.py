# SPDX-License-Identifier: Apache-2.0
"""Inverses of many small positive definite matrices at once.

NumPy calls a general solver for each matrix of a stack; here all go through the same steps
together, which takes a third of the time for hundreds of matrices of 5 to 20 rows.
"""

from __future__ import annotations

import numpy as np

from ...types import Array

_DIRECT = 10  # rows; larger matrices are inverted by halves


def inverse(matrices: Array) -> tuple[Array, Array]:
    """Inverses of (..., N, N), and the logarithms of their determinants (...)."""
    n = matrices.shape[-1]
    if n <= _DIRECT:
        return _eliminated(matrices)
    h = n // 2
    corner = np.ascontiguousarray(matrices[..., :h, h:])
    first, log_first = inverse(matrices[..., :h, :h])
    lever = first @ corner
    second, log_second = inverse(matrices[..., h:, h:] - corner.swapaxes(-1, -2) @ lever)
    side = lever @ second
    out = np.empty_like(matrices)
    np.add(first, side @ lever.swapaxes(-1, -2), out=out[..., :h, :h])
    np.negative(side, out=out[..., :h, h:])
    out[..., h:, :h] = out[..., :h, h:].swapaxes(-1, -2)
    out[..., h:, h:] = second
    return out, log_first + log_second


def _eliminated(matrices: Array) -> tuple[Array, Array]:
    """By Gauss-Jordan, which needs no pivots here; the stack is the last axis, the fast one."""
    n = matrices.shape[-1]
    a = matrices.reshape(-1, n * n).T.copy().reshape(n, n, -1)
    determinant = np.zeros(a.shape[-1])
    for k in range(n):
        pivot = 1 / a[k, k]
        determinant -= np.log(pivot)
        row, column = a[k] * pivot, a[:, k].copy()
        a -= column[:, None] * row
        a[k] = row
        np.multiply(column, -pivot, out=a[:, k])
        a[k, k] = pivot
    back = np.ascontiguousarray(a.reshape(n * n, -1).T).reshape(matrices.shape)
    return back, determinant.reshape(matrices.shape[:-2])
