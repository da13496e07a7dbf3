# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/CameraInfo to Camera and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..camera import Camera
from ..errors import InputError
from .types import Message, Types, fill, make_header


def camera_of(info: Message, image_size: tuple[int, int], rectified: bool = False) -> Camera | None:
    """Camera of an image of that size (width, height); None if uncalibrated.

    Raises InputError if the numbers make no sense or fit no image of that size.
    """
    d, k, p = (_matrix(info, name) for name in 'dkp')
    roi = info.roi
    return Camera.from_info(
        K=k,
        D=d,
        P=p,
        model=str(info.distortion_model),
        size=(int(info.width), int(info.height)),
        image_size=image_size,
        binning=(int(info.binning_x), int(info.binning_y)),
        roi=(int(roi.x_offset), int(roi.y_offset), int(roi.width), int(roi.height)),
        rectified=rectified,
    )


class Calibration:
    """The last CameraInfo of a camera, and the Camera that it makes for images of a size.

    rectified: images are. topic: of the images; `image_rect` and the like says that they are, as
    image_proc's, whose CameraInfo is that of the raw images. P counts then, if it is not zero.
    """

    def __init__(self, rectified: bool = False) -> None:
        self._rectified = rectified
        self.topic = ''
        self.oddity = ''
        self._info: Message | None = None
        self._key: bytes = b''
        self._size: tuple[int, int] | None = None
        self._camera: Camera | None = None
        self.problem = 'no camera_info has come'

    @property
    def received(self) -> bool:
        """Whether any CameraInfo came."""
        return self._info is not None

    def update(self, info: Message) -> None:
        """Take over a CameraInfo; one that repeats the last costs nothing later."""
        key = _fingerprint(info)
        if key != self._key:
            self._info, self._key, self._size = info, key, None

    def camera(self, size: tuple[int, int]) -> Camera | None:
        """Camera for an image of that size, the same object as long as nothing changes.

        None if there is none; `problem` says why, and is empty otherwise.
        """
        if self._info is None or size == self._size:
            return self._camera
        self._size, self._camera = size, None
        try:
            rectified = _says_rectified(self.topic) and bool(_matrix(self._info, 'p')[0])
            self._camera = camera_of(self._info, size, self._rectified or rectified)
            self.problem = '' if self._camera else _uncalibrated(self._info)
            # A part of an image may lie beside the axis: what counts is the calibration's own size.
            region = self._info.roi.width or self._info.roi.x_offset or self._info.roi.y_offset
            self.oddity = self._camera.oddity if self._camera and not region else ''
        except InputError as error:
            self.problem = str(error)
        return self._camera


def _says_rectified(topic: str) -> bool:
    names = topic.removesuffix('/compressed').split('/')
    return names[-1].startswith('image_rect')


def _uncalibrated(info: Message) -> str:
    problem = 'uncalibrated: K is zero in camera_info'
    if _matrix(info, 'p')[0]:
        problem += ', P is not: set image_is_rectified if the images are undistorted already'
    return problem


def _matrix(info: Message, name: str) -> Any:
    # ROS 1 names them with capital letters.
    return getattr(info, name) if hasattr(info, name) else getattr(info, name.upper())


def _fingerprint(info: Message) -> bytes:
    parts = [np.asarray(_matrix(info, name)).tobytes() for name in 'dkp']
    roi = info.roi
    rest = (
        (info.width, info.height, info.distortion_model, info.binning_x, info.binning_y),
        (roi.x_offset, roi.y_offset, roi.width, roi.height),
    )
    return b'|'.join([*parts, repr(rest).encode()])


def info_message(types: Types, camera: Camera, *, stamp_ns: int, frame_id: str) -> Message:
    """CameraInfo of a calibrated camera whose images are not rectified."""
    message = types('sensor_msgs/msg/CameraInfo')(
        header=make_header(types, stamp_ns, frame_id),
        width=camera.size[0],
        height=camera.size[1],
        distortion_model=camera.model or 'plumb_bob',
    )
    projection = np.column_stack([camera.K, np.zeros(3)])
    fill(message, 'd', camera.D if len(camera.D) else np.zeros(5))
    for name, matrix in (('k', camera.K), ('r', np.eye(3)), ('p', projection)):
        fill(message, name, matrix)
    return message
