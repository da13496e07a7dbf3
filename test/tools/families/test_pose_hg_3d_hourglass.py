# SPDX-License-Identifier: Apache-2.0
"""What recorded results do not cover; see test_parity_pose_hg_3d.py."""

from __future__ import annotations

import pytest

from pose3d_ros.errors import ModelError

torch = pytest.importorskip('torch', reason='the networks are needed for conversion only')

from pose3d_ros.tools.families.pose_hg_3d_hourglass import FAMILY


def test_shapes_and_refusal_of_2d_checkpoints() -> None:
    module = FAMILY.build({})
    with torch.no_grad():
        found = module(torch.zeros(2, 3, 256, 256))
    assert [tuple(x.shape) for x in found] == [(2, 16, 64, 64), (2, 16, 64, 64), (2, 16)]
    shapes = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    del shapes['reg.weight']
    with pytest.raises(ModelError, match='no depth head'):
        FAMILY.build(shapes)
