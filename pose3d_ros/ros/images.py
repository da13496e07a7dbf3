# SPDX-License-Identifier: Apache-2.0
"""Image messages to BGR arrays with cv_bridge."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ..messages import decode_image
from ..types import Array

# What decode_image views, or turns with one call, without a copy before it.
_DIRECT = ('bgr8', 'rgb8')


def image_decoder(warn: Callable[[str], None]) -> Callable[[Any], Array]:
    """A function from sensor_msgs/Image to (H, W, 3) uint8 BGR that raises InputError.

    cv_bridge converts; contiguous bgr8 and rgb8 images need no conversion or a single one, and go
    without it. What cv_bridge refuses (plain matrices as 16UC1, damaged messages) gets a second
    chance, and its error message, from this package's own decoder. warn: told once if there is no
    cv_bridge that works.
    """
    try:
        if not _fits_numpy():
            raise ImportError(f'it was built for NumPy 1, not {np.__version__}')
        from cv_bridge import CvBridge
    except (ImportError, AttributeError) as error:
        warn(f'cv_bridge cannot be used ({error}): images are converted without it')
        return decode_image
    bridge = CvBridge()

    def decode(message: Any) -> Array:
        wide = '16' in message.encoding  # cv_bridge makes images of 10 or 12 bits nearly black
        if message.encoding in _DIRECT or wide or message.width < 1 or message.height < 1:
            return decode_image(message)
        try:
            image: Array = bridge.imgmsg_to_cv2(message, 'bgr8')
        except Exception:  # whatever it is: CvBridgeError, TypeError, cv2.error, RuntimeError
            return decode_image(message)
        if image.shape != (message.height, message.width, 3):
            return decode_image(message)
        return image

    return decode


def _fits_numpy() -> bool:
    """Whether cv_bridge was compiled for the NumPy that is loaded; if not, its use may crash."""
    if np.lib.NumpyVersion(np.__version__) < '2.0.0':
        return True
    spec = find_spec('cv_bridge')
    if spec is None or spec.origin is None:
        return True  # the import will tell
    # Only the headers of NumPy 2 name its new core.
    modules = list(Path(spec.origin).parent.rglob('*.so'))
    return any(b'numpy._core' in module.read_bytes() for module in modules)
