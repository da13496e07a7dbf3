# SPDX-License-Identifier: Apache-2.0
"""Any estimator against clips with exact ground truth."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..camera import Camera
from ..errors import InputError
from ..pipeline import Pipeline
from ..sources import open_source
from ..types import Array, Frame, FrameResult, Pose3D
from . import metrics
from .clips import JOINTS, Clip

_HIPS = [JOINTS.index('left_hip'), JOINTS.index('right_hip')]


@dataclass
class ClipResult:
    """What was detected in a clip.

    predicted, pixels, truth, truth_pixels: (N, 13, 3 or 2), one row per match of a person and a
    prediction; absolute: (N,) whether the prediction is measured from the camera; covariance:
    (N, 13, 3, 3) with NaN where none is stated.
    """

    name: str
    people: int
    frames: int = 0
    visible: int = 0
    matched: int = 0
    false_people: int = 0
    identity_switches: int = 0
    missing_joints: int = 0
    predicted: list[Array] = field(default_factory=list)
    pixels: list[Array] = field(default_factory=list)
    truth: list[Array] = field(default_factory=list)
    truth_pixels: list[Array] = field(default_factory=list)
    absolute: list[bool] = field(default_factory=list)
    covariance: list[Array] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def scores(self) -> dict[str, float | int | None]:
        """All numbers of the clip; None where there is nothing to count."""
        none = np.zeros((0, len(JOINTS), 3))
        xyz, truth = np.array(self.predicted or none), np.array(self.truth or none)
        flat = none[..., :2]
        px, truth_px = np.array(self.pixels or flat), np.array(self.truth_pixels or flat)
        moved, moved_truth = xyz - pelvis(xyz), truth - pelvis(truth)
        distance_px = metrics.joint_errors(px, truth_px)
        apart = np.where(np.array(self.absolute, bool)[:, None, None], xyz, np.nan)
        root = (pelvis(apart) - pelvis(truth))[:, 0]
        root_error = np.linalg.norm(root, axis=-1)
        covariance = np.array(self.covariance or none[..., None])
        # A covariance is about where a joint was said to be: in the camera's frame, if it is there.
        placed = np.array(self.absolute, bool)[:, None, None]
        errors = np.where(placed, xyz - truth, moved - moved_truth)
        spread = metrics.coverage(errors, covariance) if len(xyz) else float('nan')
        numbers = {
            'detection_rate': self.matched / self.visible if self.visible else np.nan,
            'mpjpe_mm': 1000 * _mean(metrics.mpjpe(moved, moved_truth)),
            'n_mpjpe_mm': 1000 * _mean(metrics.n_mpjpe(moved, moved_truth)),
            'pa_mpjpe_mm': 1000 * _mean(metrics.pa_mpjpe(xyz, truth)),
            'pck_150mm': _mean(metrics.pck(moved, moved_truth)),
            'error_2d_px_mean': _mean(metrics.mean_over_joints(distance_px)),
            'error_2d_px_median': _median(distance_px),
            'root_error_mm_median': 1000 * _median(root_error),
            'root_error_mm_mean': 1000 * _mean(root_error),
            'depth_bias_mm': 1000 * _mean(root[:, 2]),
            'absolute_mpjpe_mm': 1000 * _mean(metrics.mpjpe(apart, truth)),
            'coverage_1_sigma': spread,
        }
        counts = {
            'frames': self.frames,
            'people': self.people,
            'people_visible': self.visible,
            'people_found': self.matched,
            'false_people': self.false_people,
            'identity_switches': self.identity_switches,
            'missing_joints': self.missing_joints,
        }
        return {**counts, **{k: float(v) if np.isfinite(v) else None for k, v in numbers.items()}}


def pelvis(xyz: Array) -> Array:
    """(..., 1, 3) middle of the hips of (..., 13, 3) scored joints."""
    middle: Array = xyz[..., _HIPS, :].mean(axis=-2, keepdims=True)
    return middle


def scored_joints(pose: Pose3D, camera: Camera) -> tuple[Array, Array, Array]:
    """(13, 3) metres, (13, 2) pixels, (13, 3, 3) covariance of the scored joints; NaN: missing.

    A pose without pixels of its own is projected, if it is absolute.
    """
    by_name = pose.skeleton.by_meaning
    xyz, pixels = np.full((len(JOINTS), 3), np.nan), np.full((len(JOINTS), 2), np.nan)
    covariance = np.full((len(JOINTS), 3, 3), np.nan)
    for k, name in enumerate(JOINTS):
        if name in by_name:
            joint = by_name[name]
            xyz[k], pixels[k] = pose.xyz[joint], pose.pixels[joint]
            if pose.covariance is not None:
                covariance[k] = pose.covariance[joint]
    if not np.isfinite(pixels).any() and pose.absolute:
        pixels = camera.project(xyz)
    return xyz, pixels, covariance


def find_clips(folder: str | Path = '', names: Sequence[str] = ()) -> list[Clip]:
    """All clips in a folder, or those named; default: $POSE3D_DATA, else the bundled ones.

    Raises InputError for a folder without clips, or for a name that is not there.
    """
    place = Path(folder) if str(folder) else default_folder()
    videos = {p.stem: p for p in sorted(place.glob('*.mp4')) if p.with_suffix('.npz').is_file()}
    if not videos:
        raise InputError(f'{place}: no clips here (<name>.mp4 with <name>.npz)')
    for name in names:
        if name not in videos:
            raise InputError(f'{place}: no clip {name!r}; there are {", ".join(videos)}')
    return [Clip.load(videos[name]) for name in names or videos]


def default_folder() -> Path:
    """Where clips lie: $POSE3D_DATA (or its folder synthetic), else the bundled ones."""
    named = os.environ.get('POSE3D_DATA')
    if named:
        inner = Path(named) / 'synthetic'
        return inner if inner.is_dir() else Path(named)
    from ..resources import resource

    return resource('demo', 'README.md').parent


def evaluate_clip(
    pipeline: Pipeline,
    clip: Clip,
    progress: Callable[[Iterable[Frame]], Iterable[Frame]] = iter,
    *,
    floor: bool = False,
) -> ClipResult:
    """Run a clip through the pipeline, from a clean state, and compare every frame.

    floor: frames come with the clip's own floor; InputError if it tells none.
    """
    score = ClipScore(clip)
    pipeline.reset()
    source = open_source(clip.video, camera=clip.camera)
    for index, frame in enumerate(progress(source)):
        if index >= len(clip.xyz):
            score.result.warnings.append(
                f'{clip.name}: more frames than ground truth ({len(clip.xyz)})'
            )
            break
        score.number(index, frame)
        if floor:
            frame = replace(frame, floor=clip.floor(index))
        score.add(pipeline.process(frame).finished)
    score.add(pipeline.flush())
    score.result.warnings += source.warnings
    pipeline.reset()
    return score.result


class ClipScore:
    """Compares the frames of a clip with its ground truth, as they are finished."""

    def __init__(self, clip: Clip) -> None:
        self.result = ClipResult(clip.name, clip.people)
        self._clip = clip
        self._indices: dict[int, int] = {}
        self._identities: dict[int, int] = {}
        """Last track id of each true person."""

    def number(self, index: int, frame: Frame) -> None:
        """Say which frame of the clip one is, before it is finished."""
        self._indices[frame.stamp_ns] = index

    def add(self, finished: Iterable[FrameResult]) -> None:
        """Compare frames."""
        for result in finished:
            self._compare(self._indices.pop(result.frame.stamp_ns), result.people)

    def _compare(self, index: int, poses: Sequence[Pose3D]) -> None:
        result, clip = self.result, self._clip
        result.frames += 1
        joints = [scored_joints(pose, clip.camera) for pose in poses]
        matches = clip.match(
            index, np.array([pixels for _, pixels, _ in joints]).reshape(-1, len(JOINTS), 2)
        )
        result.visible += matches.expected
        result.matched += len(matches.pairs)
        result.false_people += matches.false_people
        for prediction, person in matches.pairs:
            pose = poses[prediction]
            xyz, pixels, covariance = joints[prediction]
            before = self._identities.get(person)
            if before is not None and before != pose.track_id:
                result.identity_switches += 1
            self._identities[person] = pose.track_id
            result.missing_joints += int((~np.isfinite(xyz).all(axis=1)).sum())
            result.predicted.append(xyz)
            result.pixels.append(pixels)
            result.covariance.append(covariance)
            result.absolute.append(pose.absolute)
            result.truth.append(clip.xyz[index, person])
            result.truth_pixels.append(clip.pixels[index, person])


def mean_scores(results: Sequence[ClipResult]) -> dict[str, float | int | None]:
    """Mean of each number over clips; counts of events are summed."""
    rows = [result.scores() for result in results]
    out: dict[str, float | int | None] = {}
    for key in rows[0] if rows else ():
        values = [value for row in rows if (value := row[key]) is not None]
        if all(isinstance(value, int) for value in values):
            out[key] = int(sum(values)) if values else None
        else:
            out[key] = float(np.mean(values))
    return out


def _mean(values: Array) -> float:
    values = np.asarray(values, float)
    return float(np.nanmean(values)) if np.isfinite(values).any() else float('nan')


def _median(values: Array) -> float:
    values = np.asarray(values, float)
    return float(np.nanmedian(values)) if np.isfinite(values).any() else float('nan')
