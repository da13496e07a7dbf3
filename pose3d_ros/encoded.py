# SPDX-License-Identifier: Apache-2.0
"""Encoded pictures, and whether they are complete: decoders fill what a cut one lacks with grey."""

from __future__ import annotations

import re
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .errors import InputError

Array = NDArray[Any]

JPEG, PNG = b'\xff\xd8', b'\x89PNG\r\n\x1a\n'
_MARKER = re.compile(rb'\xff[^\x00\xd0-\xd7\xff]', re.DOTALL)  # none of those inside scan data
_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_CLOSE = b'\xff\xd9'
_SIGNIFICANT_BITS = (10, 12, 14, 16)  # of 16-bit pixels
_SEQUENTIAL = (0xC0, 0xC1)


def decode(content: bytes, *, upright: bool = False) -> Array:
    """(H, W, 3) uint8 BGR of a JPEG, PNG or other picture; grey, palette and 16 bits are converted.

    upright: turned by its EXIF tag, else as it lies in the file. Raises InputError if it is cut off
    or no picture.
    """
    picture = first_picture(content)
    if picture is None:
        raise InputError(f'the picture is cut off ({len(content)} bytes)')
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
    if not upright:
        flags |= cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(picture, np.uint8), flags)
    except cv2.error:
        image = None
    if image is None or not image.size or image.dtype not in (np.uint8, np.uint16):
        raise InputError(f'not a picture, or damaged ({len(content)} bytes)')
    # Rows that the scan data of a JPEG lack have a single colour.
    if picture.startswith(JPEG) and (image[-1] == image[-1, -1]).all() and _rows_missing(picture):
        raise InputError(f'the picture is cut off ({len(content)} bytes)')
    return to_8bit(image) if image.dtype == np.uint16 else np.ascontiguousarray(image)


def to_8bit(values: Array) -> Array:
    """uint16 to uint8. Many cameras fill 10, 12 or 14 bits: the brightest pixel tells how many."""
    brightest = int(values.max())
    bits = next(bits for bits in _SIGNIFICANT_BITS if brightest < 1 << bits)
    scaled = cv2.convertScaleAbs(values, alpha=255 / ((1 << bits) - 1))
    return np.asarray(scaled).reshape(values.shape)


def first_picture(content: bytes) -> bytes | None:
    """The first picture of encoded ones, without what follows a JPEG's end; None if cut off.

    A JPEG whose end marker is missing is whole if its rows are. Of formats other than JPEG and PNG
    nothing is known: they come back as they are.
    """
    if content.startswith(JPEG):
        end, cut = _jpeg_end(content)
        if not cut:
            return content[:end]
        rows = content[:end].rstrip(b'\0')  # zeros of the buffer would be read as rows
        rows += b'\0' * rows.endswith(b'\xff')
        return rows + _CLOSE if _sequential(content) and _ignores_more(rows) else None
    if content.startswith(PNG):
        return content if _png_has_end(content) else None
    return content


def is_animated(content: bytes) -> bool:
    """Whether a PNG or WebP is an animation."""
    if content.startswith(PNG):
        return b'acTL' in content[: max(content.find(b'IDAT'), 0)]
    if content[:4] == b'RIFF' and content[8:16] == b'WEBPVP8X':
        return bool(content[20] & 2) if len(content) > 20 else False
    return False


def _jpeg_end(content: bytes) -> tuple[int, bool]:
    """Where the first picture ends, and whether its end marker is missing."""
    # From marker to marker: a search for the end marker could find a thumbnail's.
    position, scanning = 2, False
    while marker := _MARKER.search(content, position):
        code, position = content[marker.start() + 1], marker.end()
        if code == _END:
            return position, False
        if code == _START and scanning:
            return marker.start(), True  # the next picture
        scanning |= code == _SCAN
        if code not in (_START, 0x01):
            position += int.from_bytes(content[position : position + 2], 'big')
    return len(content), True


def _sequential(content: bytes) -> bool:
    """Whether a JPEG has one scan, of all components: others may lack scans that cannot be seen."""
    position, components = 2, 0
    while marker := _MARKER.search(content, position):
        code, position = content[marker.start() + 1], marker.end()
        if code == _SCAN:
            return 0 < components == int.from_bytes(content[position + 2 : position + 3], 'big')
        if code in _SEQUENTIAL:
            components = int.from_bytes(content[position + 7 : position + 8], 'big')
        if code not in (_START, 0x01):
            position += int.from_bytes(content[position : position + 2], 'big')
    return False


def _rows_missing(picture: bytes) -> bool:
    """Whether the scan data of a JPEG that has its end marker end early."""
    return _sequential(picture) and not _ignores_more(picture.removesuffix(_CLOSE))


def _ignores_more(rows: bytes) -> bool:
    """Whether data after a JPEG's last row change nothing: they do if rows are missing."""
    more = np.random.default_rng(0).integers(1, 255, 1000, dtype=np.uint8).tobytes()
    try:
        first, second = (
            cv2.imdecode(np.frombuffer(one, np.uint8), cv2.IMREAD_COLOR)
            for one in (rows + _CLOSE, rows + more + _CLOSE)
        )
    except cv2.error:
        return False
    return first is not None and second is not None and np.array_equal(first, second)


def _png_has_end(content: bytes) -> bool:
    position = 8
    while position + 12 <= len(content):
        length = int.from_bytes(content[position : position + 4], 'big')
        chunk = content[position + 4 : position + 8]
        position += 12 + length
        if chunk == b'IEND':
            return position <= len(content)
    return False
