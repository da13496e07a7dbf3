# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from pose3d_ros.errors import InputError
from pose3d_ros.skeleton import SKELETONS
from pose3d_ros.types import Frame, Pose3D, PositionSource

COCO = SKELETONS['coco_17']


def pose(**changes: object) -> Pose3D:
    fields = {
        'skeleton': COCO,
        'xyz': np.zeros((17, 3)),
        'confidence': np.ones(17),
        'pixels': np.zeros((17, 2)),
        'status': np.ones(17, np.uint8),
    }
    return Pose3D(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    'image',
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.uint16),
        np.zeros((0, 4, 3), np.uint8),
        None,
    ],
)
def test_frame_refuses_other_images(image: object) -> None:
    with pytest.raises(InputError):
        Frame(image)  # type: ignore[arg-type]


def test_frame_refuses_depth_of_another_size() -> None:
    with pytest.raises(InputError, match='depth'):
        Frame(np.zeros((4, 6, 3), np.uint8), depth=np.zeros((4, 5), np.float32))


def test_frame_size_is_width_height() -> None:
    assert Frame(np.zeros((4, 6, 3), np.uint8)).size == (6, 4)


@pytest.mark.parametrize('name', ['xyz', 'confidence', 'pixels', 'status', 'velocity'])
def test_pose_refuses_other_shapes(name: str) -> None:
    with pytest.raises(InputError, match=name):
        pose(**{name: np.zeros(5)})


def test_root_is_the_mean_of_the_hips() -> None:
    xyz = np.zeros((17, 3))
    xyz[11], xyz[12] = (1, 2, 3), (3, 2, 1)
    assert pose(xyz=xyz).root.tolist() == [2, 2, 2]


def test_absolute_says_so() -> None:
    assert not pose().absolute
    assert pose(position_source=PositionSource.DEPTH).absolute


def test_box_is_cut_at_the_image() -> None:
    pixels = np.full((17, 2), np.nan)
    assert pose(pixels=pixels).box((100, 50)) is None
    pixels[:2] = (-10, 5), (20.2, 80)
    assert pose(pixels=pixels).box((100, 50)) == (0, 5, 22, 45)
    assert pose(pixels=pixels + 1000).box((100, 50)) is None
