# SPDX-License-Identifier: Apache-2.0
"""What `pose3d camera` refuses; test/standalone/test_camera.py has it running."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip('cyclonedds')

from pose3d_ros.cli.main import main


@pytest.fixture
def video(tmp_path):
    path = tmp_path / 'clip.png'
    cv2.imwrite(str(path), np.zeros((48, 64, 3), np.uint8))
    return path


@pytest.mark.parametrize(
    ('arguments', 'code', 'complaint'),
    [
        (['nowhere.mp4'], 3, 'nowhere.mp4'),
        (['CLIP', '--rate', '-3'], 2, '--rate must lie in [0, 1000], not -3'),
        (['CLIP', '--camera', 'nowhere.yaml'], 3, 'nowhere.yaml'),
        (['CLIP', '--namespace', '/x y'], 2, 'namespace'),
        (['CLIP', '--domain', '500'], 2, 'domain must lie in [0, 232], not 500'),
    ],
)
def test_wrong_arguments(video, capsys, arguments, code, complaint):
    assert main(['camera', *[str(video) if a == 'CLIP' else a for a in arguments]]) == code
    assert complaint in capsys.readouterr().err
