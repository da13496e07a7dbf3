# SPDX-License-Identifier: Apache-2.0
"""Finders of people: who is in an image and, where the network says so, with what joints.

A finder sees a region of an image at a scale. A network finds people within a range of sizes only,
so an image is searched in levels: as a whole, then in overlapping tiles for people who are small.
Boxes are x1, y1, x2, y2 in pixels of the image.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..errors import ModelError
from ..networks.letterbox import Detections
from ..settings.pipeline import PipelineConfig
from ..settings.plugins import Plugins
from ..types import Array
from ..zoo import find_model

_OVERLAP = 1 / 3  # of neighbouring tiles
_SAME_PERSON = 0.15  # median joint distance in body sizes
_SAME_BOX = 0.5  # intersection over union, of people without joints
_EDGE_PX = 3.0  # of the network's input: people who touch a tile's inner edge are cut there


@dataclass(frozen=True)
class Region:
    """A part of an image in whole pixels, and the longer side of the network's input for it."""

    x: int
    y: int
    width: int
    height: int
    side: int

    def cut(self, boxes: Array, size: tuple[int, int]) -> Array:
        """(N,) whether boxes (N, 4) of the image touch an edge of this region inside the image."""
        near = _EDGE_PX * max(self.width, self.height) / self.side
        x, y, right, bottom = self.x, self.y, self.x + self.width, self.y + self.height
        return np.asarray(
            ((boxes[:, 0] < x + near) & (x > 0))
            | ((boxes[:, 1] < y + near) & (y > 0))
            | ((boxes[:, 2] > right - near) & (right < size[0]))
            | ((boxes[:, 3] > bottom - near) & (bottom < size[1]))
        )


class Finder(Protocol):
    """What every finder offers."""

    whole_sides: tuple[int, ...]
    """Sides of the network's input for whole images, the cheapest first."""
    tile_side: int
    """Side of the network's input for tiles; 0: the finder sees whole images only."""

    def find(self, image: Array, side: int) -> Detections:
        """People in an image (H, W, 3) uint8 BGR at a longer side of the network's input."""


FINDERS = Plugins(
    'finder',
    {
        'movenet': 'pose3d_ros.detectors.movenet:MoveNetFinder',
        'nanodet': 'pose3d_ros.detectors.nanodet:NanoDetFinder',
        'blazepose': 'pose3d_ros.detectors.blazepose:BlazePoseFinder',
    },
    'Finder',
)
"""Made with the pipeline's config. `topic` needs none: the frame brings the boxes."""
_MODELS = {'movenet': 'movenet_multipose', 'nanodet': 'nanodet', 'blazepose': 'blazepose'}


def chosen(config: PipelineConfig) -> str:
    """The finder that the settings stand for: `auto` is the best that is installed."""
    if config.parity:
        return 'blazepose'
    if config.finder != 'auto':
        return config.finder
    try:
        find_model(_MODELS['movenet'], models_dir=config.models_dir)
    except ModelError:
        return 'blazepose'
    return 'movenet'


def finder_models(config: PipelineConfig) -> Sequence[str]:
    """The registered models that the finder of these settings needs."""
    name = 'movenet' if config.finder == 'auto' and not config.parity else chosen(config)
    return (_MODELS[name],) if name in _MODELS else ()


def create_finder(config: PipelineConfig) -> Finder | None:
    """The finder with its model, None for boxes on a topic; ConfigError, ModelError, BackendError.

    It gets the pipeline's settings with an empty `model`: the pipeline's is the estimator's; live,
    and where `threads` leaves the number open, with one thread.
    """
    name = chosen(config)
    if name == 'topic':
        return None
    # Beside the landmark network one thread does: on a busy machine several wait for each other.
    threads = config.threads or (0 if config.finder_in_step else 1)
    inner = config.replace(model='', precision='auto', threads=threads)
    finder: Finder = FINDERS.load(name)(inner)
    return finder


def whole_image(size: tuple[int, int], side: int) -> Region:
    """The image of that width and height as one region."""
    return Region(0, 0, *size, side)


def tiles(size: tuple[int, int], scale: float, side: int) -> list[Region]:
    """Overlapping regions that cover an image, at most side / scale pixels wide and high."""
    columns, width = _strips(size[0], side / scale)
    rows, height = _strips(size[1], side / scale)
    return [
        Region(x, y, min(width, size[0] - x), min(height, size[1] - y), side)
        for y in rows
        for x in columns
    ]


def _strips(total: int, longest: float) -> tuple[list[int], int]:
    """Starts of the fewest equal, overlapping strips not longer than that, and their length."""
    count = max(math.ceil((total / longest - _OVERLAP) / (1 - _OVERLAP) - 1e-9), 1)
    length = total / (count - (count - 1) * _OVERLAP)
    return [round(k * length * (1 - _OVERLAP)) for k in range(count)], math.ceil(length)


def around(size: tuple[int, int], box: Array, side: int, scale: float) -> Region:
    """The region of side / scale pixels around the middle of a box (4,), larger if the box is."""
    reach = max(side / scale, 1.3 * float(max(box[2] - box[0], box[3] - box[1])))
    width, height = (min(math.ceil(reach), length) for length in size)
    x = int(np.clip(round((box[0] + box[2] - width) / 2), 0, size[0] - width))
    y = int(np.clip(round((box[1] + box[3] - height) / 2), 0, size[1] - height))
    return Region(x, y, width, height, side)


def search(finder: Finder, image: Array, regions: Iterable[Region]) -> Detections:
    """People in regions of an image, each once, best first."""
    size = (int(image.shape[1]), int(image.shape[0]))
    views = []
    for region in regions:
        x, y = region.x, region.y
        people = finder.find(image[y : y + region.height, x : x + region.width], region.side)
        boxes = people.boxes + np.array([x, y, x, y])
        keypoints = people.keypoints + np.array([x, y])
        people = Detections(boxes, people.scores, keypoints, people.confidence)
        views.append(people[~region.cut(boxes, size)])
    return distinct(views)


def distinct(views: Sequence[Detections]) -> Detections:
    """Each person once, best first: of two views of one body the one with the higher score.

    Within one view, networks tell people apart themselves.
    """
    people = Detections(
        np.concatenate([view.boxes for view in views]),
        np.concatenate([view.scores for view in views]),
        np.concatenate([view.keypoints for view in views]),
        np.concatenate([view.confidence for view in views]),
    )
    view_of = np.repeat(np.arange(len(views)), [len(view) for view in views])
    kept: list[int] = []
    for k in np.argsort(-people.scores, kind='stable').tolist():
        others = [other for other in kept if view_of[other] != view_of[k]]
        if not any(_same(people, k, other) for other in others):
            kept.append(k)
    return people[np.array(kept, dtype=int)]


def _same(people: Detections, a: int, b: int) -> bool:
    if people.keypoints.shape[1] == 0:
        return _overlap(people.boxes[a], people.boxes[b]) > _SAME_BOX
    both = people.keypoints[[a, b]]
    apart = np.median(np.linalg.norm(both[0] - both[1], axis=1))
    return bool(apart < _SAME_PERSON * np.ptp(both, axis=1).max())


def _overlap(a: Array, b: Array) -> float:
    """Intersection over union of two boxes."""
    shared = np.prod(np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None))
    union = np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared
    return float(shared / max(union, 1e-9))
