# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import sys
import threading
from collections.abc import Sequence

import numpy as np
import pytest

from pose3d_ros.detectors.boxes import (
    BoxOptions,
    People,
    box_around,
    clipped,
    create_detector,
    create_people,
    distinct,
    iou,
)
from pose3d_ros.detectors.search import Search, search_options
from pose3d_ros.errors import ConfigError
from pose3d_ros.networks.letterbox import Detections
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.skeleton import SKELETONS
from pose3d_ros.types import Frame, Pose3D

IMAGE = np.zeros((480, 640, 3), np.uint8)
ONE = np.array([[100.0, 100, 80, 200, 0.9]])


class Recorded:
    """Finds what it is told, and counts how often it was asked."""

    def __init__(self, boxes: np.ndarray) -> None:
        self.boxes, self.asked = boxes, 0

    def detect(self, frames: Sequence[Frame]) -> list[np.ndarray]:
        self.asked += 1
        return [self.boxes for _ in frames]


def pose(box: Sequence[float]) -> Pose3D:
    skeleton = SKELETONS['coco_17']
    unit = np.random.default_rng(3).uniform(0, 1, (17, 2))
    unit[0], unit[1] = (0, 0), (1, 1)
    x, y, width, height = box[:4]
    return Pose3D(
        skeleton=skeleton,
        xyz=np.zeros((17, 3)),
        confidence=np.ones(17),
        pixels=unit * (width, height) + (x, y),
        status=np.ones(17, np.uint8),
        score=0.8,
    )


def people(detector: Recorded, **settings) -> People:
    config = PipelineConfig(max_people=settings.pop('max_people', 5))
    return People(detector, config, BoxOptions(**settings))


def test_the_detector_runs_at_its_interval_while_people_are_followed() -> None:
    detector = Recorded(ONE)
    followed = people(detector, detector_interval=4)
    for _ in range(9):
        (boxes,) = followed.boxes([Frame(IMAGE)])
        assert len(boxes) == 1
        followed.update(Frame(IMAGE), len(boxes), [pose(ONE[0])])
    assert detector.asked == 3


def test_the_detector_runs_again_when_somebody_is_lost() -> None:
    detector = Recorded(np.array([[100.0, 100, 80, 200, 0.9], [400, 100, 80, 200, 0.8]]))
    followed = people(detector, detector_interval=100)
    (boxes,) = followed.boxes([Frame(IMAGE)])
    followed.update(Frame(IMAGE), len(boxes), [pose(boxes[0])])
    (boxes,) = followed.boxes([Frame(IMAGE)])
    assert detector.asked == 2
    assert len(boxes) == 2


def test_boxes_follow_the_skeletons() -> None:
    followed = people(Recorded(ONE), detector_interval=100)
    (boxes,) = followed.boxes([Frame(IMAGE)])
    moved = pose((140, 110, 80, 200))
    followed.update(Frame(IMAGE), 1, [moved])
    (boxes,) = followed.boxes([Frame(IMAGE)])
    centre = boxes[0, :2] + boxes[0, 2:4] / 2
    assert np.allclose(centre, (180, 210))
    assert 200 < boxes[0, 3] < 240


def test_without_following_every_frame_is_detected() -> None:
    detector = Recorded(ONE)
    followed = people(detector, follow=False)
    for _ in range(3):
        (boxes,) = followed.boxes([Frame(IMAGE)])
        followed.update(Frame(IMAGE), 1, [pose(boxes[0])])
    assert detector.asked == 3


def test_people_found_again_are_no_new_people_and_weak_ones_none() -> None:
    found = np.array([[100.0, 100, 80, 200, 0.9], [104, 98, 84, 200, 0.8], [400, 9, 80, 80, 0.3]])
    (boxes,) = people(Recorded(found)).boxes([Frame(IMAGE)])
    assert len(boxes) == 1
    many = np.array([[k * 60.0, 0, 50, 100, 0.9] for k in range(8)])
    (boxes,) = people(Recorded(many), max_people=3).boxes([Frame(IMAGE)])
    assert len(boxes) == 3


def test_sources_are_kept_apart() -> None:
    detector = Recorded(ONE)
    followed = people(detector, detector_interval=100)
    frames = [Frame(IMAGE, source='left'), Frame(IMAGE, source='right')]
    followed.boxes(frames)
    followed.update(frames[0], 1, [pose((300, 100, 80, 200))])
    followed.update(frames[1], 1, [])
    left, right = followed.boxes(frames)
    assert left[0, 0] > 250
    assert right[0, 0] == 100
    followed.reset('left')
    assert followed.boxes(frames)[0][0, 0] == 100


def test_given_boxes_and_the_whole_picture() -> None:
    config = PipelineConfig()
    frame = Frame(
        IMAGE, boxes=np.array([[1.0, 2, 30, 40, 0.5], [1, 2, 30, 40, 0.7], [1, 2, 0, 4, 1]])
    )
    assert create_detector('topic', config).detect([frame])[0][:, 4].tolist() == [0.7, 0.5]
    assert len(create_detector('topic', config).detect([Frame(IMAGE)])[0]) == 0
    whole = create_detector('image', config).detect([Frame(IMAGE)])[0]
    assert whole.tolist() == [[0, 0, 640, 480, 1]]


class Sighted:
    """A finder that sees boxes, and no joints. gate: held shut, it waits."""

    whole_sides, tile_side = (256,), 0

    def __init__(self, boxes: np.ndarray) -> None:
        self.boxes, self.views = boxes, 0
        self.gate = threading.Event()
        self.gate.set()

    def find(self, image: np.ndarray, side: int) -> Detections:
        """The boxes."""
        assert self.gate.wait(10)
        self.views += 1
        corners = np.concatenate([self.boxes[:, :2], self.boxes[:, :2] + self.boxes[:, 2:4]], 1)
        empty = np.zeros((len(corners), 0, 2))
        return Detections(corners, self.boxes[:, 4], empty, empty[..., 0])


TWO = np.array([[100.0, 100, 80, 200, 0.3], [400, 100, 80, 200, 0.25]])


def tick(number: int) -> Frame:
    return Frame(IMAGE, stamp_ns=number * 33_333_333)


def searched(finder: Sighted, **settings) -> People:
    config = PipelineConfig(**settings)
    return People(Search(finder, search_options(config)), config, BoxOptions())


def test_a_finder_is_asked_as_searches_want_it() -> None:
    finder = Sighted(TWO)
    followed = searched(finder, finder_rate_hz=2.0)
    counts = []
    for k in range(40):
        (boxes,) = followed.boxes([tick(k)])
        counts.append(len(boxes))
        followed.update(tick(k), len(boxes), [pose(box) for box in TWO])
    # Its own threshold counts, and nobody is found twice.
    assert counts == [2] * 40
    assert finder.views == 3


def test_who_is_lost_is_searched_for_in_the_next_frame() -> None:
    finder = Sighted(TWO)
    followed = searched(finder, finder_rate_hz=0.01)
    (boxes,) = followed.boxes([tick(0)])
    followed.update(tick(0), 2, [pose(box) for box in boxes])
    (boxes,) = followed.boxes([tick(1)])
    assert finder.views == 1
    followed.update(tick(1), 2, [pose(boxes[0])])
    assert len(followed.boxes([tick(2)])[0]) == 2
    assert finder.views == 2


def test_late_answers_are_compared_with_where_people_were() -> None:
    finder = Sighted(TWO[:1])
    finder.gate.clear()
    followed = searched(finder, finder_in_step=False)
    search = followed.detector
    assert isinstance(search, Search)
    for k in range(3):
        (boxes,) = followed.boxes([tick(k)])
        where = (100.0 + 60 * k, 100, 80, 200)
        followed.update(tick(k), len(boxes), [pose(where)])
    finder.gate.set()
    pending = search._states[''].pending
    assert pending is not None
    pending.result(10)
    # The one box is the person of the first frame, who has moved far since.
    (boxes,) = followed.boxes([tick(3)])
    assert len(boxes) == 1
    assert boxes[0, 0] > 200


def test_two_who_overlap_are_two() -> None:
    close = np.array([[100.0, 100, 80, 200, 0.9], [130, 100, 80, 200, 0.8]])
    followed = searched(Sighted(close))
    (boxes,) = followed.boxes([tick(0)])
    assert len(boxes) == 2
    followed.update(tick(0), 2, [pose(boxes[0])])
    assert len(followed.boxes([tick(31)])[0]) == 2


def test_weak_boxes_of_a_topic_are_dropped() -> None:
    config = PipelineConfig(finder='topic', min_score=0.5)
    followed = create_people(config, BoxOptions())
    boxes = np.array([[100.0, 100, 80, 200, 0.9], [400, 100, 80, 200, 0.3]])
    frame = dataclasses.replace(tick(0), boxes=boxes)
    assert len(followed.boxes([frame])[0]) == 1


class Chosen(Recorded):
    """A detector of another package, which tells what model it was given."""

    def __init__(self, config: PipelineConfig) -> None:
        super().__init__(ONE)
        self.model = config.model


def test_a_detector_of_another_package_gets_its_own_model(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, 'another_package', sys.modules[__name__])
    config = PipelineConfig(model='the_estimators.pb')
    detector = create_detector('another_package:Chosen', config, 'people.onnx')
    assert detector.model == 'people.onnx'
    assert create_detector('another_package:Chosen', config).model == ''
    assert detector.detect([Frame(IMAGE)])[0].shape == (1, 5)


def test_unknown_detectors_are_named() -> None:
    with pytest.raises(ConfigError, match='nobody.*onnx'):
        create_detector('nobody', PipelineConfig())
    with pytest.raises(ConfigError, match='onnx needs a model: set metro.detector_model'):
        create_detector('onnx', PipelineConfig(estimator='metro'))
    with pytest.raises(ConfigError, match='no_such_package'):
        create_detector('no_such_package.boxes:Finder', PipelineConfig())


def test_boxes_around_skeletons_stay_inside_the_image() -> None:
    box = box_around(pose((-100, 300, 200, 400)), (640, 480))
    assert box is not None
    assert box[0] == -0.5
    assert box[1] + box[3] == 479.5
    assert box_around(pose((-300, 0, 200, 400)), (640, 480)) is None
    assert clipped(np.array([700.0, 0, 50, 50, 1]), (640, 480))[2] == 0


def test_overlap() -> None:
    a = np.array([0.0, 0, 10, 10, 1])
    assert iou(a, np.array([[0.0, 0, 10, 10], [5, 0, 10, 10], [20, 0, 5, 5]])).tolist() == (
        pytest.approx([1, 1 / 3, 0])
    )


def test_two_skeletons_on_one_body_are_one() -> None:
    a, b, other = pose((100, 100, 80, 200)), pose((103, 102, 80, 198)), pose((160, 100, 80, 200))
    assert distinct([a, b, other]) == [a, other]
