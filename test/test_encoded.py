# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import cv2
import numpy as np
import pytest

from pose3d_ros.encoded import decode, first_picture, is_animated
from pose3d_ros.errors import InputError

Y, X = np.mgrid[:96, :128]
PICTURE = np.stack([X * 2, Y * 2, 255 - X - Y], axis=2).astype(np.uint8)


def encode(suffix: str = '.jpg', image: np.ndarray = PICTURE, *options: int) -> bytes:
    return cv2.imencode(suffix, image, options)[1].tobytes()


@pytest.mark.parametrize('more', [b'', bytes(10_000), b'\x01\xff' * 5000], ids=len)
def test_what_follows_the_end_of_a_jpeg_does_not_count(more: bytes) -> None:
    assert first_picture(encode() + more) == encode()


def test_several_pictures_are_the_first() -> None:
    assert first_picture(encode() + encode(image=255 - PICTURE)) == encode()


@pytest.mark.parametrize('more', [b'', bytes(10_000)], ids=len)
def test_a_jpeg_without_its_end_marker(more: bytes) -> None:
    assert encode()[-2:] == b'\xff\xd9'
    got = first_picture(encode()[:-2] + more)
    assert got is not None
    shown = cv2.imdecode(np.frombuffer(got, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(
        shown, cv2.imdecode(np.frombuffer(encode(), np.uint8), cv2.IMREAD_COLOR)
    )


@pytest.mark.parametrize('share', [0.5, 0.8, 0.95, 0.99])
@pytest.mark.parametrize('more', [b'', bytes(10_000), encode()], ids=['end', 'zeros', 'another'])
def test_a_jpeg_whose_rows_end_early_is_cut_off(share: float, more: bytes) -> None:
    content = encode()
    assert first_picture(content[: int(len(content) * share)] + more) is None


@pytest.mark.parametrize('share', [0.5, 0.8])
def test_a_jpeg_that_is_cut_off_and_closed(share: float) -> None:
    content = encode()
    with pytest.raises(InputError, match='cut off'):
        decode(content[: int(len(content) * share)] + b'\xff\xd9')


@pytest.mark.parametrize('options', [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)], ids=['', 'scans'])
def test_a_picture_with_a_plain_margin_is_complete(options: tuple[int, ...]) -> None:
    framed = PICTURE.copy()
    framed[-32:] = 0
    content = encode('.jpg', framed, *options)
    assert np.abs(decode(content).astype(int) - framed).mean() < 3


def test_a_progressive_jpeg_without_its_end_may_lack_scans() -> None:
    content = encode('.jpg', PICTURE, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    assert first_picture(content) == content
    assert first_picture(content[:-2]) is None


def test_png_and_others() -> None:
    content = encode('.png')
    assert first_picture(content) == content
    assert first_picture(content[:-5]) is None
    assert first_picture(b'BM anything') == b'BM anything'


@pytest.mark.parametrize('suffix', ['.png', '.webp'])
def test_animations(suffix: str) -> None:
    animation = cv2.Animation() if hasattr(cv2, 'Animation') else None
    if animation is None:
        pytest.skip('OpenCV writes animations since 4.11')
    animation.frames, animation.durations = [PICTURE, 255 - PICTURE], np.array([50, 50])
    _, content = cv2.imencodeanimation(suffix, animation)
    assert is_animated(content.tobytes())
    assert not is_animated(encode(suffix))
