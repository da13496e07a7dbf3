# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from published import lifter_protocols as protocols


def test_alignments_undo_what_they_should() -> None:
    truth = np.random.default_rng(0).normal(size=(3, 17, 3))
    mask = np.ones((3, 17), bool)
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    assert protocols.keypoint_mpjpe(2 * truth, truth, mask, 'scale') == pytest.approx(0, abs=1e-9)
    moved = 3 * truth @ turn + 1
    assert protocols.keypoint_mpjpe(moved, truth, mask, 'procrustes') == pytest.approx(0, abs=1e-9)
    assert protocols.keypoint_mpjpe(truth + np.array([1, 0, 0]), truth, mask) == pytest.approx(1)


def test_display_stands_on_the_floor() -> None:
    shown = protocols.display_axes(np.random.default_rng(0).normal(size=(17, 3)))
    assert shown[:, 2].min() == 0


def test_a_box_that_moves_little_keeps_its_number() -> None:
    tracker = protocols.IouTracker()
    boxes = np.array([[0.0, 0, 10, 10], [50, 50, 60, 60]])
    first = tracker.update(boxes)
    assert tracker.update(boxes[::-1] + 1) == first[::-1]
