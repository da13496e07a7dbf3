# SPDX-License-Identifier: Apache-2.0
"""Pinhole cameras with distortion, and fisheye cameras.

Optical frame: x right, y down, z forward (REP-103). A pixel of a pinhole camera is
u = fx * x / z + cx after distortion. That of a fisheye camera (equidistant) lies, before its
distortion, f * theta from the principal point, theta being the angle to the axis: it has a pixel
for points beside and behind the camera, which have no x/z. The centre of the top-left pixel is
(0, 0).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .calibration_file import read_calibration
from .errors import InputError

Array = NDArray[Any]

_PINHOLE = (0, 4, 5, 8, 12, 14)  # coefficients that OpenCV's order makes unambiguous
# Models by the names that drivers and calibrators have for them: name of sensor_msgs/CameraInfo,
# and how many coefficients there may be.
_MODELS: dict[str, tuple[str, tuple[int, ...]]] = {
    '': ('', (0,)),
    'none': ('', (0,)),
    'plumb_bob': ('plumb_bob', _PINHOLE),
    'rational_polynomial': ('rational_polynomial', _PINHOLE),
    'radtan': ('plumb_bob', (0, 4, 5)),
    'brown_conrady': ('plumb_bob', (0, 4, 5)),
    'modified_brown_conrady': ('plumb_bob', (0, 5)),
    'inverse_brown_conrady': ('plumb_bob', (0, 5)),
    'equidistant': ('equidistant', (0, 4)),
    'equi': ('equidistant', (0, 4)),
    'fisheye': ('equidistant', (0, 4)),
    'kannala_brandt4': ('equidistant', (0, 4)),
}


@dataclass(frozen=True, eq=False)
class Camera:
    """Calibration of one camera.

    K: (3, 3) pixels. size: width, height in pixels. model, D: distortion as in
    sensor_msgs/CameraInfo (plumb_bob, rational_polynomial, equidistant, or none), or by another
    name for the same. D is empty without distortion, and (4,) of an equidistant camera.
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
        model, D = _distortion(self.model, D)
        object.__setattr__(self, 'model', model)
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
        """Read a calibration file of ROS, OpenCV, Kalibr or COLMAP: read_calibration()."""
        read = read_calibration(path)
        try:
            return cls(K=read.K, size=read.size, model=read.model, D=read.D)
        except InputError as error:
            raise InputError(f'{path}: {error}') from error

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
            remedy = (
                'calibrate the turned images, or let the driver publish them as the sensor has '
                'them and set image_rotation'
                if size == self.size[::-1]
                else 'if the sensor mode crops, give the roi in camera_info, or calibrate this mode'
            )
            raise InputError(
                f'the calibration is for {self.size[0]}x{self.size[1]}, '
                f'the image is {size[0]}x{size[1]}: another aspect ratio; {remedy}'
            )
        scale = np.array([[sx, 0, (sx - 1) / 2], [0, sy, (sy - 1) / 2], [0, 0, 1]])
        return replace(self, K=scale @ self.K, size=size)

    def turned(self, degrees: int) -> Camera:
        """Camera of the image turned clockwise by 0, 90, 180 or 270 degrees.

        Raises InputError for a sensor that is tilted against its lens (coefficients 13 and 14).
        """
        if np.any(self.D[12:]):
            raise InputError('images cannot be turned whose calibration has a tilt (D[12], D[13])')
        R, D = turned_rotation(degrees), self.D.copy()
        if not self.fisheye:
            # Tangential and thin prism distortion shift along vectors; the rest is radial.
            for first, second in ((3, 2), (8, 10), (9, 11)):
                if second < len(D):
                    D[[first, second]] = R[:2, :2] @ D[[first, second]]
        K = self.K @ R.T
        K[:2, :2] = R[:2, :2] @ K[:2, :2]
        K[:2, 2] = turned_pixels(self.K[:2, 2], self.size, degrees)
        size = self.size if degrees % 180 == 0 else self.size[::-1]
        return replace(self, K=K, D=D, size=size)

    @property
    def focal(self) -> float:
        """Mean focal length in pixels."""
        return float(np.sqrt(self.K[0, 0] * self.K[1, 1]))

    @property
    def oddity(self) -> str:
        """What makes it unlikely to be the calibration of a camera, empty if nothing does."""
        width, height = self.size
        odd = [
            f'{name} is {focal:g} pixels, the image {width} wide'
            for name, focal in (('fx', self.K[0, 0]), ('fy', self.K[1, 1]))
            if not width / 10 <= focal <= width * 20
        ]
        cx, cy = self.K[0, 2], self.K[1, 2]
        if not (0 <= cx < width and 0 <= cy < height):
            odd.append(f'the principal point ({cx:g}, {cy:g}) is outside {width}x{height}')
        return '; '.join(odd)

    @property
    def fisheye(self) -> bool:
        """Whether pixels go by the angle to the axis (equidistant) instead of by x/z."""
        return self.model == 'equidistant'

    @property
    def straight(self) -> bool:
        """Whether straight lines are straight in the image: a pinhole without distortion."""
        return not self.fisheye and not len(self.D)

    def rays(self, pixels: Array) -> Array:
        """(N, 2) undistorted x/z, y/z of (N, 2) pixels; NaN where there is none, and for NaN.

        There is none beyond 90 degrees from the axis: directions() has those.
        """
        pixels = np.asarray(pixels, dtype=float).reshape(-1, 2)
        if self.straight:
            return np.asarray(pixels @ self._inverse[:2, :2].T + self._inverse[:2, 2])
        if self.fisheye:
            directions = self.directions(pixels)
            directions[~(directions[:, 2] > 1e-6)] = np.nan
            return np.asarray(directions[:, :2] / directions[:, 2:])
        out = np.full(pixels.shape, np.nan)
        good = np.isfinite(pixels).all(axis=1)
        if not good.any():
            return out
        points = np.ascontiguousarray(pixels[good][:, None])
        criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 1e-10)
        out[good] = _undistort(points, self.K, self.D, criteria)[:, 0]
        # Far outside the image the distortion polynomial folds back; such points have no ray.
        back = self.project(np.column_stack([out, np.ones(len(out))]))
        fits = np.abs(back - pixels).max(axis=1) <= 1.0
        fits &= np.hypot(out[:, 0], out[:, 1]) <= self.widest_ray
        out[~fits] = np.nan
        return out

    def directions(self, pixels: Array, *, nearest: bool = False) -> Array:
        """(N, 3) unit vectors to (N, 2) pixels, behind the camera too if it is a fisheye.

        NaN for what the lens cannot show; nearest: a fisheye's outermost direction instead.
        """
        if not self.fisheye:
            rays = self.rays(pixels)
            directions = np.column_stack([rays, np.ones(len(rays))])
            return np.asarray(directions / np.linalg.norm(directions, axis=1, keepdims=True))
        pixels = np.asarray(pixels, dtype=float).reshape(-1, 2)
        x, y = (pixels @ self._inverse[:2, :2].T + self._inverse[:2, 2]).T
        r = np.hypot(x, y)
        angles, distances = self._angles
        if nearest:
            r = np.minimum(r, distances[-1])
        angle = np.interp(r, distances, angles, right=np.nan)
        for _ in range(3):
            slope = np.maximum(_bent_slope(angle, self.D), 1e-3)
            angle = (angle - (_bent(angle, self.D) - r) / slope).clip(0, angles[-1])
        length = np.hypot(x, y)
        aside = np.sin(angle) / np.where(length > 0, length, 1.0)
        return np.column_stack([x * aside, y * aside, np.cos(angle)])

    @cached_property
    def _angles(self) -> tuple[Array, Array]:
        """Of a fisheye: angles to the axis up to where it shows nothing more, and their r / f."""
        angles = np.linspace(0, np.pi, 4001)
        distances = _bent(angles, self.D)
        folds = np.flatnonzero(np.diff(distances) <= 0)
        end = int(folds[0]) + 1 if len(folds) else len(angles)
        return angles[:end], distances[:end]

    @cached_property
    def _inverse(self) -> Array:
        return np.asarray(np.linalg.inv(self.K))

    @cached_property
    def widest_ray(self) -> float:
        """Distance of a ray from the axis, in x/z, up to which the distortion is one to one."""
        if self.fisheye:
            widest = float(self._angles[0][-1])
            return float(np.tan(widest)) if widest < np.pi / 2 else np.inf
        r, distorted = self._profile
        folds = np.flatnonzero(np.diff(distorted) <= 0)
        return float(r[folds[0]]) if len(folds) else np.inf

    @cached_property
    def smooth_ray(self) -> float:
        """Distance up to which it is one to one, and no further away than 10 000 pixels."""
        if self.fisheye:
            return min(self.widest_ray, 100.0)  # of 90 degrees there is no x/z, but a pixel
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
        """(N, 2) pixels of (N, 3) points in the optical frame; NaN where the lens shows nothing.

        That is behind the camera, except for a fisheye.
        """
        xyz = np.asarray(xyz, dtype=float).reshape(-1, 3)
        if self.fisheye:
            return self._project_fisheye(xyz)
        out = np.full((len(xyz), 2), np.nan)
        good = np.isfinite(xyz).all(axis=1) & (xyz[:, 2] > 1e-6)
        if not good.any():
            return out
        if self.straight:
            uvw = xyz[good] @ self.K.T
            out[good] = uvw[:, :2] / uvw[:, 2:]
            return out
        points = np.ascontiguousarray(xyz[good][:, None])
        zero = np.zeros(3)
        projected, _ = cv2.projectPoints(points, zero, zero, self.K, self.D)
        out[good] = projected[:, 0]
        return out

    def _project_fisheye(self, xyz: Array) -> Array:
        aside = np.hypot(xyz[:, 0], xyz[:, 1])
        angle = np.arctan2(aside, xyz[:, 2])
        angle[angle > self._angles[0][-1]] = np.nan
        # Straight behind, every side is as near.
        angle[(aside == 0) & ~(xyz[:, 2] > 0)] = np.nan
        scale = _bent(angle, self.D) / np.where(aside > 0, aside, 1.0)
        return np.asarray((xyz[:, :2] * scale[:, None]) @ self.K[:2, :2].T + self.K[:2, 2])


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
        rays = self.camera.directions(pixels) @ self.R.T
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


def turned_rotation(degrees: int) -> Array:
    """(3, 3) x_turned = R @ x, of optical frames, for an image turned clockwise."""
    cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[degrees // 90]
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]], dtype=float)


def turned_pixels(pixels: Array, size: tuple[int, int], degrees: int) -> Array:
    """(..., 2) pixels of an image of that width and height, in the image turned clockwise."""
    middle = (np.array(size) - 1) / 2
    after = middle if degrees % 180 == 0 else middle[::-1]
    return np.asarray((pixels - middle) @ turned_rotation(degrees)[:2, :2].T + after)


@lru_cache(maxsize=16)
def _assumed(focal_px: float, size: tuple[int, int]) -> Camera:
    return Camera.assume(focal_px, size)


def _distortion(model: str, D: Array) -> tuple[str, Array]:
    """Model by the name that sensor_msgs/CameraInfo has for it, and its coefficients.

    Raises InputError if name and number of coefficients do not say what is meant.
    """
    name = model.strip().lower().replace(' ', '_').replace('-', '_')
    if name not in _MODELS:
        names = ', '.join(m for m in _MODELS if m)
        raise InputError(f'distortion model {model!r} is unknown; known: {names}')
    standard, counts = _MODELS[name]
    if standard == 'equidistant':
        if len(D) not in counts:
            raise InputError(f'{model} has 4 coefficients, not {len(D)}')
        # Without distortion it is no pinhole: r = f * theta.
        return standard, D if len(D) else np.zeros(4)
    if not np.any(D):
        return standard, np.zeros(0)
    if len(D) not in counts:
        raise InputError(
            f'{model or "no distortion model"} has {counts} coefficients, not {len(D)}'
        )
    if name == 'inverse_brown_conrady':
        raise InputError(f'{model} is supported without distortion only, not with D = {D.tolist()}')
    if name == 'modified_brown_conrady' and np.any(D[2:4]):
        # It shifts sideways after the radial distortion: another formula than plumb_bob.
        raise InputError(f'{model} is supported without tangential distortion only (D[2], D[3])')
    return ('rational_polynomial' if len(D) > 5 else 'plumb_bob'), D


def _bent(angle: Array, D: Array) -> Array:
    """Of a fisheye, r / f at angles to the axis."""
    s = angle * angle
    return np.asarray(angle * (1 + s * (D[0] + s * (D[1] + s * (D[2] + s * D[3])))))


def _bent_slope(angle: Array, D: Array) -> Array:
    s = angle * angle
    terms = 1 + s * (3 * D[0] + s * (5 * D[1] + s * (7 * D[2] + s * 9 * D[3])))
    return np.asarray(terms)


def _undistort(points: Array, K: Array, D: Array, criteria: tuple[int, int, float]) -> Array:
    """Normalised points (N, 1, 2), iterated until they fit: the name of it changed in OpenCV 5."""
    if hasattr(cv2, 'undistortPointsIter'):
        return np.asarray(cv2.undistortPointsIter(points, K, D, None, None, criteria))
    return np.asarray(cv2.undistortPoints(points, K, D, criteria=criteria))
