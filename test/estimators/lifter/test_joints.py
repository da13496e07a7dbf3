# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from pose3d_ros.errors import ConfigError
from pose3d_ros.estimators.lifter.joints import H36M, SOURCES, matrix, to_h36m
from pose3d_ros.skeleton import SKELETONS


@pytest.mark.parametrize('source', [name for name in SOURCES if name in SKELETONS])
def test_limbs_are_taken_by_name(source: str) -> None:
    names = SKELETONS[source].names
    for joint, name in enumerate(H36M.names):
        if name.startswith(('left', 'right')):
            assert names[int(np.argmax(matrix(source)[joint]))] == name
    np.testing.assert_allclose(matrix(source).sum(axis=1), 1)


def test_what_is_made_of_a_missing_joint_is_missing() -> None:
    points = np.zeros((17, 2))
    points[11] = np.nan
    found = to_h36m(points, 'coco_17')
    missing = {H36M.names[k] for k in np.flatnonzero(np.isnan(found).any(axis=1))}
    assert missing == {'left_hip', 'pelvis', 'spine'}


def test_unknown_conventions_are_told() -> None:
    with pytest.raises(ConfigError, match='coco_17'):
        matrix('nonsense')
    with pytest.raises(ConfigError, match='17 joints, not 5'):
        to_h36m(np.zeros((5, 2)), 'coco_17')
