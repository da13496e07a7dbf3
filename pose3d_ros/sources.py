# SPDX-License-Identifier: Apache-2.0
"""Where frames come from when no ROS is there: images, folders, videos, webcams.

>>> for frame in open_source('walk.mp4'):
...     people = pipeline.process(frame).people

Stamps are those of the source: a video's own time stamps counted from its first frame (variable
frame rates stay as they are), the clock for a webcam, `k / fps` for an image sequence. Images that
are no sequence are unrelated: each is marked as a source of its own and they are a second apart.
"""

from __future__ import annotations

import glob
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .camera import Camera
from .encoded import first_picture, is_animated
from .errors import InputError
from .types import Frame

IMAGE_SUFFIXES = (
    *('.jpg', '.jpeg', '.jpe', '.png', '.bmp', '.dib', '.tif', '.tiff', '.webp', '.jp2'),
    *('.ppm', '.pgm', '.pbm', '.pnm'),
)
OPTICAL_FRAME = 'camera_optical_frame'

Array = NDArray[Any]


@dataclass
class Source:
    """Frames in order, one pass at a time.

    name: for titles and file names. kind: image, images, video or camera. fps: NaN if unknown.
    length: number of frames promised, None if unknown. independent: frames are unrelated images,
    so all state must be dropped between them. warnings: what went wrong without ending the run.
    """

    name: str
    kind: str
    fps: float
    length: int | None
    independent: bool
    _frames: Callable[[Source], Iterator[Frame]]
    warnings: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[Frame]:
        return self._frames(self)


def open_source(
    spec: str | Path,
    *,
    camera: Camera | None = None,
    sequence_fps: float | None = None,
    frame_id: str = OPTICAL_FRAME,
) -> Source:
    """Open an image, a folder or glob of images, a video, a webcam index, or a stream address.

    camera: calibration of all frames, scaled to their size. sequence_fps: images of a folder or
    glob are consecutive frames at this rate (default: unrelated images).

    Raises InputError if there is nothing usable; frames that turn out to be unusable later are
    skipped and named in `warnings`, unless all of them are.
    """
    source = _open(str(spec), _Framer(camera, frame_id), sequence_fps)
    if camera is not None and camera.oddity:
        source.warnings.append(f'unlikely calibration: {camera.oddity}')
    return source


def _open(text: str, stamp: _Framer, sequence_fps: float | None) -> Source:
    if re.fullmatch(r'\d+', text) or text.startswith('/dev/video'):
        device = int(text) if text.isdigit() else text
        return _camera(device, f'camera {text}', stamp)
    if re.match(r'(rtsp|rtmp|https?|udp|tcp)://', text):
        return _camera(text, text, stamp)
    if text == '-':
        raise InputError('-: standard input cannot be read; give a file, or a stream address')
    path = Path(text).expanduser()
    if path.is_dir():
        files = [p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file()]
        if not files:
            raise InputError(f'{text}: no images in this folder ({" ".join(IMAGE_SUFFIXES)})')
        return _images(path.resolve().name, files, sequence_fps, stamp)
    if path.exists():
        if path.suffix.lower() in IMAGE_SUFFIXES:
            return _single_image(path, stamp)
        return _video(path, stamp)
    matches = [Path(p) for p in glob.glob(str(path), recursive=True)]
    files = [p for p in matches if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file()]
    if files:
        return _images(text, files, sequence_fps, stamp)
    if len(matches) == 1 and matches[0].is_file():
        return _video(matches[0], stamp)
    if matches:
        raise InputError(f'{text}: matches {len(matches)} files, none of them an image')
    raise InputError(f'{text}: no such file, folder or pattern')


def read_image(path: str | Path) -> Array:
    """Read a picture as (H, W, 3) uint8 BGR, turned upright by its EXIF tag.

    Grey, palette and 16-bit pictures are converted, transparency is dropped. Raises InputError if
    the file is missing, empty, cut off, or no picture.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f'cannot read {path}: {error.strerror}') from error
    if not content:
        raise InputError(f'{path}: the file is empty')
    picture = first_picture(content)
    if picture is None:
        raise InputError(f'{path}: the picture is cut off')
    try:
        image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise InputError(f'{path}: cannot be decoded ({error.err})') from error
    if image is None or not image.size:
        raise InputError(f'{path}: not a picture, or damaged')
    return np.ascontiguousarray(image)


def natural_key(path: Path) -> list[tuple[int, int | str]]:
    """Sort key that puts frame_9 before frame_10."""
    parts = re.split(r'(\d+)', str(path))
    return [(0, int(part)) if part.isdigit() else (1, part.lower()) for part in parts]


@dataclass
class _Framer:
    """Makes frames with the calibration fitted to the image at hand."""

    camera: Camera | None
    frame_id: str

    def __call__(self, image: Array, stamp_ns: int, source: str) -> Frame:
        height, width = image.shape[:2]
        camera = self.camera.resized((width, height)) if self.camera else None
        return Frame(image, stamp_ns, self.frame_id, camera, source=source)


def _single_image(path: Path, framer: _Framer) -> Source:
    image = read_image(path)

    def frames(_: Source) -> Iterator[Frame]:
        yield framer(image, 0, str(path))

    source = Source(path.name, 'image', float('nan'), 1, True, frames)
    if is_animated(path.read_bytes()):
        source.warnings.append(f'{path}: of this animation the first picture alone is used')
    return source


def _images(name: str, files: Sequence[Path], fps: float | None, framer: _Framer) -> Source:
    paths = sorted(files, key=natural_key)
    if fps is not None and not fps > 0:
        raise InputError(f'the rate of an image sequence must be above 0, not {fps:g}')

    def frames(source: Source) -> Iterator[Frame]:
        good = 0
        for k, path in enumerate(paths):
            try:
                stamp = round(k * 1e9 / fps) if fps else k * 10**9
                frame = framer(read_image(path), stamp, name if fps else str(path))
            except InputError as error:
                if len(paths) == 1:
                    raise
                source.warnings.append(f'skipped: {error}')
                continue
            good += 1
            yield frame
        if not good:
            raise InputError(f'{name}: none of the {len(paths)} images can be used')

    return Source(name, 'images', fps or float('nan'), len(paths), fps is None, frames)


def _video(path: Path, framer: _Framer) -> Source:
    try:
        with path.open('rb') as file:
            head = file.read(12)
            if not head:
                raise InputError(f'{path}: the file is empty')
    except OSError as error:
        raise InputError(f'cannot read {path}: {error.strerror}') from error
    # A name with a colon must not look like an address to FFmpeg.
    name = str(path.absolute())
    capture = cv2.VideoCapture(name)
    try:
        if not capture.isOpened():
            raise InputError(f'{path}: not a video, or damaged (its index may be cut off)')
        rate, promised = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
    finally:
        capture.release()
    fps = rate if 0 < rate < 10_000 else float('nan')
    length = int(promised) if 0 < promised < 1e9 else None
    # MP4 and AVI count their frames. Of others the count is end time times rate, gaps included.
    counted = head[4:8] == b'ftyp' or head[:4] == b'RIFF'

    def frames(source: Source) -> Iterator[Frame]:
        video = cv2.VideoCapture(name)
        count, stamp, reached = 0, -1, 0.0
        step = round(1e9 / fps) if fps > 0 else 1
        try:
            while True:
                good, image = video.read()
                if not good:
                    break
                own = round(video.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
                # Some containers hold no time stamps; then the frame rate has to do. (OpenCV before
                # 4.7 gets those of variable rates wrong where frames are stored out of order.)
                stamp = own if own > stamp else stamp + step
                count += 1
                reached = count if counted else max(count, _place_of(video, fps))
                yield framer(image, stamp, path.name)
        finally:
            video.release()
        if not count:
            raise InputError(f'{path}: no frame of this video can be decoded')
        # Counts are estimates in some containers, hence the tolerance.
        if length is not None and reached < length - max(1, length // 100):
            source.warnings.append(
                f'{path}: the video ends early, {count} of {length} frames could be read'
            )

    return Source(path.stem, 'video', fps, length, False, frames)


def _place_of(video: cv2.VideoCapture, fps: float) -> float:
    """The end of the last frame in frames from time 0, were there one at each tick of the rate."""
    ticks = video.get(cv2.CAP_PROP_PTS) if hasattr(cv2, 'CAP_PROP_PTS') else 0.0  # OpenCV 4.11
    since_first = video.get(cv2.CAP_PROP_POS_MSEC) / 1e3 * fps
    return max(ticks, since_first if since_first > 0 else 0.0) + 1


def _camera(device: int | str, name: str, framer: _Framer) -> Source:
    capture = cv2.VideoCapture(device)
    if not capture.isOpened():
        capture.release()
        devices = ', '.join(sorted(glob.glob('/dev/video*'))) or 'none'
        raise InputError(f'{name} cannot be opened (video devices here: {devices})')
    # Keep the driver's queue short: a live view wants the newest picture.
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    rate = capture.get(cv2.CAP_PROP_FPS)

    def frames(source: Source) -> Iterator[Frame]:
        count = 0
        try:
            while True:
                good, image = capture.read()
                if not good:
                    break
                count += 1
                yield framer(image, time.time_ns(), name)
        finally:
            capture.release()
        if not count:
            raise InputError(f'{name} delivers no pictures')
        source.warnings.append(f'{name} stopped after {count} frames')

    return Source(name, 'camera', rate if rate > 0 else float('nan'), None, False, frames)
