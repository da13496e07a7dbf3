# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from support.standing import standing

from pose3d_ros.placement.contact import Contact
from pose3d_ros.placement.size import SizeMemory, fuse, with_heights
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.types import EstimatorInfo

INFO = EstimatorInfo('m', '1', 'none', 'CPU', 'f32', metric=True, size_sigma=0.08)


def test_sizes_come_to_what_is_measured() -> None:
    memory = SizeMemory()
    assert memory.estimate(0.08) == (1.0, 0.08)
    rng = np.random.default_rng(0)
    for factor in 0.9 * np.exp(rng.normal(0, 0.03, 200)):
        memory.add(float(factor), 0.03**2, 0.01**2)
    size, sigma = memory.estimate(0.08)
    assert size == pytest.approx(0.91, abs=0.02)
    assert 0.02 < sigma < 0.04


def test_jumps_do_not_make_people_large() -> None:
    memory = SizeMemory()
    for k in range(200):
        memory.add(1.5 if k % 3 == 0 else 1.0, 0.03**2, 0.01**2)
    assert memory.estimate(0.08)[0] == pytest.approx(1.0, abs=0.01)


def test_children_are_believed_and_giants_hardly() -> None:
    child, giant = SizeMemory(), SizeMemory()
    for _ in range(200):
        child.add(0.6, 0.03**2, 0.02**2)
        giant.add(1 / 0.6, 0.03**2, 0.02**2)
    assert child.estimate(0.08)[0] == pytest.approx(0.6, rel=0.03)
    assert giant.estimate(0.08)[0] < 1.6


def test_what_is_the_same_in_all_frames_is_not_averaged_away() -> None:
    memory = SizeMemory()
    for _ in range(300):
        memory.add(0.9, 0.03**2, 0.1**2)
    size, sigma = memory.estimate(0.08)
    assert size > 0.93
    assert sigma > 0.05


def test_a_size_is_fused_with_feet() -> None:
    memory = SizeMemory()
    alone = fuse(memory, 4.0, 0.08, None)
    assert alone is not None
    assert (alone.size, alone.depth) == pytest.approx((1.0, 4.0))
    assert alone.sigma > 0.08 * 4
    assert alone.stands == 0
    feet = Contact(depth=3.6, gain=0.1, sigma=0.05, bias=0.03, share=1.0)
    both = fuse(memory, 4.0, 0.08, feet)
    assert both is not None
    assert both.depth == pytest.approx(3.5, abs=0.05)
    assert 0.86 < both.size < 0.95
    assert both.sigma < 0.06
    assert both.stands == 1
    doubted = fuse(SizeMemory(), 4.0, 0.08, Contact(3.6, 0.1, 0.05, 0.03, 0.01))
    assert doubted is not None
    assert doubted.depth == pytest.approx(4.0, abs=0.01)


def test_nonsense_places_nobody_and_is_not_learnt() -> None:
    memory = SizeMemory()
    far = fuse(memory, 4.0, 0.08, Contact(40.0, 0.1, 0.5, 0.1, 1.0))
    assert far is not None
    assert far.depth == pytest.approx(4.0)
    assert memory.count == 0


def test_heights_that_are_told_measured_or_unknown() -> None:
    pose, _ = standing()
    heights = {1: 1.75}
    learnt, fresh = SizeMemory(), SizeMemory()
    for _ in range(100):
        learnt.add(0.8, 0.03**2, 0.02**2)
    fresh.add(0.8, 0.3**2, 0.02**2)

    def height(memories: dict[int, SizeMemory], **settings: float) -> float:
        config = PipelineConfig(**settings)
        return with_heights([pose], heights, memories, INFO, config)[0].height_m

    assert height({1: learnt}) == pytest.approx(0.8 * 1.75, rel=0.02)
    assert height({1: learnt}, body_height_m=1.6) == 1.6
    assert np.isnan(height({1: fresh}))
    assert np.isnan(height({1: SizeMemory()}))
    assert np.isnan(height({}))
