# SPDX-License-Identifier: Apache-2.0
"""Pinhole cameras with distortion.

Optical frame: x right, y down, z forward (REP-103). A pixel is u = fx * x / z + cx after
distortion; the centre of the top-left pixel is (0, 0).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from .errors import InputError

Array = NDArray[Any]

# Names of sensor_msgs/CameraInfo and the coefficients they may have.
_COEFFICIENTS = {
    '': (0,),
    'none': (0,),
    'plumb_bob': (0, 4, 5),
    'rational_polynomial': (8, 12, 14),
    'equidistant': (4,),
}


@dataclass(frozen=True, eq=False)
class Camera:
    """Calibration of one camera.

    K: (3, 3) pixels. size: width, height in pixels. model, D: distortion as in
    sensor_msgs/CameraInfo (plumb_bob, rational_polynomial, equidistant, or none).
    """

    K: Array
    size: tuple[int, int]
    model: str = ''
    D: Array = field(default_factory=lambda: np.zeros(0))
    assumed: bool = False
    """The focal length is a guess that the user made, not a calibration."""

    def __post_init__(self) -> None:
        K, D = np.asarray(self.K, dtype=float), np.asarray(self.D, dtype=float).ravel()
        if K.shape != (3, 3) or not np.isfinite(K).all() or not np.isfinite(D).all():
            raise InputError('camera matrix and distortion must be finite numbers, K of shape 3x3')
        if K[0, 0] <= 0 or K[1, 1] <= 0 or abs(K[2, 2] - 1) > 1e-6:
            raise InputError(f'not a camera matrix (fx {K[0, 0]:g}, fy {K[1, 1]:g})')
        if not np.any(D):
            D = np.zeros(0)
        elif self.model not in _COEFFICIENTS:
            raise InputError(
                f'distortion model {self.model!r} is unknown; known: '
                f'{", ".join(m for m in _COEFFICIENTS if m)}'
            )
        elif len(D) not in _COEFFICIENTS[self.model]:
            raise InputError(
                f'{self.model or "no distortion model"} has '
                f'{_COEFFICIENTS[self.model]} coefficients, not {len(D)}'
            )
        object.__setattr__(self, 'K', K)
        object.__setattr__(self, 'D', D)

    @classmethod
    def from_info(
        cls,
        *,
        K: Sequence[float],
        D: Sequence[float],
        P: Sequence[float],
        model: str,
        size: tuple[int, int],
        image_size: tuple[int, int],
        binning: tuple[int, int] = (0, 0),
        roi: tuple[int, int, int, int] = (0, 0, 0, 0),
        rectified: bool = False,
    ) -> Camera | None:
        """Camera of an image from the fields of a sensor_msgs/CameraInfo (REP-104).

        size: of the calibration; image_size: of the image at hand; binning: x, y; roi: x offset,
        y offset, width, height. Returns None if uncalibrated (K[0] is 0).

        Raises InputError if the numbers make no sense or fit no image of that size.
        """
        matrix = np.asarray(K, dtype=float).reshape(3, 3)
        if rectified and np.any(np.asarray(P, dtype=float)):
            matrix = np.asarray(P, dtype=float).reshape(3, 4)[:, :3]
        if matrix[0, 0] == 0:
            return None
        camera = cls(
            K=matrix,
            size=size if all(size) else image_size,
            model='' if rectified else model,
            D=np.zeros(0) if rectified else np.asarray(D, dtype=float),
        )
        if any(roi[:2]) or (roi[2] and roi[3] and roi[2:] != camera.size):
            camera = camera.cropped(roi[0], roi[1], roi[2], roi[3])
        if max(binning) > 1:
            # A binned pixel is the mean of a block: centres move by half a block less half a pixel.
            bx, by = max(binning[0], 1), max(binning[1], 1)
            camera = camera.resized((camera.size[0] // bx, camera.size[1] // by))
        return camera.resized(image_size)

    @classmethod
    def assume(cls, focal_px: float, size: tuple[int, int]) -> Camera:
        """Camera with the image centre as principal point and a focal length the user named."""
        width, height = size
        K = np.array([[focal_px, 0, (width - 1) / 2], [0, focal_px, (height - 1) / 2], [0, 0, 1.0]])
        return cls(K=K, size=size, assumed=True)

    @classmethod
    def load(cls, path: str | Path) -> Camera:
        """Read a calibration file as camera_calibration and camera_info_manager write it."""
        try:
            content = yaml.safe_load(Path(path).read_text(encoding='utf-8'))
            size = int(content['image_width']), int(content['image_height'])
            K = np.asarray(content['camera_matrix']['data'], dtype=float).reshape(3, 3)
            model = str(content.get('distortion_model', ''))
            D = content.get('distortion_coefficients', {}).get('data', [])
            return cls(K=K, size=size, model=model, D=np.asarray(D, dtype=float))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise InputError(f'cannot read the calibration {path}: {error}') from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f'{path} is not a camera calibration (image_width, image_height, camera_matrix, '
                f'distortion_model, distortion_coefficients): {error!r}'
            ) from error

    def cropped(self, x: int, y: int, width: int, height: int) -> Camera:
        """Camera of the part of the image that begins at pixel (x, y)."""
        K = self.K.copy()
        K[0, 2] -= x
        K[1, 2] -= y
        size = (width or self.size[0] - x, height or self.size[1] - y)
        return replace(self, K=K, size=size)

    def resized(self, size: tuple[int, int]) -> Camera:
        """Camera of the whole image scaled to another size.

        Raises InputError if the aspect ratio differs by more than a pixel's rounding.
        """
        if size == self.size:
            return self
        sx, sy = size[0] / self.size[0], size[1] / self.size[1]
        if abs(sx / sy - 1) > 2 / min(*size, *self.size):
            raise InputError(
                f'the calibration is for {self.size[0]}x{self.size[1]}, '
                f'the image is {size[0]}x{size[1]}: another aspect ratio'
            )
        scale = np.array([[sx, 0, (sx - 1) / 2], [0, sy, (sy - 1) / 2], [0, 0, 1]])
        return replace(self, K=scale @ self.K, size=size)

    @property
    def focal(self) -> float:
        """Mean focal length in pixels."""
        return float(np.sqrt(self.K[0, 0] * self.K[1, 1]))

    def rays(self, pixels: Array) -> Array:
        """(N, 2) undistorted x/z, y/z of (N, 2) pixels; NaN stays NaN."""
        pixels = np.asarray(pixels, dtype=float).reshape(-1, 2)
        if not len(self.D):
            return np.asarray(pixels @ self._inverse[:2, :2].T + self._inverse[:2, 2])
        out = np.full(pixels.shape, np.nan)
        good = np.isfinite(pixels).all(axis=1)
        if not good.any():
            return out
        points = np.ascontiguousarray(pixels[good][:, None])
        criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 1e-10)
        if self.model == 'equidistant':
            found = cv2.fisheye.undistortPoints(points, self.K, self.D, criteria=criteria)
        else:
            found = _undistort(points, self.K, self.D, criteria)
        out[good] = found[:, 0]
        # Far outside the image the distortion polynomial folds back; such points have no ray.
        back = self.project(np.column_stack([out, np.ones(len(out))]))
        fits = np.abs(back - pixels).max(axis=1) <= 1.0
        fits &= np.hypot(out[:, 0], out[:, 1]) <= self.widest_ray
        out[~fits] = np.nan
        return out

    @cached_property
    def _inverse(self) -> Array:
        return np.asarray(np.linalg.inv(self.K))

    @cached_property
    def widest_ray(self) -> float:
        """Distance of a ray from the axis, in x/z, up to which the distortion is one to one."""
        if self.model == 'equidistant':
            return np.inf
        r, distorted = self._profile
        folds = np.flatnonzero(np.diff(distorted) <= 0)
        return float(r[folds[0]]) if len(folds) else np.inf

    @cached_property
    def smooth_ray(self) -> float:
        """Distance up to which it is one to one, and no further away than 10 000 pixels."""
        if self.model == 'equidistant':
            return 100.0  # of 90 degrees there is no x/z, but a pixel
        r, distorted = self._profile
        near = r[np.maximum.accumulate(distorted * self.focal) < 1e4]
        return min(self.widest_ray, float(near[-1]))

    @cached_property
    def _profile(self) -> tuple[Array, Array]:
        """Distances from the axis in x/z, before and after distortion."""
        k = np.zeros(8)
        count = min(len(self.D), 8)
        k[:count] = self.D[:count]
        r = np.linspace(0, 10, 4001)
        s = r * r
        above = 1 + s * (k[0] + s * (k[1] + s * k[4]))
        below = 1 + s * (k[5] + s * (k[6] + s * k[7]))
        return r, r * above / below

    def project(self, xyz: Array) -> Array:
        """(N, 2) pixels of (N, 3) points in the optical frame; NaN behind the camera."""
        xyz = np.asarray(xyz, dtype=float).reshape(-1, 3)
        out = np.full((len(xyz), 2), np.nan)
        good = np.isfinite(xyz).all(axis=1) & (xyz[:, 2] > 1e-6)
        if not good.any():
            return out
        if not len(self.D):
            uvw = xyz[good] @ self.K.T
            out[good] = uvw[:, :2] / uvw[:, 2:]
            return out
        points = np.ascontiguousarray(xyz[good][:, None])
        zero = np.zeros(3)
        if self.model == 'equidistant':
            found, _ = cv2.fisheye.projectPoints(points, zero, zero, self.K, self.D)
        else:
            found, _ = cv2.projectPoints(points, zero, zero, self.K, self.D)
        out[good] = found[:, 0]
        return out


@dataclass(frozen=True, eq=False)
class CropCamera:
    """A camera at the place of another one, looking at a person.

    K: (3, 3) pixels. R: (3, 3), x_crop = R @ x_camera; of determinant -1 if mirrored. size: of the
    square crop in pixels. camera: that of the image.
    """

    K: Array
    R: Array
    size: int
    camera: Camera

    @property
    def mirrored(self) -> bool:
        """Whether left and right are swapped."""
        return bool(np.linalg.det(self.R) < 0)

    def to_camera(self, xyz: Array) -> Array:
        """(..., 3) points or directions along the axes of the image's camera."""
        return np.asarray(xyz @ self.R)

    def rays(self, pixels: Array) -> Array:
        """(N, 2) x/z, y/z along the crop's axes of its pixels (N, 2)."""
        return np.asarray(pixels @ self.inverse[:2, :2].T + self.inverse[:2, 2])

    @cached_property
    def inverse(self) -> Array:
        """(3, 3) of K."""
        return np.asarray(np.linalg.inv(self.K))

    def to_image(self, pixels: Array) -> Array:
        """(N, 2) pixels of the image for pixels (N, 2) of the crop."""
        rays = np.column_stack([self.rays(pixels), np.ones(len(pixels))])
        return self.camera.project(rays @ self.R)

    def from_image(self, pixels: Array) -> Array:
        """(N, 2) pixels of the crop for pixels (N, 2) of the image; NaN where there is no ray."""
        rays = np.column_stack([self.camera.rays(pixels), np.ones(len(pixels))]) @ self.R.T
        with np.errstate(divide='ignore', invalid='ignore'):
            out = (rays @ self.K.T)[:, :2] / rays[:, 2:]
        out[~(rays[:, 2] > 1e-6)] = np.nan
        return np.asarray(out)


def camera_for(
    size: tuple[int, int], calibrated: Camera | None, focal_px: float
) -> tuple[Camera | None, str]:
    """The camera of images of that width and height, and why the calibrated one is not used.

    Without a usable calibration one of that focal length is assumed; 0: none is.
    """
    problem = ''
    if calibrated is not None:
        try:
            return calibrated.resized(size), ''
        except InputError as error:
            problem = str(error)
    return (_assumed(focal_px, size) if focal_px else None), problem


@lru_cache(maxsize=16)
def _assumed(focal_px: float, size: tuple[int, int]) -> Camera:
    return Camera.assume(focal_px, size)


def _undistort(points: Array, K: Array, D: Array, criteria: tuple[int, int, float]) -> Array:
    """Normalised points (N, 1, 2), iterated until they fit: the name of it changed in OpenCV 5."""
    if hasattr(cv2, 'undistortPointsIter'):
        return np.asarray(cv2.undistortPointsIter(points, K, D, None, None, criteria))
    return np.asarray(cv2.undistortPoints(points, K, D, criteria=criteria))
