# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

pytest.importorskip('torch')

import torch

from pose3d_ros.tools.training.rng import Rng


def test_the_same_seed_gives_the_same_numbers() -> None:
    first, second, other = Rng(3), Rng(3), Rng(4)
    draws = [
        torch.cat([d.uniform(5), d.normal(5), d.chance(5, share=0.5), d.order(5), d.integers(9, 5)])
        for d in (first, second, other)
    ]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_draws_are_what_they_say() -> None:
    rng = Rng(1)
    even = rng.uniform(20000, low=-2, high=4)
    assert -2 <= float(even.min()) < -1.99
    assert float(even.mean()) == pytest.approx(1, abs=0.05)
    assert float(rng.normal(20000).std()) == pytest.approx(1, abs=0.03)
    assert float(rng.chance(20000, share=0.2).float().mean()) == pytest.approx(0.2, abs=0.02)
    assert sorted(rng.order(50).tolist()) == list(range(50))
    assert set(rng.integers(3, 200).tolist()) == {0, 1, 2}
