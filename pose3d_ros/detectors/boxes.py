# SPDX-License-Identifier: Apache-2.0
"""Where people are: interchangeable person detectors, and people followed from frame to frame.

A box is x, y, width, height in pixels and a score; boxes of a frame are (N, 5), best first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ..settings.declare import setting
from ..settings.pipeline import PipelineConfig
from ..settings.plugins import Plugins
from ..types import Array, Frame, Pose3D

DETECTORS = Plugins(
    'detector',
    {
        'blazepose': 'pose3d_ros.detectors.blazepose:BlazePoseDetector',
        'onnx': 'pose3d_ros.detectors.rtmpose:OnnxPeople',
        'topic': 'pose3d_ros.detectors.boxes:FrameBoxes',
        'image': 'pose3d_ros.detectors.boxes:WholeImage',
    },
    'Detector',
)
"""Made with the pipeline's config, in which `model` is the detector's."""
NOBODY = np.zeros((0, 5))
_MARGIN = 0.075  # of a skeleton's extent, on each side: hands, feet and skull stand out
_SAME_BOX = 0.35  # intersection over union
_SAME_POSE = 0.1  # mean joint distance in body sizes
_SMALLEST_PX = 8.0


class PersonDetector(Protocol):
    """What every detector offers.

    Its class says by `models(model)` which registered models it needs; model: the setting.
    """

    def detect(self, frames: Sequence[Frame]) -> list[Array]:
        """(N, 5) boxes of each frame, best first."""


@dataclass(frozen=True)
class BoxOptions:
    """Settings of every estimator that works on person boxes."""

    detector: str = setting(
        'blazepose',
        'where boxes come from: blazepose, onnx (YOLOX or RTMDet, named by detector_model), topic '
        '(vision_msgs/Detection2DArray), image (the whole picture is one person), or module:Class '
        'of another package',
    )
    detector_model: str = setting(
        '',
        "registered model or path for detectors that leave the choice; empty: the detector's own",
    )
    detector_interval: int = setting(
        10, 'frames between two runs of the detector while people are followed',
        low=1, high=1000, live=True,
    )  # fmt: skip
    follow: bool = setting(
        True, "boxes of last frame's skeletons between two runs of the detector", live=True
    )


class WholeImage:
    """The picture shows one person and nothing else."""

    def __init__(self, config: PipelineConfig | None = None) -> None:
        """Nothing to load."""

    @staticmethod
    def models(model: str) -> Sequence[str]:
        """None."""
        return ()

    def detect(self, frames: Sequence[Frame]) -> list[Array]:
        """One box per frame."""
        return [np.array([[0.0, 0.0, *map(float, frame.size), 1.0]]) for frame in frames]


class FrameBoxes:
    """Boxes that came with the frame, from a detector of the user's."""

    def __init__(self, config: PipelineConfig | None = None) -> None:
        """Nothing to load."""

    @staticmethod
    def models(model: str) -> Sequence[str]:
        """None."""
        return ()

    def detect(self, frames: Sequence[Frame]) -> list[Array]:
        """The frames' own boxes; nobody where there are none."""
        return [NOBODY if frame.boxes is None else best_first(frame.boxes) for frame in frames]


def create_detector(name: str, config: PipelineConfig, model: str = '') -> PersonDetector:
    """The detector of that name with its model; ConfigError, ModelError, BackendError.

    It gets the pipeline's settings with the `model` given here: the pipeline's is the estimator's.
    """
    detector: PersonDetector = DETECTORS.load(name)(config.replace(model=model))
    return detector


def detector_models(options: BoxOptions) -> Sequence[str]:
    """Registered models that the detector of these settings needs."""
    models: Sequence[str] = DETECTORS.load(options.detector).models(options.detector_model)
    return models


def best_first(boxes: Array) -> Array:
    """(N, 5) boxes in the order of their scores, without those that are no boxes."""
    boxes = np.asarray(boxes, dtype=float).reshape(-1, 5)
    good = np.isfinite(boxes[:, :4]).all(axis=1) & (boxes[:, 2:4] > 0).all(axis=1)
    boxes = boxes[good]
    return boxes[np.argsort(-np.nan_to_num(boxes[:, 4]), kind='stable')]


def clipped(box: Array, size: tuple[int, int]) -> Array:
    """The part of a box (..., 5) inside an image; zero width or height if there is none."""
    last = np.subtract(size, 0.5)
    low = np.clip(box[..., :2], -0.5, last)
    high = np.clip(box[..., :2] + box[..., 2:4], -0.5, last)
    return np.concatenate([low, np.maximum(high - low, 0.0), box[..., 4:]], axis=-1)


def iou(box: Array, boxes: Array) -> Array:
    """(N,) intersection over union of a box with each of (N, >=4)."""
    low = np.maximum(boxes[:, :2], box[:2])
    high = np.minimum(boxes[:, :2] + boxes[:, 2:4], box[:2] + box[2:4])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    union = box[2] * box[3] + boxes[:, 2] * boxes[:, 3] - shared
    return np.asarray(shared / np.maximum(union, 1e-9))


def box_around(pose: Pose3D, size: tuple[int, int], margin: float = _MARGIN) -> Array | None:
    """(5,) box of the part of a person inside an image, by the pixels of the joints."""
    pixels = pose.pixels[np.isfinite(pose.pixels).all(axis=1)]
    if len(pixels) < 3:
        return None
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    grown = margin * float((high - low).max())
    box = np.array([*(low - grown), *(high - low + 2 * grown), pose.score])
    box = clipped(box, size)
    return None if box[2:4].min() < _SMALLEST_PX else box


@dataclass
class _State:
    """What is remembered of one camera. boxes: of the people seen last."""

    boxes: Array = field(default_factory=lambda: NOBODY)
    since_detection: int = 0
    lost: bool = True


class People:
    """Boxes of the people to estimate: those followed, and new ones when the detector ran.

    The detector runs every so many frames, when nobody is followed, and when somebody was lost.
    """

    def __init__(self, detector: PersonDetector, config: PipelineConfig, options: BoxOptions):
        self.detector = detector
        self._states: dict[str, _State] = {}
        self.configure(config, options)

    def configure(self, config: PipelineConfig, options: BoxOptions) -> None:
        """Take over live settings."""
        self._limit, self._min_score, self._options = config.max_people, config.min_score, options

    def reset(self, source: str | None = None) -> None:
        """Forget the people of one source, or of all."""
        if source is None:
            self._states.clear()
        else:
            self._states.pop(source, None)

    def boxes(self, frames: Sequence[Frame]) -> list[Array]:
        """(N, 5) boxes for each frame, those of people who are followed first."""
        states = [self._states.setdefault(frame.source, _State()) for frame in frames]
        due = []
        for k, state in enumerate(states):
            state.since_detection += 1
            if (
                state.lost
                or not self._options.follow
                or not len(state.boxes)
                or state.since_detection >= self._options.detector_interval
            ):
                due.append(k)
        out = [np.array(state.boxes) if self._options.follow else NOBODY for state in states]
        found = self.detector.detect([frames[k] for k in due]) if due else []
        for k, boxes in zip(due, found):
            states[k].since_detection, states[k].lost = 0, False
            for part in clipped(boxes, frames[k].size):
                if not part[4] >= self._min_score or part[2:4].min() < _SMALLEST_PX:
                    continue
                if len(out[k]) >= self._limit:
                    break
                if not len(out[k]) or not (iou(part, out[k]) > _SAME_BOX).any():
                    out[k] = np.vstack([out[k], part])
        return [boxes[: self._limit] for boxes in out]

    def update(self, frame: Frame, count: int, poses: Sequence[Pose3D]) -> None:
        """What became of the boxes of a frame. count: of the boxes; poses: people in them."""
        state = self._states.setdefault(frame.source, _State())
        boxes = [box_around(pose, frame.size) for pose in poses]
        kept = [box for box in boxes if box is not None]
        state.lost = state.lost or len(kept) < count
        state.boxes = np.array(kept).reshape(-1, 5)


def distinct(poses: Sequence[Pose3D]) -> list[Pose3D]:
    """One pose per body, the earlier of two; skeletons are alike."""
    kept: list[Pose3D] = []
    for pose in poses:
        if not any(_same(pose, other) for other in kept):
            kept.append(pose)
    return kept


def _same(pose: Pose3D, other: Pose3D) -> bool:
    both = np.isfinite(pose.pixels - other.pixels).all(axis=1)
    if both.sum() < 3:
        return False
    apart = np.linalg.norm(pose.pixels[both] - other.pixels[both], axis=1).mean()
    size = np.linalg.norm(np.ptp(other.pixels[both], axis=0))
    return bool(apart < _SAME_POSE * size)
