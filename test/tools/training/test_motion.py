# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pose3d_ros.errors import InputError
from pose3d_ros.tools.training.motion import CLIP_TAKES, HELD_OUT, load_takes, split


def test_takes_of_the_test_clips_are_never_trained_on(data_dir: Path) -> None:
    takes = load_takes(data_dir / 'cmu_mocap' / 'h36m17_train.npz')
    parts = split(takes)
    trained = {take.name for take in parts['train']}
    assert trained
    assert not trained & set(CLIP_TAKES)
    assert not {take.subject for take in parts['train']} & set(HELD_OUT)
    assert all(take.joints.shape[1:] == (22, 3) for take in takes)
    for clip in (data_dir / 'synthetic').glob('*.npz'):
        for motion in np.load(clip)['motion']:
            name = {'x_window': 'x_wash_window_1', 'x_traffic': 'x_direct_traffic_4'}
            assert name.get(str(motion), str(motion)) not in trained


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match='cannot read'):
        load_takes(tmp_path / 'none.npz')
    np.savez(tmp_path / 'other.npz', a=np.zeros((3, 17, 3)))
    with pytest.raises(InputError, match='layout'):
        load_takes(tmp_path / 'other.npz')
