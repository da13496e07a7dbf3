# SPDX-License-Identifier: Apache-2.0
"""RVL, the run-length coding of depth images that compressed_depth_image_transport offers.

Source: A. D. Wilson, Fast Lossless Depth Image Compression, ISS 2017. A stream of numbers in 32-bit
words, nibbles from the top of each: three bits of the number, lowest first, and a bit that says
that more of it follows. In turn come how many pixels are 0, how many are not, and of each of these
the difference to the one before, zigzag-coded.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

Array = NDArray[Any]

_MOST_PIXELS = 1 << 26  # any number of pixels that are 0 takes a few bytes


def decode_rvl(data: bytes) -> Array:
    """(H, W) uint16 of width and height, 32 bits each, and the stream; raises InputError."""
    width, height = struct.unpack('<II', data[:8]) if len(data) >= 8 else (0, 0)
    pixels = width * height
    if not 0 < pixels <= _MOST_PIXELS:
        raise InputError(f'an RVL image of {len(data)} bytes cannot be {width}x{height}')
    numbers = _numbers(data[8:])
    image = np.zeros(pixels, dtype=np.uint16)
    position, pixel, before = 0, 0, 0
    while pixel < pixels:
        if position + 2 > len(numbers):
            raise InputError(f'the RVL image is truncated: {pixel} of {pixels} pixels')
        blank, filled = (int(number) for number in numbers[position : position + 2])
        position += 2
        pixel += blank
        coded = numbers[position : position + filled]
        if pixel + filled > pixels or len(coded) < filled or not blank + filled:
            raise InputError(f'the RVL image is broken at pixel {pixel} of {pixels}')
        values = before + np.cumsum((coded >> 1) ^ -(coded & 1))
        image[pixel : pixel + filled] = values
        before = int(values[-1]) if filled else before
        position, pixel = position + filled, pixel + filled
    return image.reshape(height, width)


def _numbers(stream: bytes) -> Array:
    """(N,) int64: all complete numbers of a stream."""
    words = np.frombuffer(stream[: len(stream) // 4 * 4], dtype='<u4')
    nibbles = ((words[:, None] >> np.arange(28, -4, -4, dtype=np.uint32)) & 15).ravel()
    last = np.flatnonzero(nibbles < 8)
    if not len(last):
        return np.zeros(0, dtype=np.int64)
    first = np.append(0, last[:-1] + 1)
    nibbles = nibbles[: last[-1] + 1].astype(np.int64)
    place = np.arange(len(nibbles)) - np.repeat(first, last - first + 1)
    # Beyond 60 bits there are no numbers, only noise, which the caller refuses.
    return np.asarray(np.add.reduceat((nibbles & 7) << np.minimum(3 * place, 60), first))
