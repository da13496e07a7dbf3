# SPDX-License-Identifier: Apache-2.0
"""Annotated video: the image with its skeletons, and the 3D view beside it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from ..drawing.overlay import overlay
from ..drawing.view3d import View3D
from ..types import Array, Frame, FrameResult, Pose3D
from . import Run
from .files import PartFile, writing

# Time stamps in the file are in these units; common frame rates fit without a rest.
_TICKS_PER_S = 90_000
_DEFAULT_FPS = 30.0


class _Encoder(Protocol):
    def add(self, picture: Array, stamp_ns: int) -> None: ...
    def finish(self) -> None: ...


class AnnotatedVideo:
    """Writes frames with their skeletons as a video.

    H.264 with the frames' own times where PyAV is installed (extra `video`), else MPEG-4 at a
    constant rate. The size is that of the first frame; others are fitted into it.
    """

    def __init__(self, path: str | Path, fps: float = math.nan) -> None:
        """fps: of the source, NaN if unknown."""
        self._part = PartFile(path)
        self._fps = fps if fps > 0 else _DEFAULT_FPS
        self._view: View3D | None = None
        self._size: tuple[int, int] | None = None
        self._encoder: _Encoder | None = None

    @classmethod
    def open(cls, path: str, run: Run) -> AnnotatedVideo:
        """Of a run."""
        return cls(path, run.fps)

    def write(self, index: int, result: FrameResult) -> None:
        """Add a frame."""
        self.add(self.picture(result.frame, result.people), result.frame.stamp_ns)

    def picture(self, frame: Frame, poses: Sequence[Pose3D]) -> Array:
        """The picture of one frame."""
        left = overlay(frame.image, poses)
        if self._view is None:
            height, width = left.shape[:2]
            self._view = View3D((min(width, round(1.15 * height)), height))
        right = self._view.draw(poses, frame.camera)
        if right.shape[0] != left.shape[0]:
            return left
        return np.hstack([left, right])

    def add(self, picture: Array, stamp_ns: int) -> None:
        """Add a finished picture."""
        if self._size is None:
            # H.264 wants even numbers.
            self._size = (picture.shape[1] // 2 * 2, picture.shape[0] // 2 * 2)
            self._encoder = self._new_encoder(self._size)
        if self._encoder is not None:
            with writing(self._part.target):
                self._encoder.add(_fitted(picture, self._size), stamp_ns)

    def close(self) -> None:
        """Finish the file; without any frame there is no file."""
        if self._encoder is None:
            self._part.discard()
            return
        try:
            with writing(self._part.target):
                self._encoder.finish()
        except BaseException:
            self._part.discard()
            raise
        self._part.commit()

    def discard(self) -> None:
        """Leave nothing behind."""
        if self._encoder is not None:
            with contextlib.suppress(Exception):
                self._encoder.finish()
        self._part.discard()

    def _new_encoder(self, size: tuple[int, int]) -> _Encoder:
        with writing(self._part.target):
            if find_spec('av') is not None:
                return _AvEncoder(self._part.path, size, self._fps)
            return _Cv2Encoder(self._part.path, size, self._fps)


class _AvEncoder:
    """H.264 by PyAV; falls back to MPEG-4 where its FFmpeg has no H.264 encoder."""

    def __init__(self, path: Path, size: tuple[int, int], fps: float) -> None:
        import av

        self._av = av
        self._file = _QuietFile(path)
        self._container = av.open(self._file, 'w', format='mp4')
        names = [n for n in ('libx264', 'libopenh264', 'mpeg4') if n in av.codecs_available]
        rate = Fraction(fps).limit_denominator(1001)
        self._stream: Any = self._container.add_stream(names[0], rate=rate)
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = 'yuv420p'
        self._stream.codec_context.time_base = Fraction(1, _TICKS_PER_S)
        if names[0] == 'libx264':
            self._stream.options = {'crf': '20', 'preset': 'veryfast'}
        else:
            self._stream.bit_rate = 6_000_000
        self._start: int | None = None
        self._last = -1

    def add(self, picture: Array, stamp_ns: int) -> None:
        if self._start is None:
            self._start = stamp_ns
        # Stamps must grow, whatever the source says.
        ticks = max((stamp_ns - self._start) * _TICKS_PER_S // 10**9, self._last + 1)
        self._last = ticks
        frame = self._av.VideoFrame.from_ndarray(picture, format='bgr24')
        frame.pts, frame.time_base = ticks, Fraction(1, _TICKS_PER_S)
        self._container.mux(self._stream.encode(frame))
        self._file.check()

    def finish(self) -> None:
        self._container.mux(self._stream.encode())
        self._container.close()
        self._file.close()
        self._file.check()


class _QuietFile:
    """A file whose failures are asked for: an exception within FFmpeg gets lost, or crashes it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open('wb', buffering=0)
        self._error: OSError | None = None

    def write(self, data: bytes) -> int:
        if self._error is None:
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[self._file.write(rest) :]
            except OSError as error:
                self._error = error
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()

    def check(self) -> None:
        """Raise what went wrong."""
        if self._error is not None:
            raise self._error


class _Cv2Encoder:
    """MPEG-4 by OpenCV, which says nothing when it cannot write: the file is checked at the end."""

    def __init__(self, path: Path, size: tuple[int, int], fps: float) -> None:
        self._path, self._count = path, 0
        code = cv2.VideoWriter_fourcc(*'mp4v')  # type: ignore[attr-defined]
        self._writer = cv2.VideoWriter(str(path), code, fps, size)
        if not self._writer.isOpened():
            raise OSError('no encoder for .mp4 in this OpenCV; pip install "pose3d_ros[video]"')

    def add(self, picture: Array, stamp_ns: int) -> None:
        self._writer.write(picture)
        self._count += 1

    def finish(self) -> None:
        self._writer.release()
        check = cv2.VideoCapture(str(self._path))
        count = int(check.get(cv2.CAP_PROP_FRAME_COUNT)) if check.isOpened() else 0
        check.release()
        if count != self._count:
            raise OSError(f'only {max(count, 0)} of {self._count} frames arrived (disk full?)')


def _fitted(picture: Array, size: tuple[int, int]) -> Array:
    """The picture cut by an odd pixel, or fitted into another size with a border."""
    width, height = size
    if picture.shape[0] in (height, height + 1) and picture.shape[1] in (width, width + 1):
        return np.ascontiguousarray(picture[:height, :width])
    scale = min(width / picture.shape[1], height / picture.shape[0])
    inner = (
        max(1, min(width, round(picture.shape[1] * scale))),
        max(1, min(height, round(picture.shape[0] * scale))),
    )
    out = np.zeros((height, width, 3), np.uint8)
    x, y = (width - inner[0]) // 2, (height - inner[1]) // 2
    out[y : y + inner[1], x : x + inner[0]] = cv2.resize(picture, inner)
    return out
