# SPDX-License-Identifier: Apache-2.0
"""Regions of images, and people found in several of them."""

from __future__ import annotations

import numpy as np
import pytest

from pose3d_ros.detectors.finder import (
    Region,
    around,
    chosen,
    create_finder,
    distinct,
    finder_models,
    search,
    tiles,
)
from pose3d_ros.errors import ConfigError
from pose3d_ros.networks.letterbox import Detections
from pose3d_ros.settings.pipeline import PipelineConfig

SIZE = (1280, 720)


def people(*corners: tuple[float, float], height: float = 100.0, score: float = 0.5) -> Detections:
    """People of 17 joints in a column, their top left corners given."""
    column = np.linspace(0, 1, 17)[:, None] * np.array([0.3, 1.0]) * height
    keypoints = np.array([column + corner for corner in corners]).reshape(-1, 17, 2)
    boxes = np.concatenate([keypoints.min(axis=1), keypoints.max(axis=1)], axis=1)
    return Detections(boxes, np.full(len(boxes), score), keypoints, np.ones((len(boxes), 17)))


class Crowd:
    """Finds the people of a scene who lie whole within the view."""

    whole_sides, tile_side = (256,), 384

    def __init__(self, scene: Detections) -> None:
        self.scene = scene

    def find(self, image: np.ndarray, side: int) -> Detections:
        """The view's corner is written into the image."""
        corner = image[0, 0, :2].astype(float) * 8
        size = np.array([image.shape[1], image.shape[0]])
        boxes = self.scene.boxes - np.tile(corner, 2)
        inside = (boxes[:, :2] >= 0).all(axis=1) & (boxes[:, 2:] <= size).all(axis=1)
        keypoints = self.scene.keypoints[inside] - corner
        return Detections(
            boxes[inside], self.scene.scores[inside], keypoints, self.scene.confidence[inside]
        )


@pytest.mark.parametrize(
    ('size', 'scale'), [(SIZE, 0.7), (SIZE, 1.5), ((640, 480), 1.5), ((7, 5), 2)]
)
def test_tiles_cover_the_image_and_overlap(size: tuple[int, int], scale: float) -> None:
    covered = np.zeros(size[::-1], int)
    for tile in tiles(size, scale, 384):
        assert max(tile.width, tile.height) <= 384 / scale + 1
        covered[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width] += 1
    assert covered.min() >= 1
    if min(size) > 384 / scale:
        # A person smaller than a third of a tile is whole in one of them.
        assert covered.max() == 4


def test_a_region_around_something_lies_in_the_image() -> None:
    for box in ([0, 0, 10, 20], [1270, 700, 1280, 720], [600, 300, 1200, 700]):
        region = around(SIZE, np.array(box, float), 384, 1.5)
        assert 0 <= region.x <= box[0]
        assert box[2] <= region.x + region.width <= SIZE[0]
        assert 0 <= region.y <= region.y + region.height <= SIZE[1]


def test_people_cut_by_a_tile_are_left_to_the_next() -> None:
    region = Region(100, 0, 200, 720, 384)
    boxes = np.array([[101, 50, 150, 90], [150, 0, 200, 720], [260, 10, 299, 90]], float)
    assert region.cut(boxes, SIZE).tolist() == [True, False, True]
    assert not Region(0, 0, *SIZE, 256).cut(boxes, SIZE).any()


def test_everybody_is_found_once() -> None:
    scene = people((100, 100), (400, 300), (1100, 600))
    image = np.zeros((720, 1280, 3), np.uint8)
    regions = [Region(0, 0, *SIZE, 256)]
    regions += [
        Region(r.x // 8 * 8, r.y // 8 * 8, r.width, r.height, r.side) for r in tiles(SIZE, 0.7, 384)
    ]
    for region in regions:
        image[region.y, region.x, :2] = np.array([region.x, region.y]) // 8
    found = search(Crowd(scene), image, regions)
    assert sorted(found.boxes[:, 0].tolist()) == [100, 400, 1100]


def test_two_views_of_one_body_are_one_and_two_bodies_in_a_view_two() -> None:
    first, again = people((100, 100), (112, 100)), people((104, 100), score=0.9)
    both = distinct([first, again])
    # Both of the first view lie within reach of the better one in the second.
    assert both.scores.tolist() == [0.9]
    assert len(distinct([first, people((400, 100), score=0.9)])) == 3
    assert len(distinct([first])) == 2
    boxes = Detections(first.boxes, first.scores, first.keypoints[:, :0], first.confidence[:, :0])
    assert len(distinct([boxes, boxes])) == 2


def test_which_finder() -> None:
    assert chosen(PipelineConfig(finder='nanodet')) == 'nanodet'
    assert chosen(PipelineConfig(finder='nanodet', parity=True)) == 'blazepose'
    assert chosen(PipelineConfig(models_dir='/nonexistent')) == 'blazepose'
    assert finder_models(PipelineConfig()) == ('movenet_multipose',)
    assert finder_models(PipelineConfig(finder='topic')) == ()
    assert create_finder(PipelineConfig(finder='topic')) is None
    with pytest.raises(ConfigError, match='finder must be one of auto, movenet'):
        PipelineConfig(finder='yolo')
