# SPDX-License-Identifier: Apache-2.0
"""When and where the images of a camera are searched for people.

To find people costs several times what it costs to follow one. So it is done now and then, and at
once when somebody is lost or something moves where nobody is followed. Live, the search runs in a
thread of its own, nobody waits for it, and what comes out is of an earlier frame. In step (files,
bags), the frame at hand is searched and waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import cv2
import numpy as np

from ..networks.letterbox import Detections
from ..settings.pipeline import PipelineConfig
from ..types import Array, Frame
from .finder import Finder, Region, around, create_finder, search, tiles, whole_image

_SLACK_S = 0.005  # stamps of a camera do not come to the nanosecond
_EAGER_S = 0.1  # between two searches while something changes
_SEARCH_S = 1.5  # for so long after a loss
_PLACES = 2  # of people lost lately, that a search looks at close up
_CLOSE_UP = 1.5  # side of such a place, in sides of the box that the person had, times 1.3
_SCALES = (0.7, 1.5)  # of tiles: network input per image pixel, for people of 80 and 40 pixels
_LONGEST = 704  # pixels of an image's longer side up to which whole images do for all but the small
_CELL = 8  # pixels of an image 640 wide, in which motion is looked for
_MOVED = 14.0  # grey levels
_MIN_CELLS = 6
_MARGIN = 0.25  # of a followed box, on each side: shadows and hands


@dataclass(frozen=True)
class SearchOptions:
    """rate_hz: of searches while nothing changes. tiles: whether small people are searched for in
    tiles: auto, never, always. in_step: each search is of the frame at hand, which waits for it.
    """

    rate_hz: float = 1.0
    tiles: str = 'auto'
    in_step: bool = True


@dataclass(frozen=True)
class Sighting:
    """What a search came to. stamp_ns: of the frame that was searched. regions: where."""

    stamp_ns: int
    people: Detections
    regions: tuple[Region, ...]


@dataclass
class _State:
    """What is remembered of one camera. cells: of the image at the last search; lost: stamps and
    boxes of people who were followed until then.
    """

    searched_ns: int | None = None
    lost: list[tuple[int, Array]] = field(default_factory=list)
    cells: Array | None = None
    turn: int = 0
    pending: Future[Sighting] | None = None


class Search:
    """Searches for any number of cameras with one finder; None: frames bring boxes."""

    def __init__(self, finder: Finder | None, options: SearchOptions) -> None:
        self._finder, self._options = finder, options
        self._states: dict[str, _State] = {}
        self._pool: ThreadPoolExecutor | None = None

    def configure(self, options: SearchOptions) -> None:
        """Take over live settings."""
        self._options = options

    def reset(self, source: str | None = None) -> None:
        """Forget one camera, or all; the result of a search under way is dropped."""
        if source is None:
            self._states.clear()
        else:
            self._states.pop(source, None)

    def lost(self, frame: Frame, boxes: Array) -> None:
        """People who were followed are followed no more; boxes: (N, 4) where they were."""
        state = self._state(frame)
        state.lost = [*state.lost, *((frame.stamp_ns, box) for box in boxes)][-_PLACES:]

    def sighting(self, frame: Frame, followed: Array, *, now: bool = False) -> Sighting | None:
        """What came out since the last call, if anything did; may start a search.

        followed: (N, 4) boxes of the people who are followed. now: search this frame if searches
        are in step, however short ago the last one was.
        """
        finder = self._finder
        if finder is None:
            return _brought(frame)
        state, options = self._state(frame), self._options
        out = None
        if state.pending is not None:
            if not state.pending.done():
                return None
            pending, state.pending = state.pending, None
            out = pending.result()
        regions = self._due(finder, state, frame, followed, now)
        if regions:
            state.searched_ns = frame.stamp_ns
            if options.in_step:
                return _look(finder, frame, regions)
            if self._pool is None:
                self._pool = ThreadPoolExecutor(1, thread_name_prefix='finder')
            state.pending = self._pool.submit(_look, finder, frame, regions)
        return out

    def _state(self, frame: Frame) -> _State:
        return self._states.setdefault(frame.source, _State())

    def _due(
        self, finder: Finder, state: _State, frame: Frame, followed: Array, now: bool
    ) -> list[Region]:
        """Regions to search in this frame; none if it is not time."""
        if state.searched_ns is None:
            state.cells = _cells(frame.image)
            if self._options.in_step:
                return self._everything(finder, frame.size)
            # Live, those who are near are not kept waiting for all tiles: they have their turns.
            return self._some(finder, state, frame.size, None, eager=True)
        waited = (frame.stamp_ns - state.searched_ns) * 1e-9 + _SLACK_S
        if waited < _EAGER_S and not now:
            return []
        fresh = _cells(frame.image)
        moving = _moving(state.cells, fresh, frame.size, followed)
        state.lost = [item for item in state.lost if (frame.stamp_ns - item[0]) * 1e-9 < _SEARCH_S]
        lost = bool(state.lost)
        steady = waited * self._options.rate_hz >= 1
        if not (
            now or lost or steady or moving is not None or (not len(followed) and waited >= 0.3)
        ):
            return []
        state.cells = fresh
        return self._some(
            finder, state, frame.size, moving, eager=now or lost or moving is not None
        )

    def _everything(self, finder: Finder, size: tuple[int, int]) -> list[Region]:
        """The whole image, and all tiles."""
        out = [whole_image(size, side) for side in finder.whole_sides]
        for level in self._levels(finder, size):
            out += level
        return out

    def _some(
        self,
        finder: Finder,
        state: _State,
        size: tuple[int, int],
        moving: Array | None,
        *,
        eager: bool,
    ) -> list[Region]:
        """The whole image, places where somebody was lost or something moves, and one more tile
        at each turn.
        """
        sides = finder.whole_sides
        out = [whole_image(size, sides[-1] if eager else sides[state.turn % len(sides)])]
        levels = self._levels(finder, size)
        if levels:
            for _, box in state.lost:
                middle, half = (box[:2] + box[2:]) / 2, _CLOSE_UP * (box[2:] - box[:2]) / 2
                place = np.concatenate([middle - half, middle + half])
                out.append(around(size, place, finder.tile_side, _SCALES[-1]))
            if moving is not None:
                out.append(around(size, moving, finder.tile_side, _SCALES[len(levels) - 1]))
            rest = [tile for level in levels for tile in level]
            always = self._options.tiles == 'always'
            out += rest if always else [rest[state.turn % len(rest)]]
        state.turn += 1
        return out

    def _levels(self, finder: Finder, size: tuple[int, int]) -> list[list[Region]]:
        side, choice = finder.tile_side, self._options.tiles
        if not side or choice == 'never':
            return []
        levels = [tiles(size, scale, side) for scale in _SCALES]
        return [level for level in levels if len(level) > 1]


def create_search(config: PipelineConfig) -> Search:
    """The search of these settings; ConfigError, ModelError, BackendError."""
    return Search(create_finder(config), search_options(config))


def search_options(config: PipelineConfig) -> SearchOptions:
    """What the settings say of searches. The published program searches in step."""
    if config.parity:
        return SearchOptions(rate_hz=1e-6, tiles='never', in_step=True)
    return SearchOptions(config.finder_rate_hz, config.finder_tiles, config.finder_in_step)


def _look(finder: Finder, frame: Frame, regions: Sequence[Region]) -> Sighting:
    return Sighting(frame.stamp_ns, search(finder, frame.image, regions), tuple(regions))


def _brought(frame: Frame) -> Sighting | None:
    """The boxes that came with a frame."""
    if frame.boxes is None:
        return None
    boxes = np.asarray(frame.boxes, float).reshape(-1, 5)
    boxes = boxes[np.isfinite(boxes[:, :4]).all(axis=1) & (boxes[:, 2:4] > 0).all(axis=1)]
    boxes = boxes[np.argsort(-np.nan_to_num(boxes[:, 4]), kind='stable')]
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:4]], axis=1)
    empty = np.zeros((len(boxes), 0, 2))
    return Sighting(frame.stamp_ns, Detections(corners, boxes[:, 4], empty, empty[..., 0]), ())


def _cells(image: Array) -> Array:
    """(H, W) float32 mean grey levels of cells, as fine for every size of image."""
    height, width = image.shape[:2]
    count = 640 / _CELL / max(width, height)
    size = max(round(width * count), 1), max(round(height * count), 1)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.float32)


def _moving(
    before: Array | None, now: Array, size: tuple[int, int], followed: Array
) -> Array | None:
    """(4,) box of what changed outside the boxes of people who are followed; None if little did."""
    if before is None or before.shape != now.shape:
        return None
    changed = np.abs(now - before - np.median(now - before)) > _MOVED
    scale = now.shape[1] / size[0]
    for box in followed:
        grown = _MARGIN * (box[2:] - box[:2])
        x1, y1 = np.maximum(np.floor((box[:2] - grown) * scale), 0).astype(int)
        x2, y2 = np.maximum(np.ceil((box[2:] + grown) * scale), 0).astype(int)
        changed[y1:y2, x1:x2] = False
    count, _, stats, _ = cv2.connectedComponentsWithStats(changed.astype(np.uint8), connectivity=8)
    if count < 2:
        return None
    x, y, width, height, area = max(stats[1:].tolist(), key=lambda row: row[4])
    if area < _MIN_CELLS:
        return None
    return np.asarray(np.array([x, y, x + width, y + height]) / scale)
