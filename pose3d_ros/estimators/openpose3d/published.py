# SPDX-License-Identifier: Apache-2.0
"""What the two published programs make of the network's maps, faults included.

The demo of Open Model Zoo, and the stand-alone program of the network's authors. Slots and cells
are those of networks.openpose3d.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ...backends import Tensors
from ...networks.openpose3d import PELVIS, SLOTS, STRIDE, read
from ...networks.openpose3d_people import People2D, extract
from ...people.filters import OneEuro, OneEuroSettings
from ...settings.pipeline import PipelineConfig
from ...skeleton import SKELETONS
from ...types import Array, Frame, JointStatus, Pose3D, PositionSource, TrackingState

FOCAL_SHARE = 0.8
"""Focal length in image widths that is taken for cameras without calibration."""

# Slot of each heat map. The published table swaps eyes and ears, and pairs 2D and 3D wrongly.
PUBLISHED_SLOTS = np.array([1, 0, 9, 10, 11, 3, 4, 5, 12, 13, 14, 6, 7, 8, 15, 16, 17, 18])


@dataclass(frozen=True)
class Published:
    """poses_3d: (P, 76) cm, 19 x (X, Y, Z, score). poses_2d: (P, 58), 19 x (x, y, score), person.

    relative: (P, 19, 3) and translation: (P, 3), whose sum the first is.
    """

    poses_3d: Array
    poses_2d: Array
    relative: Array
    translation: Array


def published(
    people: People2D, features: Array, scale: float, focal_px: float, program: str
) -> Published:
    """The rows that the published programs give out, faults included.

    scale: of the input. focal_px: of the frame. program: `standalone`, with whole pixels and -1 for
    what is missing, or `demo`, with fractions and odd coordinates for what is missing.
    """
    kept = np.flatnonzero(~np.isnan(people.score[:, 1]))
    people = people.only(kept)
    readout = read(people, features, PUBLISHED_SLOTS)
    count = len(kept)
    relative = readout.relative * 180.0
    score = np.nan_to_num(readout.score, nan=-1.0)
    height, width = features.shape[1:]
    focal = focal_px * scale / STRIDE
    translation = np.zeros((count, 3))
    for k in range(count):
        valid = score[k] != -1
        p = readout.cells[k, valid] - (width / 2, height / 2)
        P = relative[k, valid]
        mean_p, mean_P = p.mean(axis=0), P.mean(axis=0)
        spread = np.sqrt(((p - mean_p) ** 2).sum())
        S = np.sqrt(((P - mean_P)[:, :2] ** 2).sum()) / max(float(spread), 1e-9)
        translation[k] = S * np.array([*mean_p, focal]) - (mean_P[0], mean_P[1], 0)
    xyz = relative + translation[:, None]
    poses_3d = np.concatenate([xyz, score[..., None]], axis=2).reshape(count, SLOTS * 4)
    factor = STRIDE / scale
    pixels = readout.cells * factor
    missing = np.isnan(pixels[..., 0])
    if program == 'standalone':
        pixels = np.trunc(np.nan_to_num(pixels, nan=-1.0))
    else:
        pixels[missing] = -0.25 * factor
    pixels[:, PELVIS] = -1
    person = people.total * np.maximum(0, people.count - 1)
    poses_2d = np.concatenate([pixels, score[..., None]], axis=2).reshape(count, SLOTS * 3)
    return Published(poses_3d, np.column_stack([poses_2d, person]), relative, translation)


# Keypoint sigmas for a body order that has no pelvis: from slot 2 on they are off by one joint.
_TORSO = (0.79, 0.26, 0.79, 0.72, 0.62, 1.07, 0.87, 0.89, 0.79, 0.72, 0.62, 1.07, 0.87, 0.89)
_SIGMAS = 0.2 * np.array([*_TORSO, 0.25, 0.25, 0.35, 0.35])
_SMOOTH = OneEuroSettings(1.0, 0.01)
_FRAME_NS = 12_500_000  # the published filters believe in 80 frames per second


@dataclass
class _Track:
    """A person of the last frame. box: x, y, width, height."""

    id: int
    points: Array
    valid: Array
    area: float
    filter: OneEuro


class PublishedTracker:
    """Ids and smoothed translations as the published programs give them."""

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._next, self._frame = 0, 0

    def update(self, result: Published, program: str) -> tuple[list[int], Published]:
        """Ids from 0 on, and the poses with their translations smoothed."""
        self._frame += 1
        rows = result.poses_2d[:, :-1].reshape(-1, SLOTS, 3)[:, :18]
        current: list[_Track | None] = [None] * len(rows)
        free = list(self._tracks)
        for k in np.argsort(-result.poses_2d[:, -1], kind='stable').tolist():
            points = np.trunc(rows[k, :, :2])
            # One program looks at the score, the other at a coordinate that is never -1.
            valid = rows[k, :, 2] != -1 if program == 'standalone' else points[:, 0] != -1
            visible = points[valid]
            width, height = visible.max(axis=0) - visible.min(axis=0) + 1
            area = float(width * height)
            best, most = None, 0
            for other in free:
                common = _similar(points, valid, area, other)
                if common > most:
                    best, most = other, common
            if best is not None and most >= 3:
                free.remove(best)
                person = _Track(best.id, points, valid, area, best.filter)
            else:
                person = _Track(self._next, points, valid, area, OneEuro(_SMOOTH))
                self._next += 1
            current[k] = person
        people = [person for person in current if person is not None]
        self._tracks = people
        translation = np.array(
            [
                person.filter(t, self._frame * _FRAME_NS)
                for person, t in zip(people, result.translation)
            ]
        ).reshape(-1, 3)
        poses_3d = result.poses_3d.reshape(-1, SLOTS, 4).copy()
        poses_3d[..., :3] = result.relative + translation[:, None]
        smooth = Published(
            poses_3d.reshape(len(people), SLOTS * 4), result.poses_2d, result.relative, translation
        )
        return [person.id for person in people], smooth


def _similar(points: Array, valid: Array, area: float, other: _Track) -> int:
    both = valid & other.valid
    distance = ((points[both] - other.points[both]) ** 2).sum(axis=1)
    size = max(area, other.area) + 2.2e-16
    return int((np.exp(-distance / (2 * size * _SIGMAS[both] ** 2)) > 0.5).sum())


def prepare_published(image: Array, base: int, program: str) -> tuple[Array, float]:
    """(H, W, 3) uint8 of a frame as the published programs cut it, and the input scale."""
    scale = base / image.shape[0]
    resized = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    rows, columns = resized.shape[:2]
    if program == 'demo':
        rows -= rows % STRIDE
    resized = resized[:rows, : columns - columns % STRIDE]
    return np.ascontiguousarray(resized), scale


class AsPublished:
    """Poses of frames, with the ids and filters of each source. program: see published()."""

    def __init__(self, config: PipelineConfig, program: str) -> None:
        self._config, self._program = config, program
        self._states: dict[str, tuple[PublishedTracker, float]] = {}

    def reset(self, source: str | None = None) -> None:
        """Forget the ids and filters of one source, or of all."""
        if source is None:
            self._states.clear()
        else:
            self._states.pop(source, None)

    def poses(self, frame: Frame, maps: Tensors, scale: float) -> list[Pose3D]:
        """People by the maps of one image. scale: of the network's input."""
        tracker, focal = self._states.get(frame.source) or (
            PublishedTracker(),
            self._focal(frame),
        )
        self._states[frame.source] = tracker, focal
        people = extract(maps['heatmaps'], maps['pafs'])
        result = published(people, maps['features'], scale, focal, self._program)
        ids: list[int | None] = [None] * len(result.poses_3d)
        if self._config.tracking:
            numbers, result = tracker.update(result, self._program)
            ids = list(numbers)
        return [_pose(result, k, number) for k, number in enumerate(ids)]

    def _focal(self, frame: Frame) -> float:
        if frame.camera is not None:
            return float(frame.camera.resized(frame.size).K[0, 0])
        return self._config.focal_length_px or FOCAL_SHARE * frame.size[0]


def _pose(result: Published, k: int, number: int | None) -> Pose3D:
    rows = result.poses_3d[k].reshape(-1, 4)
    flat = result.poses_2d[k, :-1].reshape(-1, 3)
    missing = flat[:, 2] == -1
    status = np.where(missing, JointStatus.INFERRED, JointStatus.MEASURED).astype(np.uint8)
    return Pose3D(
        skeleton=SKELETONS['panoptic_19'],
        xyz=rows[:, :3] / 100,
        confidence=np.where(missing, np.nan, rows[:, 3]),
        pixels=np.where(missing[:, None], np.nan, flat[:, :2]),
        status=status,
        position_source=PositionSource.ASSUMED,
        score=float(result.poses_2d[k, -1]),
        # Published ids begin at 0, which means none here.
        track_id=0 if number is None else number + 1,
        tracking_state=TrackingState.UNTRACKED if number is None else TrackingState.TRACKED,
    )
