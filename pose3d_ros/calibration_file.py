# SPDX-License-Identifier: Apache-2.0
"""Calibration files of ROS, OpenCV, Kalibr and COLMAP, distinguished by their content."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from .errors import InputError

Array = NDArray[Any]

_COLMAP = re.compile(r'^\s*\d+\s+([A-Z_]+)\s+(\d+)\s+(\d+)((?:\s+[-+.\deE]+)+)\s*$', re.MULTILINE)
# Of COLMAP: focal lengths, distortion model, where its coefficients are in OpenCV's order.
_COLMAP_MODELS: dict[str, tuple[int, str, tuple[int, ...]]] = {
    'SIMPLE_PINHOLE': (1, '', ()),
    'PINHOLE': (2, '', ()),
    'SIMPLE_RADIAL': (1, 'plumb_bob', (0,)),
    'RADIAL': (1, 'plumb_bob', (0, 1)),
    'OPENCV': (2, 'plumb_bob', (0, 1, 2, 3)),
    'FULL_OPENCV': (2, 'rational_polynomial', (0, 1, 2, 3, 4, 5, 6, 7)),
    'SIMPLE_RADIAL_FISHEYE': (1, 'equidistant', (0,)),
    'RADIAL_FISHEYE': (1, 'equidistant', (0, 1)),
    'OPENCV_FISHEYE': (2, 'equidistant', (0, 1, 2, 3)),
}


@dataclass(frozen=True)
class Calibrated:
    """What a file says. K: (3, 3). size: width, height. model, D: distortion as named there."""

    K: Array
    size: tuple[int, int]
    model: str
    D: Array


def read_calibration(path: str | Path) -> Calibrated:
    """Read a calibration file.

    Known are those of camera_calibration (YAML, ost.ini), the output of `ros2 topic echo --once
    camera_info`, OpenCV's FileStorage YAML, Kalibr's camchain and COLMAP's cameras.txt, of one
    camera. Raises InputError for anything else.
    """
    try:
        read = _read(Path(path).read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = ' '.join(str(error).split())
        raise InputError(f'cannot read the calibration {path}: {reason}') from error
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(
            f'{path} is not a camera calibration (image_width, image_height, camera_matrix, '
            f'distortion_model, distortion_coefficients): {error!r}'
        ) from error
    except InputError as error:
        raise InputError(f'{path}: {error}') from error
    if min(read.size) < 1:
        raise InputError(
            f'{path}: the calibration is for images of {read.size[0]}x{read.size[1]} pixels; '
            'write the width and height of the images into it'
        )
    return read


def _read(text: str) -> Calibrated:
    cameras = _COLMAP.findall(text)
    if cameras:
        return _colmap(cameras)
    if re.search(r'^\[image\]\s*$', text, re.MULTILINE):
        return _ini(text)
    opencv = text.startswith('%YAML:1.0')
    if opencv:
        text = text.partition('\n')[2].replace('!!opencv-matrix', '')
    content: Any = next((one for one in yaml.safe_load_all(text) if one is not None), None)
    if not isinstance(content, dict):
        raise ValueError('no names and values')
    if opencv:
        return _opencv(content)
    if 'cam0' in content:
        return _kalibr(content)
    if 'width' in content and 'distortion_model' in content:
        return _camera_info(content)
    D = content.get('distortion_coefficients', {}).get('data', [])
    return Calibrated(
        K=_floats(content['camera_matrix']['data']).reshape(3, 3),
        size=(int(content['image_width']), int(content['image_height'])),
        model=str(content.get('distortion_model', '')),
        D=_floats(D),
    )


def _camera_info(content: dict[str, Any]) -> Calibrated:
    roi = content.get('roi') or {}
    size = int(content['width']), int(content['height'])
    part = int(roi.get('width', 0)), int(roi.get('height', 0))
    if any(part) and part != size:
        raise InputError('camera_info of a part of the image (roi); take one of the whole image')
    return Calibrated(
        K=_floats(content.get('k', content.get('K'))).reshape(3, 3),
        size=size,
        model=str(content['distortion_model']),
        D=_floats(content.get('d', content.get('D', []))),
    )


def _opencv(content: dict[str, Any]) -> Calibrated:
    D = _floats(content['distortion_coefficients']['data'])
    model = content.get('distortion_model', 'fisheye' if content.get('fisheye_model') else '')
    if not model and 'fisheye_model' not in content:
        _refuse_four(D)
    return Calibrated(
        K=_floats(content['camera_matrix']['data']).reshape(3, 3),
        size=(int(content['image_width']), int(content['image_height'])),
        model=str(model or 'plumb_bob'),
        D=D,
    )


def _kalibr(content: dict[str, Any]) -> Calibrated:
    cameras = [name for name in content if re.fullmatch(r'cam\d+', str(name))]
    _refuse_several(cameras)
    camera = content['cam0']
    if camera['camera_model'] != 'pinhole':
        raise InputError(f'Kalibr model {camera["camera_model"]!r} is unknown; known: pinhole')
    fx, fy, cx, cy = (float(v) for v in camera['intrinsics'])
    width, height = (int(v) for v in camera['resolution'])
    return Calibrated(
        K=_matrix(fx, fy, cx, cy),
        size=(width, height),
        model=str(camera['distortion_model']),
        D=_floats(camera['distortion_coeffs']),
    )


def _ini(text: str) -> Calibrated:
    lines = [line.split('#')[0].strip() for line in text.splitlines()]
    lines = [line for line in lines if line]

    def after(name: str) -> Iterator[str]:
        return iter(lines[lines.index(name) + 1 :])

    matrix = after('camera matrix')
    K = [next(matrix).split() for _ in range(3)]
    D = _floats(next(after('distortion')).split())
    _refuse_four(D)
    size = int(next(after('width'))), int(next(after('height')))
    return Calibrated(K=_floats(K).reshape(3, 3), size=size, model='plumb_bob', D=D)


def _colmap(cameras: list[tuple[str, str, str, str]]) -> Calibrated:
    _refuse_several([name for name, *_ in cameras])
    name, width, height, numbers = cameras[0]
    if name not in _COLMAP_MODELS:
        raise InputError(f'COLMAP model {name} is unknown; known: {", ".join(_COLMAP_MODELS)}')
    focals, model, places = _COLMAP_MODELS[name]
    values = _floats(numbers.split())
    if len(values) != focals + 2 + len(places):
        raise ValueError(f'{name} has {focals + 2 + len(places)} numbers, not {len(values)}')
    # The centre of COLMAP's top-left pixel is (0.5, 0.5).
    cx, cy = values[focals : focals + 2] - 0.5
    D = np.zeros(max(4, len(places)) if model else 0)
    D[list(places)] = values[focals + 2 :]
    K = _matrix(values[0], values[focals - 1], cx, cy)
    return Calibrated(K=K, size=(int(width), int(height)), model=model, D=D)


def _refuse_several(cameras: list[str]) -> None:
    if len(cameras) > 1:
        raise InputError(f'the calibration has {len(cameras)} cameras; keep the one that is meant')


def _refuse_four(D: Array) -> None:
    if len(D) == 4:
        raise InputError(
            'four distortion coefficients, and no model: they can be those of a fisheye. '
            'Write a YAML file with distortion_model: plumb_bob or equidistant'
        )


def _matrix(fx: float, fy: float, cx: float, cy: float) -> Array:
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], dtype=float)


def _floats(values: Any) -> Array:
    return np.asarray(values, dtype=float)
