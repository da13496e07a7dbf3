# SPDX-License-Identifier: Apache-2.0
"""When images are searched, where, and that nobody waits for it."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from pose3d_ros.detectors.search import Search, SearchOptions, create_search, search_options
from pose3d_ros.networks.letterbox import Detections
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.types import Frame

TICK_NS = 33_333_333
NOBODY = np.zeros((0, 4))


class Recorder:
    """Sees nobody; remembers the sizes of the views. gate: held shut, it waits."""

    whole_sides, tile_side = (256, 448), 384

    def __init__(self) -> None:
        self.views: list[tuple[int, int, int]] = []
        self.gate = threading.Event()
        self.gate.set()

    def find(self, image: np.ndarray, side: int) -> Detections:
        """Nobody."""
        assert self.gate.wait(10)
        self.views.append((image.shape[1], image.shape[0], side))
        return Detections(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 17, 2)), np.zeros((0, 17)))


def frame(tick: int, image: np.ndarray | None = None, **fields: object) -> Frame:
    if image is None:
        image = np.full((480, 640, 3), 100, np.uint8)
    return Frame(image, stamp_ns=tick * TICK_NS, **fields)  # type: ignore[arg-type]


FOLLOWED = np.array([[300.0, 100.0, 380.0, 400.0]])


def test_the_first_frame_is_searched_at_all_sizes() -> None:
    finder = Recorder()
    sighting = Search(finder, SearchOptions()).sighting(frame(0), NOBODY)
    assert sighting is not None
    assert sighting.stamp_ns == 0
    assert {side for width, _, side in finder.views if width == 640} == {256, 448}
    assert any(width < 640 for width, _, _ in finder.views)


def test_a_still_scene_is_searched_at_the_steady_rate() -> None:
    search = Search(Recorder(), SearchOptions(rate_hz=2.0, tiles='never'))
    times = [k for k in range(90) if search.sighting(frame(k), FOLLOWED) is not None]
    assert times == [0, 15, 30, 45, 60, 75]


def test_nobody_followed_hastens_the_search() -> None:
    search = Search(Recorder(), SearchOptions(rate_hz=0.01))
    times = [k for k in range(31) if search.sighting(frame(k), NOBODY) is not None]
    assert times == [0, 9, 18, 27]


def test_what_moves_elsewhere_is_searched_at_once_and_close_up() -> None:
    finder = Recorder()
    search = Search(finder, SearchOptions(rate_hz=0.01))
    search.sighting(frame(0), FOLLOWED)
    moved = np.full((480, 640, 3), 100, np.uint8)
    moved[100:300, 310:370] = 200  # the followed person
    assert search.sighting(frame(10, moved), FOLLOWED) is None
    moved[200:300, 40:90] = 30
    finder.views.clear()
    assert search.sighting(frame(20, moved), FOLLOWED) is not None
    assert (256, 256, 384) in finder.views


def test_a_change_of_exposure_is_no_motion() -> None:
    search = Search(Recorder(), SearchOptions(rate_hz=0.01))
    search.sighting(frame(0), FOLLOWED)
    brighter = np.full((480, 640, 3), 160, np.uint8)
    assert search.sighting(frame(10, brighter), FOLLOWED) is None


def test_a_loss_hastens_the_search() -> None:
    search = Search(Recorder(), SearchOptions(rate_hz=0.01))
    search.sighting(frame(0), FOLLOWED)
    search.lost(frame(10), FOLLOWED)
    times = [k for k in range(10, 100) if search.sighting(frame(k), FOLLOWED) is not None]
    assert times[:3] == [10, 13, 16]
    assert times[-1] < 10 + 1.5 * 30 + 1


def test_who_was_lost_is_looked_for_close_up_where_they_were() -> None:
    finder = Recorder()
    search = Search(finder, SearchOptions(rate_hz=0.01))
    search.sighting(frame(0), FOLLOWED)
    search.lost(frame(10), np.array([[20.0, 150.0, 60.0, 250.0], [500.0, 150.0, 600.0, 450.0]]))
    finder.views.clear()
    search.sighting(frame(10), FOLLOWED)
    # Small people in the smallest tile, others in one of twice their size.
    assert (256, 256, 384) in finder.views
    assert (585, 480, 384) in finder.views
    finder.views.clear()
    search.sighting(frame(80), NOBODY)
    assert (585, 480, 384) not in finder.views


def test_the_same_frame_again_only_in_step_and_if_wanted() -> None:
    search = Search(Recorder(), SearchOptions())
    search.sighting(frame(0), FOLLOWED)
    assert search.sighting(frame(0), FOLLOWED) is None
    assert search.sighting(frame(0), FOLLOWED, now=True) is not None


def test_live_nobody_waits() -> None:
    finder = Recorder()
    finder.gate.clear()
    search = Search(finder, SearchOptions(in_step=False))
    assert [search.sighting(frame(k), NOBODY) for k in range(5)] == [None] * 5
    assert finder.views == []
    finder.gate.set()
    pending = search._states[''].pending
    assert pending is not None
    pending.result(10)
    sighting = search.sighting(frame(5), NOBODY)
    assert sighting is not None
    assert sighting.stamp_ns == 0
    # Whoever is near does not wait for all tiles.
    assert finder.views[0][0] == 640
    assert len(finder.views) <= 2


def test_cameras_are_searched_by_themselves() -> None:
    search = Search(Recorder(), SearchOptions(rate_hz=0.01))
    assert search.sighting(frame(0, source='a'), FOLLOWED) is not None
    assert search.sighting(frame(0, source='b'), FOLLOWED) is not None
    assert search.sighting(frame(5, source='b'), FOLLOWED) is None
    search.reset('b')
    assert search.sighting(frame(6, source='b'), FOLLOWED) is not None
    assert search.sighting(frame(6, source='a'), FOLLOWED) is None


def test_tiles() -> None:
    finder = Recorder()
    search = Search(finder, SearchOptions(rate_hz=10.0, tiles='never'))
    for k in range(12):
        search.sighting(frame(k), FOLLOWED)
    assert {width for width, _, _ in finder.views} == {640}
    search.configure(SearchOptions(rate_hz=10.0, tiles='always'))
    finder.views.clear()
    search.sighting(frame(20), FOLLOWED)
    assert sum(width < 640 for width, _, _ in finder.views) >= 6


def test_boxes_of_a_topic() -> None:
    search = create_search(PipelineConfig(finder='topic'))
    boxes = np.array([[10, 20, 30, 60, 0.4], [50, 20, 30, 60, 0.8], [0, 0, np.nan, 3, 1.0]])
    sighting = search.sighting(frame(0, boxes=boxes), NOBODY)
    assert sighting is not None
    assert sighting.people.boxes.tolist() == [[50, 20, 80, 80], [10, 20, 40, 80]]
    assert search.sighting(frame(1), NOBODY) is None


def test_the_published_program_searches_when_nobody_is_followed_only() -> None:
    options = search_options(PipelineConfig(parity=True, finder_in_step=False))
    assert options.in_step
    assert options.tiles == 'never'


def test_an_error_of_the_network_reaches_the_caller() -> None:
    class Broken(Recorder):
        def find(self, image: np.ndarray, side: int) -> Detections:
            raise RuntimeError('no network')

    with pytest.raises(RuntimeError, match='no network'):
        Search(Broken(), SearchOptions()).sighting(frame(0), NOBODY)
    search = Search(Broken(), SearchOptions(in_step=False))
    assert search.sighting(frame(0), NOBODY) is None
    pending = search._states[''].pending
    assert pending is not None
    pending.exception(10)
    with pytest.raises(RuntimeError, match='no network'):
        search.sighting(frame(1), NOBODY)
    assert search.sighting(frame(2), NOBODY) is None
