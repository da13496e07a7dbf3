# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

pytest.importorskip('torch')

import torch
from support.motion import standing

from pose3d_ros.estimators.lifter.features import COUNT, HIDDEN_SET, HINT
from pose3d_ros.tools.training import detector
from pose3d_ros.tools.training.detector import INDEX, Source
from pose3d_ros.tools.training.rng import Rng


def like_blazepose(count: int) -> Source:
    yes = torch.ones(count, dtype=torch.bool)
    return Source(yes, ~yes, ~yes, torch.ones(count))


def test_what_is_behind_the_trunk_is_doubted() -> None:
    body = standing(400)
    assert detector.behind(body).max() == 0
    wrist = INDEX['left_wrist']
    body[:, :, wrist] = torch.tensor([0.0, -0.1, 4.2])
    gap = detector.behind(body)
    assert gap[0, 0, 1] == pytest.approx(0.2, abs=0.02)  # the left wrist is the second of the arms
    assert gap.sum(dim=-1)[0, 0] == pytest.approx(0.2, abs=0.02)
    confidence = detector.confidence(body, like_blazepose(400), Rng(1))
    assert confidence[:, :, wrist].median() < 0.3
    assert confidence[:, :, INDEX['right_wrist']].median() > 0.95
    body[:, :, wrist, 2] = 3.8
    assert detector.confidence(body, like_blazepose(400), Rng(1))[:, :, wrist].median() > 0.95


def test_errors_grow_with_doubt() -> None:
    body = standing(2000)
    rays, metre = body[..., :2] / body[..., 2:], 1 / body[..., 2:]
    source = like_blazepose(2000)
    sizes = []
    for confidence in (0.99, 0.6, 0.2):
        blurred, _ = detector.blur(
            rays, metre, torch.full(rays.shape[:3], confidence), source, Rng(1)
        )
        error = ((blurred - rays) / metre)[:, :, INDEX['left_elbow']]
        sizes.append(float(error.std()))
    assert sizes[0] < 0.03
    assert sizes[0] < sizes[1] < sizes[2] < 0.12


def test_offsets_turn_with_the_body() -> None:
    body = standing(3000)
    source = like_blazepose(3000)
    shift = detector.offsets(body, source, Rng(1)).mean(dim=(0, 1))
    # Facing the camera, forward is towards it: BlazePose's hips lie in front of a rig's.
    assert shift[INDEX['left_hip'], 2] == pytest.approx(-0.052, abs=0.004)
    assert shift[INDEX['left_shoulder'], 1] == pytest.approx(-0.03, abs=0.004)
    turned = body - torch.tensor([0, 0, 4.0])
    turned = turned * torch.tensor([-1.0, 1, -1]) + torch.tensor([0, 0, 4.0])
    shift = detector.offsets(turned, source, Rng(1)).mean(dim=(0, 1))
    assert shift[INDEX['left_hip'], 2] == pytest.approx(0.052, abs=0.004)


def test_beyond_the_edge_there_are_hints_or_nothing() -> None:
    body = standing(3000)
    rays, metre = body[..., :2] / body[..., 2:], 1 / body[..., 2:]
    full = torch.full(rays.shape[:3], 0.9)
    same, confidence = detector.cut(rays, metre, full, like_blazepose(3000), Rng(1))
    assert confidence.unique().tolist() == pytest.approx([0.0, HINT, 0.9])
    assert torch.equal(same[confidence > 0.5], rays[confidence > 0.5])
    none = like_blazepose(3000)
    none.like_blazepose = ~none.like_blazepose
    _, confidence = detector.cut(rays, metre, full, none, Rng(1))
    assert confidence.unique().tolist() == pytest.approx([0.0, 0.9])


def test_sources_give_their_joints() -> None:
    source = like_blazepose(1)
    assert detector.available(source)[0, HIDDEN_SET].sum() == 0
    assert detector.available(source).sum() == COUNT - len(HIDDEN_SET)
    source = Source(
        torch.tensor([False]), torch.tensor([True]), torch.tensor([False]), torch.ones(1)
    )
    assert detector.available(source).sum() == 17
