# SPDX-License-Identifier: Apache-2.0
"""Pictures: the image with its skeletons beside a 3D plot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ..drawing.overlay import sure_joints
from ..drawing.plot import side_by_side
from ..errors import OutputError
from ..types import Frame, Pose3D
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

    def write(self, index: int, frame: Frame, poses: Sequence[Pose3D]) -> None:
        """Add a frame."""
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
    seen = np.mean([sure_joints(pose).mean() for pose in poses])
    wide = [np.nanmean(np.linalg.norm(pose.xyz - pose.root, axis=1)) for pose in poses]
    return float(len(poses)), round(float(seen), 1), float(np.mean(wide))


def save_picture(path: str | Path, frame: Frame, poses: Sequence[Pose3D]) -> Path:
    """Write one frame's picture; the format goes by the file's suffix."""
    suffix = _encoded_suffix(Path(path))
    good, content = cv2.imencode(suffix, side_by_side(frame, poses))
    if not good:
        raise OutputError(f'cannot write {path}: the picture cannot be encoded')
    return write_bytes(path, content.tobytes())


def _encoded_suffix(path: Path) -> str:
    known = ('.png', '.jpg', '.jpeg', '.webp')
    if path.suffix.lower() not in known:
        raise OutputError(f'cannot write {path}: pictures are {" ".join(known)}')
    return path.suffix.lower()
