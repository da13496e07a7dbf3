# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, strategies
from hypothesis.extra import numpy as arrays

from pose3d_ros.errors import InputError
from pose3d_ros.messages.rvl import decode_rvl


def encode(image: np.ndarray) -> bytes:
    """As in Wilson's paper, one number after the other."""
    nibbles: list[int] = []

    def put(number: int) -> None:
        while True:
            number, bits = number >> 3, number & 7
            nibbles.append(bits | (8 if number else 0))
            if not number:
                return

    pixels = [int(v) for v in image.ravel()]
    position, before = 0, 0
    while position < len(pixels):
        start = position
        while position < len(pixels) and pixels[position] == 0:
            position += 1
        put(position - start)
        start = position
        while position < len(pixels) and pixels[position] != 0:
            position += 1
        put(position - start)
        for value in pixels[start:position]:
            delta, before = value - before, value
            put((delta << 1) ^ (delta >> 31))
    nibbles += [0] * (-len(nibbles) % 8)
    words = [
        int(''.join(f'{n:x}' for n in nibbles[k : k + 8]), 16) for k in range(0, len(nibbles), 8)
    ]
    height, width = image.shape
    return struct.pack(f'<II{len(words)}I', width, height, *words)


def test_the_words_of_a_small_image() -> None:
    # No zeros (0), two pixels (2), +3 as 6, +9 as 18: nibbles 0, 2, 6, 2 with more to come, 2.
    assert encode(np.array([[3, 12]], np.uint16)) == struct.pack('<III', 2, 1, 0x026A2000)


@given(arrays.arrays(np.uint16, (7, 11), elements=strategies.sampled_from([0, 0, 1, 900, 65535])))
def test_what_was_encoded_comes_back(image: np.ndarray) -> None:
    np.testing.assert_array_equal(decode_rvl(encode(image)), image)


def test_a_depth_image() -> None:
    y, x = np.mgrid[:120, :160]
    image = (800 + 3 * x + 2 * y).astype(np.uint16)
    image[(x - 80) ** 2 + (y - 60) ** 2 < 900] = 0
    np.testing.assert_array_equal(decode_rvl(encode(image)), image)


@pytest.mark.parametrize('cut', [3, 8, 100, -400])
def test_cut_off(cut: int) -> None:
    image = np.arange(1, 1001, dtype=np.uint16).reshape(20, 50)
    with pytest.raises(InputError, match='truncated|cannot be|broken'):
        decode_rvl(encode(image)[:cut])


@given(strategies.binary(max_size=200))
def test_noise_is_refused_or_has_its_size(noise: bytes) -> None:
    try:
        image = decode_rvl(struct.pack('<II', 4, 3) + noise)
    except InputError:
        return
    assert image.shape == (3, 4)


def test_a_size_that_its_data_cannot_hold() -> None:
    with pytest.raises(InputError, match='cannot be 100000x100000'):
        decode_rvl(struct.pack('<II', 100_000, 100_000) + bytes(4000))
