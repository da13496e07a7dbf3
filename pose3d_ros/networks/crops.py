# SPDX-License-Identifier: Apache-2.0
"""Crops of people as virtual cameras aimed at them: rotated, undistorted, zoomed.

A crop cut straight out of an image shows people at its edge turned and stretched. A virtual camera
shows everybody as if in the middle, and what a network says of it is brought back by a rotation.
Boxes are x, y, width, height in pixels. Optical frames: x right, y down, z forward.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

import cv2
import numpy as np

from ..camera import Camera, CropCamera
from ..types import Array

UP = (0.0, -1.0, 0.0)
_LEVELS = 3
_FAR_PX = 1e4
# Pixels of a crop from one to the next whose distortion is computed, the others being interpolated,
# by half the crop's width in x/z.
_STEPS = {0.3: 4, 1.5: 2}


def upright(box: Array, size: tuple[int, int]) -> Camera:
    """For images without calibration: a camera whose crop of the box is a plain square cut.

    Its axes are those of a camera aimed at the box's centre, for want of a calibration.
    """
    x, y, width, height = (float(v) for v in box[:4])
    focal = float(max(size))
    K = np.array([[focal, 0, x + width / 2], [0, focal, y + height / 2], [0, 0, 1]])
    return Camera(K=K, size=size, assumed=True)


def look_at(camera: Camera, box: Array, size: int, up: Array | None = None) -> CropCamera | None:
    """The camera of MeTRo's training crops: squared pixels, the box's longer side fills the crop.

    up: (3,) what is up, in the camera's axes. None if the box is empty or behind the camera.
    """
    return look_at_each(camera, np.asarray(box)[None], size, up)[0]


def look_at_each(
    camera: Camera, boxes: Array, size: int, up: Array | None = None
) -> list[CropCamera | None]:
    """look_at() for boxes (N, >=4), faster."""
    boxes = np.asarray(boxes, dtype=float)
    extent = boxes[:, 2:4]
    centre = boxes[:, :2] + extent / 2
    tall = extent[:, :1] < extent[:, 1:]
    half = np.where(np.hstack([tall, ~tall]), 0.0, extent / 2)
    rays = _rays(camera, np.stack([centre, centre - half, centre + half], axis=1).reshape(-1, 2))
    return [_looking(camera, three, size, up) for three in rays.reshape(-1, 3, 3)]


def _looking(camera: Camera, rays: Array, size: int, up: Array | None) -> CropCamera | None:
    """rays: (3, 3) to the centre of a box and to its ends."""
    forward = rays[0] / np.linalg.norm(rays[0])
    R = _turned(_cross(forward, UP if up is None else up), forward)
    mean = (camera.K[0, 0] + camera.K[1, 1]) / 2
    squared = np.diag([mean / camera.K[0, 0], mean / camera.K[1, 1], 1.0]) @ camera.K
    turned = rays[1:] @ R.T
    if turned[:, 2].min() <= 0:
        return None  # half of all there is fits no flat crop
    first, second = _pixels(squared, turned)
    side = float(np.linalg.norm(first - second))
    if not (np.isfinite(side) and side > 1e-3):
        return None
    focal = mean * size / side
    K = np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]])
    return CropCamera(K, R, size, camera)


def look_at_wide(camera: Camera, box: Array, size: int, up: Array | None = None) -> CropCamera:
    """The camera of MeTRAbs' crops: the pixels' shape stays, width and height both fit."""
    x, y, width, height = (float(v) for v in box[:4])
    cx, cy = x + width / 2, y + height / 2
    points = np.array([(cx, cy), (cx, y), (cx, y + height), (x, cy), (x + width, cy)])
    rays = _rays(camera, points)
    forward = rays[0] / np.linalg.norm(rays[0])
    R = _turned(_cross(forward, UP if up is None else up), forward)
    top, bottom, left, right = _pixels(camera.K, rays[1:] @ R.T)
    side = max(float(np.linalg.norm(top - bottom)), float(np.linalg.norm(left - right)), 1e-3)
    K = camera.K.copy()
    K[:2, :2] *= size / side
    K[:2, 2] = size / 2
    return CropCamera(K, R, size, camera)


def varied(crop: CropCamera, *, angle: float = 0.0, scale: float = 1.0, mirror: bool = False) -> (
    CropCamera
):  # fmt: skip
    """The crop rolled by radians, zoomed, mirrored: for averages over several views."""
    c, s = np.cos(angle), np.sin(angle)
    roll = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
    R = roll @ crop.R
    if mirror:
        R = R * np.array([[-1.0], [1.0], [1.0]])
    K = crop.K.copy()
    K[:2, :2] *= scale
    return CropCamera(K, R, crop.size, crop.camera)


@dataclass
class Picture:
    """An image (H, W, 3) uint8 to cut crops from, with smaller copies against aliasing.

    linear: averages are made of light instead of its usual encoding, as MeTRAbs does.
    """

    image: Array
    linear: bool = False
    _levels: list[Array] = field(default_factory=list)

    def level(self, number: int) -> Array:
        """The image halved so many times by means of 2x2 pixels."""
        if not self._levels:
            self._levels.append(_decoded(self.image) if self.linear else self.image)
        while len(self._levels) <= number:
            last = self._levels[-1]
            height, width = (max(side // 2, 1) for side in last.shape[:2])
            even = last[: 2 * height, : 2 * width]
            self._levels.append(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA))
        return self._levels[number]

    def prepare(self, crop: CropCamera, *, antialias: bool = True) -> None:
        """Make the copy that cut() will take: before several threads do."""
        self.level(_halvings(crop, 1) if antialias else 0)

    def cut(
        self, crop: CropCamera, *, antialias: bool = True, oversampling: int = 1, gamma: float = 1.0
    ) -> Array:
        """(size, size, 3) uint8, black outside the image.

        antialias: take a smaller copy if the crop shrinks the image. oversampling: render so many
        times larger and average. gamma: of the result, if `linear`.
        """
        number = _halvings(crop, oversampling) if antialias else 0
        image = self.level(number)
        size = crop.size * oversampling
        K = _scaling(1 / 2**number) @ crop.camera.K
        inverse = crop.inverse
        if oversampling > 1:
            inverse = inverse @ _scaling(1 / oversampling)
        if not crop.camera.straight:
            map1, map2 = _distorted(crop, size, K, inverse)
            out = cv2.remap(image, map1, map2, cv2.INTER_LINEAR)
        else:
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            homography = K @ crop.R.T @ inverse
            out = cv2.warpPerspective(image, homography, (size, size), flags=flags)
        if oversampling > 1:
            out = cv2.resize(out, (crop.size, crop.size), interpolation=cv2.INTER_AREA)
        return np.asarray(_encoded(out, gamma) if self.linear else out)


def _halvings(crop: CropCamera, oversampling: int) -> int:
    # How many crop pixels a pixel of the image becomes.
    scale = crop.K[0, 0] / crop.camera.K[0, 0] * oversampling
    return int(np.clip(np.floor(-np.log2(scale)), 0, _LEVELS - 1))


def _rays(camera: Camera, pixels: Array) -> Array:
    """(N, 3) rays; z = 1, of a fisheye length 1.

    Where the distortion has no inverse it is left out; of a fisheye, the outermost ray is taken.
    """
    if camera.fisheye:
        return camera.directions(pixels, nearest=True)
    rays = camera.rays(pixels)
    finite = np.isfinite(rays)
    if not finite.all():
        rays = np.where(finite, rays, Camera(K=camera.K, size=camera.size).rays(pixels))
    return np.column_stack([rays, np.ones(len(pixels))])


def _turned(right: Array, forward: Array) -> Array:
    length = float(np.linalg.norm(right))
    if length < 1e-6:
        # Looking straight up or down.
        right = np.array([forward[2], 0.0, -forward[0]])
        length = float(np.linalg.norm(right))
        if length < 1e-6:
            right, length = np.array([1.0, 0.0, 0.0]), 1.0
    right = right / length
    return np.stack([right, _cross(forward, right), forward])


def _cross(a: Array, b: Array | tuple[float, ...]) -> Array:
    """Of two vectors (3,); NumPy's takes ten times as long."""
    return np.array(
        [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
    )


def _pixels(K: Array, xyz: Array) -> Array:
    uvw = xyz @ K.T
    return np.asarray(uvw[:, :2] / uvw[:, 2:])


def _scaling(factor: float) -> Array:
    """Pixels of an image scaled about its corner, centres of pixels at integers."""
    shift = (factor - 1) / 2
    return np.array([[factor, 0, shift], [0, factor, shift], [0, 0, 1]])


def _distorted(crop: CropCamera, size: int, K: Array, inverse: Array) -> tuple[Array, Array]:
    """Two maps for cv2.remap, whole pixels and 1/32 of them: where the crop's pixels come from.

    K: of the image or its smaller copy. inverse: of the crop's K.
    """
    camera = crop.camera
    half = abs(inverse[0, 0]) * size / 2
    step = next((pixels for widest, pixels in _STEPS.items() if half <= widest), 0)
    to_rays = inverse.T @ crop.R
    low, high = -step, size + step
    corners = np.array([(low, low, 1), (high, low, 1), (low, high, 1), (high, high, 1.0)])
    x, y, z = to_rays.T @ corners.T
    # In front of the camera, and smooth.
    if step and z.min() > 0 and (np.hypot(x, y) / z).max() <= camera.smooth_ray:
        cells = -(-size // step) + 2
        # Where cv2.resize puts the values of its source, with a margin that it would extrapolate.
        shift = 0.5 / step + 0.5
        to_cells = np.array([[1 / step, 0, shift], [0, 1 / step, shift], [0, 0, 1]])
        module = cv2.fisheye if camera.fisheye else cv2
        nodes = module.initUndistortRectifyMap(  # type: ignore[attr-defined]
            K, camera.D, crop.R, to_cells @ np.linalg.inv(inverse), (cells, cells), cv2.CV_32FC1
        )
        side = (cells * step, cells * step)
        points = [
            cv2.resize(axis, side, interpolation=cv2.INTER_LINEAR)[
                step : step + size, step : step + size
            ]
            for axis in nodes
        ]
    else:
        y, x = np.mgrid[:size, :size].reshape(2, -1)
        rays = np.stack([x, y, np.ones(x.size)], axis=1) @ to_rays
        pixels = replace(camera, K=K).project(rays)
        pixels = np.nan_to_num(pixels, nan=-_FAR_PX).clip(-_FAR_PX, _FAR_PX).astype(np.float32)
        points = [pixels[:, axis].reshape(size, size) for axis in (0, 1)]
    return cv2.convertMaps(*points, cv2.CV_16SC2)  # type: ignore[call-overload,no-any-return]


@lru_cache(maxsize=1)
def _light() -> Array:
    return ((np.arange(256) / 255.0) ** 2.2).astype(np.float32)


def _decoded(image: Array) -> Array:
    return _light()[image]


def _encoded(light: Array, gamma: float) -> Array:
    return np.asarray(np.rint(255 * np.clip(light, 0, 1) ** (gamma / 2.2)).astype(np.uint8))
