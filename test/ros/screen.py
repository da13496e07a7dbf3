# SPDX-License-Identifier: Apache-2.0
"""A screen without a monitor (Xvfb), and what RViz shows on it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import numpy as np

SIZE = (1500, 1000)
BACKGROUND = (48, 48, 48)


class Screen:
    """An X server that keeps its picture in a file."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix='screen_')
        reading, writing = os.pipe()
        self._process = subprocess.Popen(
            [
                *('Xvfb', '-displayfd', str(writing), '-fbdir', self._folder),
                *('-screen', '0', f'{SIZE[0]}x{SIZE[1]}x24', '-nolisten', 'tcp'),
            ],
            pass_fds=(writing,),
            stderr=subprocess.DEVNULL,
        )
        os.close(writing)
        with os.fdopen(reading) as ready:
            number = ready.readline().strip()
        assert number, 'Xvfb does not start'
        self.environment = {'DISPLAY': f':{number}', 'LIBGL_ALWAYS_SOFTWARE': '1'}

    def picture(self) -> np.ndarray:
        """(H, W, 3) BGR of what is shown now."""
        # An X window dump: sizes big-endian, then the colour map, then rows of 4 bytes a pixel.
        data = (Path(self._folder) / 'Xvfb_screen0').read_bytes()
        header = np.frombuffer(data, '>u4', 25)
        size, width, height, stride, colours = (int(header[k]) for k in (0, 4, 5, 12, 19))
        pixels = np.frombuffer(data, np.uint8, stride * height, size + 12 * colours)
        return pixels.reshape(height, stride // 4, 4)[:, :width, :3].copy()

    def close(self) -> None:
        """End it."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def view_3d(picture: np.ndarray) -> np.ndarray | None:
    """The part of a picture that RViz's 3D view fills, by its background; None if there is none."""
    dark = (picture == BACKGROUND).all(axis=2)
    rows, columns = dark.mean(axis=1) > 0.3, dark.mean(axis=0) > 0.3
    if not rows.any() or not columns.any():
        return None
    y, x = np.flatnonzero(rows), np.flatnonzero(columns)
    return picture[y[0] : y[-1] + 1, x[0] : x[-1] + 1]


def places(picture: np.ndarray, colour: tuple[int, int, int], tolerance: int = 6) -> np.ndarray:
    """(N, 2) x, y of the pixels of about that BGR colour."""
    least, most = (np.clip(np.add(colour, d), 0, 255) for d in (-tolerance, tolerance))
    near = ((picture >= least) & (picture <= most)).all(axis=2)
    return np.argwhere(near)[:, ::-1]
