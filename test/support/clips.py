# SPDX-License-Identifier: Apache-2.0
"""The first frames of bundled clips, for tests that need no more of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from pose3d_ros.resources import resource

PER_FRAME = ('joints_cam', 'joints_px', 'in_image', 'boxes_xyxy')


def shorten(folder: Path, names: Sequence[str], frames: int) -> str:
    """Write clips of that many frames, with their ground truth, into a folder; its name."""
    for name in names:
        video = cv2.VideoCapture(str(resource('demo', f'{name}.mp4')))
        with np.load(resource('demo', f'{name}.npz')) as file:
            truth = {key: file[key][:frames] if key in PER_FRAME else file[key] for key in file}
        code = cv2.VideoWriter_fourcc(*'mp4v')
        size = tuple(int(n) for n in truth['image_size'])
        writer = cv2.VideoWriter(str(folder / f'{name}.mp4'), code, float(truth['fps']), size)
        for _ in range(frames):
            writer.write(video.read()[1])
        writer.release()
        np.savez(folder / f'{name}.npz', **truth)
    return str(folder)
