# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import numpy as np

from pose3d_ros.people.filters import OneEuro, OneEuroSettings

SETTINGS = OneEuroSettings(min_cutoff=1.0, beta=0.5, derivative_cutoff=1.0)
TICK = 33_000_000


def reference(values: list[float], dts: list[float], scale: float) -> list[float]:
    """The paper's scalar form."""

    def alpha(cutoff: float, rate: float) -> float:
        return 1 / (1 + rate / (2 * math.pi * cutoff))

    out, speed, raw = [values[0]], 0.0, values[0]
    for value, dt in zip(values[1:], dts):
        rate = 1 / dt
        a = alpha(SETTINGS.derivative_cutoff, rate)
        speed = a * (value - raw) * rate * scale + (1 - a) * speed
        b = alpha(SETTINGS.min_cutoff + SETTINGS.beta * abs(speed), rate)
        out.append(b * value + (1 - b) * out[-1])
        raw = value
    return out


def test_equals_the_scalar_form_at_uneven_times() -> None:
    rng = np.random.default_rng(0)
    values, dts = rng.normal(size=30), rng.uniform(0.01, 0.1, 29)
    stamps = np.concatenate([[0], np.cumsum(np.rint(dts * 1e9).astype(np.int64))])
    euro = OneEuro(SETTINGS)
    found = [float(euro(np.array([v]), int(s), 2.0)[0]) for v, s in zip(values, stamps)]
    np.testing.assert_allclose(found, reference(values.tolist(), dts.tolist(), 2.0), atol=1e-6)


def test_noise_at_rest_shrinks() -> None:
    noise = np.random.default_rng(0).normal(size=(200, 1))
    euro = OneEuro(OneEuroSettings(0.5, 0.0))
    out = np.array([euro(x, k * TICK) for k, x in enumerate(noise)])
    assert out[50:].std() < 0.4 * noise.std()


def test_nan_passes_and_restarts_only_itself() -> None:
    euro = OneEuro(SETTINGS)
    euro(np.array([0.0, 0.0]), 0)
    found = euro(np.array([np.nan, 1.0]), TICK)
    assert np.isnan(found[0])
    assert 0 < found[1] < 1
    found = euro(np.array([5.0, 1.0]), 2 * TICK)
    assert found[0] == 5.0
    assert 0 < found[1] < 1


def test_standing_or_backward_time_does_not_freeze() -> None:
    euro = OneEuro(SETTINGS)
    euro(np.zeros(1), TICK)
    assert euro(np.ones(1), TICK)[0] == 1.0
    assert euro(np.full(1, 2.0), 0)[0] == 2.0


def test_input_is_not_kept() -> None:
    euro, x = OneEuro(SETTINGS), np.zeros(1)
    euro(x, 0)[0] = 9.0
    x[0] = 7.0
    assert 0 < euro(np.ones(1), TICK)[0] < 1
