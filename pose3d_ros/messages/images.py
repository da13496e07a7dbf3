# SPDX-License-Identifier: Apache-2.0
"""Image messages to BGR arrays and depth in metres, and back.

Encodings are those of sensor_msgs/image_encodings.hpp. Rows may be padded (`step`), 16-bit values
may be big-endian. Everything that a message can have wrong raises InputError.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..encoded import PNG, first_picture
from ..errors import InputError
from .types import Message, Types, fill, make_header

Array = NDArray[Any]

# Interleaved encodings: channels, bytes of a channel, OpenCV's conversion to BGR (None: it is BGR).
_PIXELS: dict[str, tuple[int, int, int | None]] = {
    'bgr8': (3, 1, None),
    '8uc3': (3, 1, None),
    'rgb8': (3, 1, cv2.COLOR_RGB2BGR),
    'bgra8': (4, 1, cv2.COLOR_BGRA2BGR),
    '8uc4': (4, 1, cv2.COLOR_BGRA2BGR),
    'rgba8': (4, 1, cv2.COLOR_RGBA2BGR),
    'mono8': (1, 1, cv2.COLOR_GRAY2BGR),
    '8uc1': (1, 1, cv2.COLOR_GRAY2BGR),
    'bgr16': (3, 2, None),
    '16uc3': (3, 2, None),
    'rgb16': (3, 2, cv2.COLOR_RGB2BGR),
    'bgra16': (4, 2, cv2.COLOR_BGRA2BGR),
    '16uc4': (4, 2, cv2.COLOR_BGRA2BGR),
    'rgba16': (4, 2, cv2.COLOR_RGBA2BGR),
    'mono16': (1, 2, cv2.COLOR_GRAY2BGR),
    '16uc1': (1, 2, cv2.COLOR_GRAY2BGR),
    'yuyv': (2, 1, cv2.COLOR_YUV2BGR_YUYV),
    'yuv422_yuy2': (2, 1, cv2.COLOR_YUV2BGR_YUYV),
    'uyvy': (2, 1, cv2.COLOR_YUV2BGR_UYVY),
    'yuv422': (2, 1, cv2.COLOR_YUV2BGR_UYVY),
    'bayer_rggb8': (1, 1, cv2.COLOR_BayerRGGB2BGR),
    'bayer_bggr8': (1, 1, cv2.COLOR_BayerBGGR2BGR),
    'bayer_gbrg8': (1, 1, cv2.COLOR_BayerGBRG2BGR),
    'bayer_grbg8': (1, 1, cv2.COLOR_BayerGRBG2BGR),
    'bayer_rggb16': (1, 2, cv2.COLOR_BayerRGGB2BGR),
    'bayer_bggr16': (1, 2, cv2.COLOR_BayerBGGR2BGR),
    'bayer_gbrg16': (1, 2, cv2.COLOR_BayerGBRG2BGR),
    'bayer_grbg16': (1, 2, cv2.COLOR_BayerGRBG2BGR),
}


def decode_image(message: Message) -> Array:
    """(H, W, 3) uint8 BGR of a sensor_msgs/Image; a view of its data if that is contiguous bgr8."""
    encoding = str(message.encoding).lower()
    try:
        if encoding in _PIXELS:
            return _interleaved(message, encoding)
        if encoding in _PLANES:
            return _PLANES[encoding](message)
    except cv2.error as error:
        raise InputError(
            f'cannot convert {message.width}x{message.height} {encoding}: {error.err}'
        ) from error
    raise InputError(
        f'image encoding {message.encoding!r} is unknown; known: {", ".join((*_PIXELS, *_PLANES))}'
    )


def _interleaved(message: Message, encoding: str) -> Array:
    channels, size, conversion = _PIXELS[encoding]
    image = _rows(message, message.height, message.width * channels * size)
    if size == 2:
        image = _from_16bit(image, bool(message.is_bigendian))
    if channels > 1:
        image = image.reshape(message.height, message.width, channels)
    if conversion is None:
        return np.ascontiguousarray(image)
    if encoding.startswith(('yu', 'uy')) and message.width % 2:
        raise InputError(f'a {encoding} image cannot be {message.width} pixels wide: odd')
    return np.asarray(cv2.cvtColor(image, conversion))


def _rows(message: Message, height: int, row: int) -> Array:
    """(height, row) uint8 view without the padding."""
    if message.width < 1 or message.height < 1:
        raise InputError(f'the image is empty ({message.width}x{message.height})')
    data = np.frombuffer(message.data, dtype=np.uint8)
    step = int(message.step)
    if step < row:
        raise InputError(
            f'step is {step}, but {message.width} pixels of {message.encoding} are {row} bytes'
        )
    # The padding of the last row may be left out.
    needed = step * (height - 1) + row
    if len(data) < needed:
        raise InputError(
            f'the image is truncated: {len(data)} bytes, {message.width}x{message.height} '
            f'{message.encoding} with step {step} has {needed}'
        )
    if step == row:
        return data[:needed].reshape(height, row)
    return np.lib.stride_tricks.as_strided(data, (height, row), (step, 1), writeable=False)


def _from_16bit(rows: Array, bigendian: bool) -> Array:
    values = np.ascontiguousarray(rows).view('>u2' if bigendian else '<u2')
    native = np.ascontiguousarray(values, dtype=np.uint16)
    return np.asarray(cv2.convertScaleAbs(native, alpha=255 / 65535)).reshape(native.shape)


def _yuv420(conversion: int) -> Callable[[Message], Array]:
    """Y plane, then the colour at half size in both directions, in rows of the same length."""

    def decode(message: Message) -> Array:
        if message.width % 2 or message.height % 2:
            raise InputError(
                f'a {message.encoding} image cannot be {message.width}x{message.height}: odd'
            )
        rows = _rows(message, message.height * 3 // 2, message.width)
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(rows), conversion))

    return decode


def _i420(message: Message) -> Array:
    """As the others, but with the U plane, then the V plane, in rows of half the length."""
    height, width, half = int(message.height), int(message.width), int(message.step) // 2
    if width % 2 or height % 2:
        raise InputError(f'an i420 image cannot be {width}x{height}: odd')
    luma = _rows(message, height * 3 // 2, width)[:height]
    data = np.frombuffer(message.data, dtype=np.uint8)[int(message.step) * height :]
    chroma = np.lib.stride_tricks.as_strided(data, (height, width // 2), (half, 1), writeable=False)
    planes = np.vstack([luma, chroma.reshape(height // 2, width)])
    return np.asarray(cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420))


# Y, U, V of ITU-R BT.601 in video range to B, G, R: what OpenCV uses for the other YUV formats.
_BT601 = np.array([[1.164, 2.018, 0.0], [1.164, -0.391, -0.813], [1.164, 0.0, 1.596]])
_BT601_OFFSET = -_BT601 @ np.array([16.0, 128.0, 128.0])


def _nv24(message: Message) -> Array:
    """Y plane, then U and V in turn at full size."""
    height, width = int(message.height), int(message.width)
    # The second plane's rows are twice as long, so that it is two rows of the first each.
    rows = np.ascontiguousarray(_rows(message, height * 3, width))
    yuv = np.dstack([rows[:height], rows[height:].reshape(height, width, 2)])
    return np.asarray(cv2.transform(yuv, np.column_stack([_BT601, _BT601_OFFSET])))


_PLANES: dict[str, Callable[[Message], Array]] = {
    'nv12': _yuv420(cv2.COLOR_YUV2BGR_NV12),
    'nv21': _yuv420(cv2.COLOR_YUV2BGR_NV21),
    'i420': _i420,
    'nv24': _nv24,
}


def decode_compressed(message: Message) -> Array:
    """(H, W, 3) uint8 BGR of a sensor_msgs/CompressedImage (JPEG, PNG, ...)."""
    if 'compresseddepth' in str(message.format).lower().replace(' ', ''):
        raise InputError(f'format {message.format!r} is a depth image, not a colour image')
    data = bytes(message.data)
    picture = first_picture(data)
    if picture is None:
        raise InputError(f'the compressed image is truncated ({len(data)} bytes)')
    # As it lies in the file: the calibration is of the sensor, whatever its EXIF tag says.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    image = _imdecode(np.frombuffer(picture, dtype=np.uint8), flags)
    if image is None:
        raise InputError(
            f'cannot decode the compressed image ({len(data)} bytes, format {message.format!r})'
        )
    return image


def _imdecode(data: Array, flags: int) -> Array | None:
    if not len(data):
        return None
    try:
        image = cv2.imdecode(data, flags)
    except cv2.error:
        return None
    return None if image is None else np.asarray(image)


def decode_depth(message: Message) -> Array:
    """(H, W) float32 metres, NaN where unknown, of an Image (REP-118: 32FC1 m, 16UC1 mm)."""
    encoding = str(message.encoding).lower()
    order = '>' if message.is_bigendian else '<'
    if encoding == '32fc1':
        rows = np.ascontiguousarray(_rows(message, message.height, message.width * 4))
        return _metres(rows.view(order + 'f4'))
    if encoding in ('16uc1', 'mono16'):
        rows = np.ascontiguousarray(_rows(message, message.height, message.width * 2))
        return _metres(rows.view(order + 'u2') * np.float32(0.001))
    raise InputError(f'depth encoding {message.encoding!r} is unknown; known: 32FC1, 16UC1')


def decode_compressed_depth(message: Message) -> Array:
    """(H, W) float32 metres, NaN where unknown, of a compressedDepth CompressedImage.

    16UC1 as a plain PNG, without the header of compressedDepth, is millimetres as well.
    """
    form = str(message.format).lower().replace(' ', '')
    millimetres = form.startswith('16uc1')
    if 'rvl' in form or not ('compresseddepth' in form or (millimetres and 'png' in form)):
        raise InputError(
            f'format {message.format!r} is unknown; known: compressedDepth and 16UC1, in PNG'
        )
    data = bytes(message.data)
    # 12 bytes in front of the PNG: compression, and the two parameters of the quantisation. Some
    # drivers leave them out.
    start = 0 if data.startswith(PNG) else 12
    picture = _imdecode(np.frombuffer(data[start:], dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.dtype != np.uint16 or picture.ndim != 2 or b'IEND' not in data:
        raise InputError(f'cannot decode the compressed depth image ({len(data)} bytes)')
    if not form.startswith('32fc1'):
        return _metres(picture * np.float32(0.001))
    if start == 0:
        raise InputError('the compressed depth image, 32FC1, lacks the 12 bytes of its scale')
    _, a, b = struct.unpack('<iff', data[:12])
    with np.errstate(divide='ignore', invalid='ignore'):
        metres = a / (picture.astype(np.float32) - b)
    return _metres(np.where(picture > 0, metres, np.nan))


def _metres(depth: Array) -> Array:
    depth = depth.astype(np.float32)
    depth[~np.isfinite(depth) | (depth <= 0)] = np.nan
    return depth


def image_message(types: Types, image: Array, *, stamp_ns: int, frame_id: str) -> Message:
    """sensor_msgs/Image, bgr8, of an (H, W, 3) uint8 BGR array."""
    height, width = image.shape[:2]
    message = types('sensor_msgs/msg/Image')(
        header=make_header(types, stamp_ns, frame_id),
        height=height,
        width=width,
        encoding='bgr8',
        step=3 * width,
    )
    fill(message, 'data', image)
    return message


def compressed_message(
    types: Types, image: Array, *, stamp_ns: int, frame_id: str, quality: int = 90
) -> Message:
    """sensor_msgs/CompressedImage, JPEG, of an (H, W, 3) uint8 BGR array."""
    _, data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    message = types('sensor_msgs/msg/CompressedImage')(
        header=make_header(types, stamp_ns, frame_id), format='bgr8; jpeg compressed bgr8'
    )
    fill(message, 'data', data)
    return message
