# SPDX-License-Identifier: Apache-2.0
"""Pictures: the image with its skeletons beside the 3D view."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ..drawing.overlay import overlay
from ..drawing.style import confident_joints
from ..drawing.view3d import View3D
from ..errors import OutputError
from ..types import Array, Frame, FrameResult, Pose3D
from . import Run
from .files import PartFile, write_bytes, writing


class Pictures:
    """Pictures of frames: of each one for unrelated images, of the best one for a sequence.

    The best frame of a sequence shows the most people and, among equals, most of their joints in
    the image, and them most spread out: outstretched arms show more than a person at rest.
    """

    def __init__(self, path: str | Path, *, each: bool) -> None:
        """path: a file; with `each`, a folder (`path/000012.png`) unless there is one image."""
        self._path, self._each = Path(path).expanduser(), each
        self._best: tuple[tuple[float, ...], Frame, list[Pose3D]] | None = None
        self._made: list[Path] = []
        if each:
            with writing(self._path):
                self._path.mkdir(parents=True, exist_ok=True)
        else:
            _encoded_suffix(self._path)
            PartFile(self._path).discard()  # fail now, not after the run

    @classmethod
    def open(cls, path: str, run: Run) -> Pictures:
        """Of a run."""
        return cls(path, each=run.unrelated)

    def write(self, index: int, result: FrameResult) -> None:
        """Add a frame."""
        frame, poses = result.frame, result.people
        if self._each:
            name = Path(frame.source).stem or 'image'
            self._made.append(save_picture(self._path / f'{index:06d}_{name}.png', frame, poses))
            return
        value = _worth(poses)
        if self._best is None or value > self._best[0]:
            self._best = (value, frame, list(poses))

    def close(self) -> None:
        """Write the picture of a sequence."""
        if self._best is not None:
            save_picture(self._path, self._best[1], self._best[2])
            self._best = None

    def discard(self) -> None:
        """Nothing to undo: a picture is whole when it is there."""
        self._best = None


def _worth(poses: Sequence[Pose3D]) -> tuple[float, ...]:
    if not poses:
        return (0.0,)
    shown = np.mean([confident_joints(pose).mean() for pose in poses])
    wide = [np.nanmean(np.linalg.norm(pose.xyz - pose.root, axis=1)) for pose in poses]
    return float(len(poses)), round(float(shown), 1), float(np.mean(wide))


def save_picture(path: str | Path, frame: Frame, poses: Sequence[Pose3D]) -> Path:
    """Write one frame's picture; the format goes by the file's suffix."""
    suffix = _encoded_suffix(Path(path))
    good, content = cv2.imencode(suffix, side_by_side(frame, poses))
    if not good:
        raise OutputError(f'cannot write {path}: the picture cannot be encoded')
    return write_bytes(path, content.tobytes())


def side_by_side(frame: Frame, poses: Sequence[Pose3D]) -> Array:
    """(H, W, 3) BGR picture: the image with its skeletons, at least 480 high, and the 3D view."""
    factor = max(1.0, 480 / min(frame.image.shape[:2]))
    image = frame.image if factor == 1 else cv2.resize(frame.image, None, fx=factor, fy=factor)
    left = overlay(image, scaled(poses, factor))
    height, width = left.shape[:2]
    size = round(min(max(1.15 * height, 0.8 * width), 1.4 * width)), height
    return np.hstack([left, View3D(size).draw(poses, frame.camera)])


def scaled(poses: Sequence[Pose3D], factor: float) -> list[Pose3D]:
    """The poses in an image magnified by a factor, pixel centres kept in place."""
    return [pose.replace(pixels=factor * (pose.pixels + 0.5) - 0.5) for pose in poses]


def _encoded_suffix(path: Path) -> str:
    suffixes = ('.png', '.jpg', '.jpeg', '.webp')
    if path.suffix.lower() not in suffixes:
        raise OutputError(f'cannot write {path}: pictures are {" ".join(suffixes)}')
    return path.suffix.lower()
