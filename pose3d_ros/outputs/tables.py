# SPDX-License-Identifier: Apache-2.0
"""Poses as text: JSON lines with everything, CSV with one row per joint."""

from __future__ import annotations

import contextlib
import csv
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..skeleton import Skeleton, get_skeleton
from ..types import (
    Array,
    EstimatorInfo,
    Frame,
    FrameResult,
    JointStatus,
    Pose3D,
    PositionSource,
    TrackingState,
)
from . import Run
from .files import PartFile, StandardOutput, open_text, writing

FORMAT = 'pose3d-frames'
VERSION = 1
UNITS = {
    'xyz': 'metres, camera optical frame (x right, y down, z forward); from the camera, or from '
    "the skeleton's root if position_source is relative",
    'pixels': 'pixels, centre of the top-left pixel at 0, 0',
    'covariance': 'square metres, xx xy xz yy yz zz',
    'velocity': 'metres per second',
    'stamp_ns': 'nanoseconds',
}

# Decimals: micrometres, 1/1000 pixel.
_METRES, _PIXELS, _SHARE = 6, 3, 4
_UPPER = np.triu_indices(3)


class _TextFile:
    """A file that is written as text and closed or discarded as a whole."""

    def __init__(self, part: PartFile | StandardOutput) -> None:
        self._part, self._file = part, open_text(part)

    def close(self) -> None:
        """Finish the file."""
        with writing(self._part.target):
            self._file.close()
        self._part.commit()

    def discard(self) -> None:
        """Leave nothing behind."""
        # Closing writes what is buffered, and on a full disk that fails again.
        with contextlib.suppress(OSError):
            self._file.close()
        self._part.discard()


class JsonLines(_TextFile):
    """One line that explains the file, then one line per frame; `-` is standard output."""

    def __init__(
        self, path: str | Path, skeleton: Skeleton, info: EstimatorInfo, source: str
    ) -> None:
        super().__init__(PartFile(path) if str(path) != '-' else StandardOutput())
        self._line(
            {
                'format': FORMAT,
                'version': VERSION,
                'source': source,
                'estimator': {
                    'model': info.model,
                    'version': info.version,
                    'backend': info.backend,
                    'device': info.device,
                    'precision': info.precision,
                },
                'skeleton': {
                    'name': skeleton.name,
                    'joints': list(skeleton.names),
                    'parents': list(skeleton.parents),
                    'edges': [list(edge) for edge in skeleton.edges],
                },
                'units': UNITS,
                'status': {str(int(item)): item.name.lower() for item in JointStatus},
            }
        )

    @classmethod
    def open(cls, path: str, run: Run) -> JsonLines:
        """Of a run."""
        return cls(path, run.skeleton, run.info, run.source)

    def write(self, index: int, result: FrameResult) -> None:
        """Add a frame."""
        self._line(frame_record(index, result.frame, result.people))

    def _line(self, record: dict[str, Any]) -> None:
        with writing(self._part.target):
            self._file.write(json.dumps(record, separators=(',', ':'), allow_nan=False) + '\n')


class Csv(_TextFile):
    """One row per joint, person and frame; an empty field where there is no number."""

    COLUMNS = (
        *('frame', 'stamp_ns', 'source', 'track_id', 'score', 'position_source', 'joint'),
        *('x_m', 'y_m', 'z_m', 'pixel_x', 'pixel_y', 'confidence', 'status'),
        *('cov_xx', 'cov_xy', 'cov_xz', 'cov_yy', 'cov_yz', 'cov_zz', 'height_m'),
    )

    def __init__(self, path: str | Path) -> None:
        super().__init__(PartFile(path))
        self._writer = csv.writer(self._file, lineterminator='\n')
        with writing(path):
            self._writer.writerow(self.COLUMNS)

    @classmethod
    def open(cls, path: str, run: Run) -> Csv:
        """Of a run."""
        return cls(path)

    def write(self, index: int, result: FrameResult) -> None:
        """Add a frame."""
        frame, poses = result.frame, result.people
        rows = []
        for pose in poses:
            placed = pose.position_source.name.lower()
            score = _cell(pose.score, _SHARE)
            head = (index, frame.stamp_ns, frame.source, pose.track_id, score, placed)
            height, spread = _cell(pose.height_m, _METRES), pose.covariance
            for joint, name in enumerate(pose.skeleton.names):
                upper = np.full(6, np.nan) if spread is None else spread[joint][_UPPER]
                rows.append(
                    (
                        *head,
                        name,
                        *(_cell(v, _METRES) for v in pose.xyz[joint]),
                        *(_cell(v, _PIXELS) for v in pose.pixels[joint]),
                        _cell(pose.confidence[joint], _SHARE),
                        JointStatus(int(pose.status[joint])).name.lower(),
                        *(f'{v:.4g}' if np.isfinite(v) else '' for v in upper),
                        height,
                    )
                )
        with writing(self._part.target):
            self._writer.writerows(rows)


def frame_record(index: int, frame: Frame, poses: Sequence[Pose3D]) -> dict[str, Any]:
    """A frame and its people in plain Python; NaN becomes None."""
    width, height = frame.size
    return {
        'frame': index,
        'stamp_ns': frame.stamp_ns,
        'frame_id': frame.frame_id,
        'source': frame.source,
        'width': width,
        'height': height,
        'people': [pose_record(pose) for pose in poses],
    }


def pose_record(pose: Pose3D) -> dict[str, Any]:
    """Everything of a pose in plain Python; NaN becomes None."""
    spread = pose.covariance
    return {
        **({} if pose.cameras is None else {'cameras': [int(bits) for bits in pose.cameras]}),
        'skeleton': pose.skeleton.name,
        'track_id': pose.track_id,
        'tracking_state': pose.tracking_state.name.lower(),
        'position_source': pose.position_source.name.lower(),
        'placed_by': pose.placed_by,
        'score': _number(pose.score, _SHARE),
        'size_px': _number(pose.size_px, _PIXELS),
        'bone_quality': _number(pose.bone_quality, _SHARE),
        'height_m': _number(pose.height_m, _METRES),
        'root': _plain(pose.root, _METRES),
        'velocity': _plain(pose.velocity, _METRES),
        'xyz': _plain(pose.xyz, _METRES),
        'pixels': _plain(pose.pixels, _PIXELS),
        'confidence': _plain(pose.confidence, _SHARE),
        'status': [int(v) for v in pose.status],
        'covariance': None
        if spread is None
        else [[_significant(v) for v in matrix[_UPPER]] for matrix in spread],
    }


def pose_from_record(record: dict[str, Any]) -> Pose3D:
    """The pose that a record of a JSON lines file describes."""
    skeleton = get_skeleton(record['skeleton'])
    covariance = None
    if record['covariance'] is not None:
        upper = np.array(record['covariance'], dtype=float)
        covariance = np.empty((len(upper), 3, 3))
        covariance[:, _UPPER[0], _UPPER[1]] = upper
        covariance[:, _UPPER[1], _UPPER[0]] = upper
    return Pose3D(
        skeleton=skeleton,
        xyz=np.array(record['xyz'], dtype=float),
        confidence=np.array(record['confidence'], dtype=float),
        pixels=np.array(record['pixels'], dtype=float),
        status=np.array(record['status'], dtype=np.uint8),
        covariance=covariance,
        position_source=PositionSource[record['position_source'].upper()],
        score=_nan_if_none(record['score']),
        size_px=_nan_if_none(record['size_px']),
        bone_quality=_nan_if_none(record.get('bone_quality')),
        height_m=_nan_if_none(record.get('height_m')),
        placed_by=record.get('placed_by', ''),
        track_id=record['track_id'],
        tracking_state=TrackingState[record['tracking_state'].upper()],
        velocity=np.array(record['velocity'], dtype=float),
        cameras=np.array(record['cameras'], dtype=np.uint32) if 'cameras' in record else None,
    )


def _nan_if_none(value: float | None) -> float:
    return math.nan if value is None else value


def read_json_lines(path: str | Path) -> Iterator[tuple[dict[str, Any], list[Pose3D]]]:
    """Frames of a JSON lines file: the frame's record and its people.

    Raises InputError if the file is none of ours.
    """
    try:
        with Path(path).open(encoding='utf-8') as file:
            head = json.loads(next(file, '{}'))
            if head.get('format') != FORMAT:
                raise InputError(f'{path} is not a file of poses')
            for line in file:
                record = json.loads(line)
                yield record, [pose_from_record(person) for person in record['people']]
    except OSError as error:
        raise InputError(f'cannot read {path}: {error.strerror}') from error
    except (ValueError, KeyError, AttributeError) as error:
        raise InputError(f'{path} is not a file of poses: {error}') from error


def _plain(values: Array, decimals: int) -> Any:
    """Nested lists of rounded numbers, None for NaN."""
    rounded = np.round(np.asarray(values, dtype=float), decimals)
    if np.isfinite(rounded).all():
        return rounded.tolist()
    mixed = rounded.astype(object)
    mixed[~np.isfinite(rounded)] = None
    return mixed.tolist()


def _number(value: float, decimals: int) -> float | None:
    return round(float(value), decimals) if math.isfinite(value) else None


def _significant(value: float) -> float | None:
    return float(f'{value:.4g}') if math.isfinite(value) else None


def _cell(value: float, decimals: int) -> str:
    return f'{value:.{decimals}f}' if math.isfinite(value) else ''
