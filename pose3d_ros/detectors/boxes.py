# SPDX-License-Identifier: Apache-2.0
"""Where people are: finders and interchangeable detectors, and people followed between frames.

A box is x, y, width, height in pixels and a score; boxes of a frame are (N, 5), best first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..settings.declare import setting
from ..settings.pipeline import PipelineConfig
from ..settings.plugins import Plugins
from ..types import Array, Frame, Pose3D
from .finder import finder_models
from .search import Search, Sighting, create_search, search_options

FINDER = 'finder'
"""The detector that is the pipeline's finder, and the name of the models that it needs."""
DETECTORS = Plugins(
    'detector',
    {
        'onnx': 'pose3d_ros.detectors.rtmpose:OnnxPeople',
        'topic': 'pose3d_ros.detectors.boxes:FrameBoxes',
        'image': 'pose3d_ros.detectors.boxes:WholeImage',
    },
    'Detector',
)
"""Made with the pipeline's config, in which `model` is the detector's; `finder` is none of them."""
NOBODY = np.zeros((0, 5))
_MARGIN = 0.075  # of a skeleton's extent, on each side: hands, feet and skull stand out
_SAME_BOX = 0.35  # intersection over union
_ON_TOP = 0.75  # the same, of a box that shows nobody else
_HISTORY = 30  # frames that a search may be late
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
        FINDER,
        'where boxes come from: finder (see the setting of that name), onnx (YOLOX or RTMDet, '
        'named by detector_model), topic (vision_msgs/Detection2DArray), image (the whole picture '
        'is one person), or module:Class of another package',
    )
    detector_model: str = setting(
        '',
        "registered model or path for detectors that leave the choice; empty: the detector's own",
    )
    detector_interval: int = setting(
        10,
        'frames between two runs of the detector while people are followed; not for the finder, '
        'which has finder_rate_hz',
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


def detector_models(options: BoxOptions, config: PipelineConfig) -> Sequence[str]:
    """Registered models that the detector of these settings needs."""
    if options.detector == FINDER:
        return finder_models(config)
    models: Sequence[str] = DETECTORS.load(options.detector).models(options.detector_model)
    return models


def create_people(config: PipelineConfig, options: BoxOptions) -> People:
    """People in boxes of the detector of these settings; ConfigError, ModelError, BackendError."""
    if options.detector == FINDER:
        return People(create_search(config), config, options)
    return People(
        create_detector(options.detector, config, options.detector_model), config, options
    )


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
    """What is remembered of one camera. boxes: of the people seen last; past: with stamps."""

    boxes: Array = field(default_factory=lambda: NOBODY)
    past: deque[tuple[int, Array]] = field(default_factory=lambda: deque(maxlen=_HISTORY))
    since_detection: int = 0
    lost: bool = True

    def at(self, stamp_ns: int) -> Array:
        """The boxes of those who are followed now, or as they were nearest to that time."""
        if not self.past:
            return self.boxes
        return min(self.past, key=lambda item: abs(item[0] - stamp_ns))[1]


class People:
    """Boxes of the people to estimate: those followed, and new ones of a search or a detector.

    A detector runs every so many frames, when nobody is followed, and when somebody was lost; a
    search knows itself when and where to look.
    """

    def __init__(
        self, detector: PersonDetector | Search, config: PipelineConfig, options: BoxOptions
    ) -> None:
        self.detector = detector
        self._states: dict[str, _State] = {}
        self.configure(config, options)

    def configure(self, config: PipelineConfig, options: BoxOptions) -> None:
        """Take over live settings."""
        self._limit, self._min_score, self._options = config.max_people, config.min_score, options
        self._in_step = config.finder_in_step
        if isinstance(self.detector, Search):
            self.detector.configure(search_options(config))

    def reset(self, source: str | None = None) -> None:
        """Forget the people of one source, or of all."""
        if isinstance(self.detector, Search):
            self.detector.reset(source)
        if source is None:
            self._states.clear()
        else:
            self._states.pop(source, None)

    def boxes(self, frames: Sequence[Frame]) -> list[Array]:
        """(N, 5) boxes for each frame, those of people who are followed first."""
        states = [self._states.setdefault(frame.source, _State()) for frame in frames]
        if isinstance(self.detector, Search):
            people = [
                self._searched(self.detector, frame, state) for frame, state in zip(frames, states)
            ]
        else:
            people = self._detected(self.detector, frames, states)
        out = []
        for frame, state, boxes in zip(frames, states, people):
            followed = state.boxes if self._options.follow or boxes is None else NOBODY
            if boxes is not None:
                followed = np.concatenate([followed, self._newcomers(boxes, followed, frame.size)])
            out.append(followed[: self._limit])
            if not self._options.follow:
                # Until the next search.
                state.boxes = out[-1]
        return out

    def _searched(self, search: Search, frame: Frame, state: _State) -> Array | None:
        """(N, 5) boxes that a search saw, but for people who were followed then."""
        low, extent = state.boxes[:, :2], state.boxes[:, 2:4]
        followed = np.concatenate([low, low + extent], axis=1)
        now = (state.lost and self._in_step) or not self._options.follow
        sighting = search.sighting(frame, followed, now=now)
        if sighting is None:
            return None
        state.lost = False
        boxes = self._boxes_of(sighting)
        if not self._options.follow:
            state.boxes = NOBODY
        # The search may be of an earlier frame, and people have moved since.
        return _without(boxes, state.at(sighting.stamp_ns))

    def _boxes_of(self, sighting: Sighting) -> Array:
        people = sighting.people
        low, high = people.boxes[:, :2], people.boxes[:, 2:]
        boxes = np.concatenate([low, high - low, people.scores[:, None]], axis=1)
        # Finders judge by themselves; what a topic brought was not judged.
        return boxes if sighting.regions else boxes[boxes[:, 4] >= self._min_score]

    def _detected(
        self, detector: PersonDetector, frames: Sequence[Frame], states: Sequence[_State]
    ) -> list[Array | None]:
        """(N, 5) boxes of the frames in which it is time to look, those followed left out."""
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
        out: list[Array | None] = [None] * len(frames)
        people = detector.detect([frames[k] for k in due]) if due else []
        for k, boxes in zip(due, people):
            states[k].since_detection, states[k].lost = 0, False
            if not self._options.follow:
                states[k].boxes = NOBODY
            out[k] = _without(boxes[boxes[:, 4] >= self._min_score], states[k].boxes)
        return out

    def _newcomers(self, boxes: Array, followed: Array, size: tuple[int, int]) -> Array:
        """(N, 5) the parts inside the image of boxes that show nobody else."""
        kept = followed
        for part in clipped(boxes, size):
            if part[2:4].min() < _SMALLEST_PX:
                continue
            if not len(kept) or not (iou(part, kept) > _ON_TOP).any():
                kept = np.vstack([kept, part])
        return kept[len(followed) :]

    def update(self, frame: Frame, count: int, poses: Sequence[Pose3D]) -> None:
        """What became of the boxes of a frame. count: of the boxes; poses: people in them."""
        state = self._states.setdefault(frame.source, _State())
        boxes = [box_around(pose, frame.size) for pose in poses]
        kept = [box for box in boxes if box is not None]
        if isinstance(self.detector, Search):
            # Whoever the search saw in vain was nobody, and would be seen again at once.
            if self._options.follow and len(kept) < len(state.boxes):
                state.lost = True
                self.detector.lost(frame, _gone(state.boxes, kept))
        elif len(kept) < count:
            state.lost = True
        if self._options.follow:
            state.boxes = np.array(kept).reshape(-1, 5)
            state.past.append((frame.stamp_ns, state.boxes))


def _gone(before: Array, now: Sequence[Array]) -> Array:
    """(N, 4) x1, y1, x2, y2 of the boxes that none of the new ones is near."""
    rest = _without(before, np.array(now).reshape(-1, 5))
    return np.concatenate([rest[:, :2], rest[:, :2] + rest[:, 2:4]], axis=1)


def _without(boxes: Array, followed: Array) -> Array:
    """The boxes (N, 5) but for those of people who are followed; each of them is one person."""
    if not len(boxes) or not len(followed):
        return boxes
    overlap = np.array([iou(box, followed) for box in boxes])
    rows, columns = linear_sum_assignment(-overlap)
    again = rows[overlap[rows, columns] > _SAME_BOX]
    return np.delete(boxes, again, axis=0)


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
