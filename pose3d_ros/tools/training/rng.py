# SPDX-License-Identifier: Apache-2.0
"""Random numbers for training, all from one seeded generator."""

from __future__ import annotations

from typing import Any

import torch

Tensor = Any


class Rng:
    """A seeded generator, on PyTorch's default device."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator(torch.get_default_device()).manual_seed(seed)

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Evenly between low and high."""
        return low + (high - low) * torch.rand(*shape, generator=self.generator)

    def normal(self, *shape: int) -> Tensor:
        """Mean 0, standard deviation 1."""
        return torch.randn(*shape, generator=self.generator)

    def chance(self, *shape: int, share: float) -> Tensor:
        """True for about that share."""
        return self.uniform(*shape) < share

    def integers(self, high: int, count: int) -> Tensor:
        """(count,) 0 to high - 1."""
        return torch.randint(0, high, (count,), generator=self.generator)

    def order(self, count: int) -> Tensor:
        """(count,) a permutation."""
        return torch.randperm(count, generator=self.generator)
