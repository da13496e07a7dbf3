# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

from pose3d_ros.errors import InputError
from pose3d_ros.messages.images import (
    compressed_message,
    decode_compressed,
    decode_compressed_depth,
    decode_depth,
    decode_image,
    image_message,
)
from pose3d_ros.messages.standalone import StandaloneTypes

TYPES = StandaloneTypes()
IMAGE = TYPES('sensor_msgs/msg/Image')
COMPRESSED = TYPES('sensor_msgs/msg/CompressedImage')
BGR = (40, 90, 200)


def picture(width=12, height=8):
    """A gradient: channels, rows and columns all differ."""
    y, x = np.mgrid[:height, :width]
    return np.dstack([x * 10, y * 20, 255 - x * 10 - y]).astype(np.uint8)


def message(encoding, rows, width, height, padding=0, bigendian=False):
    rows = np.ascontiguousarray(rows)
    data = rows.view(np.uint8).reshape(rows.shape[0], -1)
    data = np.pad(data, ((0, 0), (0, padding)), constant_values=77)
    return IMAGE(
        width=width,
        height=height,
        encoding=encoding,
        step=data.shape[1],
        is_bigendian=int(bigendian),
        data=data.ravel(),
    )


GREY = cv2.cvtColor(picture(), cv2.COLOR_BGR2GRAY)
GREY_BGR = cv2.cvtColor(GREY, cv2.COLOR_GRAY2BGR)


@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize(
    ('encoding', 'rows', 'expected'),
    [
        ('bgr8', picture(), picture()),
        ('8UC3', picture(), picture()),
        ('rgb8', picture()[..., ::-1], picture()),
        ('bgra8', np.dstack([picture(), GREY]), picture()),
        ('rgba8', np.dstack([picture()[..., ::-1], GREY]), picture()),
        ('8UC4', np.dstack([picture(), GREY]), picture()),
        ('mono8', GREY, GREY_BGR),
        ('8UC1', GREY, GREY_BGR),
    ],
)
def test_8_bit_encodings_are_exact(encoding, rows, expected, padding):
    found = decode_image(message(encoding, rows, 12, 8, padding))
    assert found.dtype == np.uint8
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize('bigendian', [False, True])
@pytest.mark.parametrize('padding', [0, 6])
@pytest.mark.parametrize(
    ('encoding', 'image', 'expected'),
    [
        ('bgr16', picture(), picture()),
        ('rgb16', picture()[..., ::-1], picture()),
        ('bgra16', np.dstack([picture(), GREY]), picture()),
        ('rgba16', np.dstack([picture()[..., ::-1], GREY]), picture()),
        ('mono16', GREY, GREY_BGR),
        ('16UC1', GREY, GREY_BGR),
    ],
)
def test_16_bit_encodings_are_scaled(encoding, image, expected, padding, bigendian):
    wide = (image.astype(np.uint16) * 257).astype('>u2' if bigendian else '<u2')
    found = decode_image(message(encoding, wide, 12, 8, padding, bigendian))
    np.testing.assert_array_equal(found, expected)


def test_contiguous_bgr8_is_a_view():
    image = message('bgr8', picture(), 12, 8)
    assert np.shares_memory(decode_image(image), image.data)


def yuv():
    """Y, U, V of BGR, video range, rounded."""
    b, g, r = BGR
    return [
        round(v)
        for v in (
            16 + 0.257 * r + 0.504 * g + 0.098 * b,
            128 - 0.148 * r - 0.291 * g + 0.439 * b,
            128 + 0.439 * r - 0.368 * g - 0.071 * b,
        )
    ]


def yuv_rows(encoding, width=12, height=8):
    y, u, v = yuv()
    luma = np.full((height, width), y, np.uint8)
    half = height // 2
    chroma = {
        'nv12': lambda: np.tile([u, v], (half, width // 2)),
        'nv21': lambda: np.tile([v, u], (half, width // 2)),
        'i420': lambda: np.array([u, v]).repeat(half * width // 2).reshape(half, width),
        'nv24': lambda: np.tile([u, v], (2 * height, width // 2)),
    }
    if encoding in chroma:
        return np.vstack([luma, chroma[encoding]()]).astype(np.uint8)
    pair = [y, u, y, v] if encoding in ('yuyv', 'yuv422_yuy2') else [u, y, v, y]
    return np.tile(pair, (height, width // 2)).astype(np.uint8)


@pytest.mark.parametrize('padding', [0, 4])
@pytest.mark.parametrize(
    'encoding', ['yuyv', 'yuv422_yuy2', 'uyvy', 'yuv422', 'nv12', 'nv21', 'i420', 'nv24']
)
def test_yuv_encodings(encoding, padding):
    sent = message(encoding, yuv_rows(encoding), 12, 8, padding)
    if padding and encoding == 'i420':  # the rows of the colour planes have half the length
        luma, chroma = np.vsplit(yuv_rows(encoding), [8])
        chroma = np.pad(chroma.reshape(8, 6), ((0, 0), (0, padding // 2))).ravel()
        luma = np.pad(luma, ((0, 0), (0, padding))).ravel()
        sent.data = np.concatenate([luma, chroma])
    found = decode_image(sent)
    assert found.shape == (8, 12, 3)
    assert np.abs(found.astype(int) - BGR).max() <= 3


@pytest.mark.parametrize(('width', 'height'), [(12, 7), (11, 8), (11, 7)])
@pytest.mark.parametrize('encoding', ['nv12', 'nv21', 'i420'])
def test_yuv_of_odd_size(encoding, width, height):
    sent = message(encoding, yuv_rows(encoding, 12, 8 if height == 7 else height), width, height)
    sent.step = 12
    if height == 7:  # seven rows of luma, four of colour
        sent.data = np.delete(np.asarray(sent.data).reshape(-1, 12), 7, axis=0).ravel()
    decoded = decode_image(sent)
    assert decoded.shape == (height, width, 3)
    assert np.abs(decoded.astype(int) - BGR).max() <= 3


@pytest.mark.parametrize('bits', [10, 12, 14])
def test_16_bit_pixels_that_use_fewer_bits_are_as_bright(bits):
    top = 2**bits - 1
    grey = np.linspace(0, top, 96).round().astype(np.uint16).reshape(8, 12)
    wanted = np.repeat((grey / top * 255)[..., None], 3, axis=2)
    decoded = decode_image(message('mono16', grey.astype('<u2'), 12, 8))
    np.testing.assert_allclose(decoded, wanted, atol=0.51)
    png = cv2.imencode('.png', grey)[1]
    np.testing.assert_allclose(decode_compressed(COMPRESSED(data=png)), wanted, atol=0.51)


@pytest.mark.parametrize('depth', [8, 16])
@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
def test_bayer_encodings(pattern, depth):
    value = dict(zip('bgr', BGR))
    tile = np.array([value[c] for c in pattern]).reshape(2, 2)
    mosaic = np.tile(tile, (4, 6))
    mosaic = mosaic.astype(np.uint8) if depth == 8 else (mosaic * 257).astype('<u2')
    found = decode_image(message(f'bayer_{pattern}{depth}', mosaic, 12, 8))
    assert np.abs(found[2:-2, 2:-2].astype(int) - BGR).max() <= 1


def broken(**changes):
    image = message('bgr8', picture(), 12, 8)
    for name, value in changes.items():
        setattr(image, name, value)
    return image


@pytest.mark.parametrize(
    ('changes', 'complaint'),
    [
        ({'data': picture().ravel()[:100]}, 'truncated: 100 bytes, 12x8 bgr8 with step 36 has 288'),
        ({'data': np.zeros(0, np.uint8)}, 'truncated: 0 bytes'),
        ({'step': 35}, 'step is 35, but 12 pixels of bgr8 are 36 bytes'),
        ({'step': 0}, 'step is 0'),
        ({'width': 0}, r'empty \(0x8\)'),
        ({'height': 0}, r'empty \(12x0\)'),
        ({'encoding': 'rgb7'}, "encoding 'rgb7' is unknown; known: bgr8"),
        ({'encoding': ''}, "encoding '' is unknown"),
        ({'encoding': 'mono16', 'step': 24, 'data': np.zeros(100, np.uint8)}, 'truncated'),
        ({'encoding': 'nv21'}, 'truncated|step'),
        ({'encoding': 'yuyv', 'width': 11, 'step': 24}, '11 pixels wide: odd'),
        ({'encoding': 'nv12', 'width': 13, 'step': 13}, 'rows of at least 14 bytes, step is 13'),
        ({'encoding': '32FC1'}, 'unknown'),
    ],
)
def test_broken_images_are_named(changes, complaint):
    if changes.get('encoding') == 'nv21':
        changes = {**changes, 'data': np.zeros(50, np.uint8)}
    with pytest.raises(InputError, match=complaint):
        decode_image(broken(**changes))


def test_last_row_may_lack_its_padding():
    image = message('bgr8', picture(), 12, 8, padding=4)
    image.data = image.data[:-4]
    np.testing.assert_array_equal(decode_image(image), picture())


def smooth():
    return cv2.resize(picture(), (160, 120), interpolation=cv2.INTER_LINEAR)


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.bmp'])
def test_compressed(suffix):
    data = cv2.imencode(suffix, smooth())[1]
    found = decode_compressed(COMPRESSED(format='whatever', data=data))
    assert found.shape == (120, 160, 3)
    assert np.abs(found.astype(int) - smooth()).mean() < (3 if suffix == '.jpg' else 0.001)


def test_compressed_grey_and_16_bit():
    grey = cv2.cvtColor(smooth(), cv2.COLOR_BGR2GRAY)
    data = cv2.imencode('.png', grey.astype(np.uint16) * 257)[1]
    found = decode_compressed(COMPRESSED(data=data))
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - grey[..., None]).max() <= 1


def test_exif_orientation_does_not_turn_the_image():
    jpeg = cv2.imencode('.jpg', smooth())[1].tobytes()
    tiff = b'MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00'
    body = b'Exif\x00\x00' + tiff + b'\x00\x00\x00\x00'
    tagged = jpeg[:2] + b'\xff\xe1' + struct.pack('>H', len(body) + 2) + body + jpeg[2:]
    upright = cv2.imdecode(np.frombuffer(tagged, np.uint8), cv2.IMREAD_COLOR)
    assert upright.shape == (160, 120, 3), 'the tag is not valid, the test proves nothing'
    found = decode_compressed(COMPRESSED(data=np.frombuffer(tagged, np.uint8)))
    assert found.shape == (120, 160, 3)


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
@pytest.mark.parametrize('part', [0.3, 0.9])
def test_truncated_compressed(suffix, part):
    data = cv2.imencode(suffix, smooth())[1]
    with pytest.raises(InputError, match='cut off|damaged'):
        decode_compressed(COMPRESSED(data=data[: int(len(data) * part)]))


@pytest.mark.parametrize('data', [b'', b'no image at all', b'\xff\xd8\xff\xd9'])
def test_undecodable_compressed(data):
    with pytest.raises(InputError, match='format .*(damaged|cut off)'):
        decode_compressed(COMPRESSED(format='jpeg', data=np.frombuffer(data, np.uint8)))


def test_jpeg_with_zeros_after_its_end():
    data = cv2.imencode('.jpg', smooth())[1]
    padded = np.concatenate([data, np.zeros(10_000, np.uint8)])
    wanted = decode_compressed(COMPRESSED(data=data))
    np.testing.assert_array_equal(decode_compressed(COMPRESSED(data=padded)), wanted)
    # Some drivers leave the end marker out.
    np.testing.assert_array_equal(decode_compressed(COMPRESSED(data=data[:-2])), wanted)


def test_compressed_depth_is_no_colour_image():
    with pytest.raises(InputError, match='depth image'):
        decode_compressed(COMPRESSED(format='16UC1; compressedDepth png', data=np.zeros(99, 'u1')))


DEPTH = np.array([[0.5, 1.25, 0.0], [np.nan, np.inf, 3.0]], np.float32)
WANTED = np.array([[0.5, 1.25, np.nan], [np.nan, np.nan, 3.0]], np.float32)


@pytest.mark.parametrize('bigendian', [False, True])
@pytest.mark.parametrize('padding', [0, 8])
def test_depth_metres(bigendian, padding):
    rows = DEPTH.astype('>f4' if bigendian else '<f4')
    found = decode_depth(message('32FC1', rows, 3, 2, padding, bigendian))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, WANTED)


@pytest.mark.parametrize('bigendian', [False, True])
def test_depth_millimetres(bigendian):
    rows = np.array([[500, 1250, 0], [0, 0, 3000]], '>u2' if bigendian else '<u2')
    found = decode_depth(message('16UC1', rows, 3, 2, bigendian=bigendian))
    np.testing.assert_allclose(found, WANTED, rtol=1e-6)


def test_depth_of_another_encoding():
    with pytest.raises(InputError, match="'mono8' is unknown; known: 32FC1, 16UC1"):
        decode_depth(message('mono8', GREY, 12, 8))


def test_compressed_depth():
    png = cv2.imencode('.png', np.array([[500, 1250, 0], [0, 0, 3000]], np.uint16))[1]
    data = np.concatenate([np.zeros(12, np.uint8), png])
    found = decode_compressed_depth(COMPRESSED(format='16UC1; compressedDepth png', data=data))
    np.testing.assert_allclose(found, WANTED, rtol=1e-6)
    # Inverse depth: value = a / depth + b.
    a, b = 1000.0, 1.0
    values = np.where(np.nan_to_num(WANTED) > 0, a / np.nan_to_num(WANTED, nan=1) + b, 0)
    png = cv2.imencode('.png', values.astype(np.uint16))[1].tobytes()
    data = np.frombuffer(struct.pack('<iff', 0, a, b) + png, np.uint8)
    found = decode_compressed_depth(COMPRESSED(format='32FC1; compressedDepth', data=data))
    np.testing.assert_allclose(found, WANTED, rtol=0.01)


@pytest.mark.parametrize('form', ['16UC1; compressedDepth png', '16UC1; png compressed '])
def test_depth_as_a_plain_png(form):
    png = cv2.imencode('.png', np.array([[500, 1250, 0], [0, 0, 3000]], np.uint16))[1]
    found = decode_compressed_depth(COMPRESSED(format=form, data=png))
    np.testing.assert_allclose(found, WANTED, rtol=1e-6)
    with pytest.raises(InputError, match='12 bytes of its scale'):
        decode_compressed_depth(COMPRESSED(format='32FC1; compressedDepth png', data=png))


@pytest.mark.parametrize(
    ('form', 'data'),
    [
        ('jpeg', b'x' * 50),
        ('16UC1; compressedDepth rvl', b'x' * 5),
        ('16UC1; compressedDepth rvl', b'x' * 50),
        ('16UC1; compressedDepth', b'x' * 5),
        ('16UC1; compressedDepth', b'x' * 50),
    ],
)
def test_broken_compressed_depth(form, data):
    with pytest.raises(InputError, match='unknown|cannot decode|cannot be'):
        decode_compressed_depth(COMPRESSED(format=form, data=np.frombuffer(data, np.uint8)))


def test_image_message_and_back():
    sent = image_message(TYPES, picture(), stamp_ns=5_000_000_007, frame_id='cam')
    raw = TYPES.serialize(sent, 'sensor_msgs/msg/Image')
    got = TYPES.deserialize(raw, 'sensor_msgs/msg/Image')
    assert (got.header.stamp.sec, got.header.stamp.nanosec) == (5, 7)
    assert (got.header.frame_id, got.width, got.height, got.step) == ('cam', 12, 8, 36)
    np.testing.assert_array_equal(decode_image(got), picture())


def test_image_message_of_a_part_of_an_image():
    part = picture()[1:5, 2:9]
    sent = image_message(TYPES, part, stamp_ns=0, frame_id='')
    np.testing.assert_array_equal(decode_image(sent), part)


def test_compressed_message_and_back():
    sent = compressed_message(TYPES, smooth(), stamp_ns=1, frame_id='cam')
    assert np.abs(decode_compressed(sent).astype(int) - smooth()).mean() < 3
