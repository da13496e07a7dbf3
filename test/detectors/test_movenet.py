# SPDX-License-Identifier: Apache-2.0
"""Finders with their networks, on bundled clips."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pose3d_ros.detectors.finder import Finder, Region, create_finder, search, whole_image
from pose3d_ros.errors import ModelError
from pose3d_ros.resources import resource
from pose3d_ros.settings.pipeline import PipelineConfig

HIPS = [11, 12]


@pytest.fixture(scope='module', params=['movenet', 'nanodet', 'blazepose'])
def finder(request: pytest.FixtureRequest) -> Finder:
    try:
        made = create_finder(PipelineConfig(finder=request.param, threads=2))
    except ModelError as error:
        pytest.skip(str(error))
    assert made is not None
    return made


def test_everybody_in_the_clip_is_found(finder: Finder, request: pytest.FixtureRequest) -> None:
    with np.load(resource('demo', 'two_people.npz')) as data:
        boxes = data['boxes_xyxy']
    video = cv2.VideoCapture(str(resource('demo', 'two_people.mp4')))
    for index in range(0, 60, 20):
        video.set(cv2.CAP_PROP_POS_FRAMES, index)
        good, image = video.read()
        assert good
        people = search(finder, image, [whole_image((640, 480), finder.whole_sides[-1])])
        middles = (people.boxes[:, :2] + people.boxes[:, 2:]) / 2
        for box in boxes[index]:
            inside = ((middles > box[:2]) & (middles < box[2:])).all(axis=1)
            assert inside.sum() == 1
        # NanoDet takes a piece of furniture for somebody now and then.
        assert len(people) - 2 <= (request.node.callspec.params['finder'] == 'nanodet')
        assert (people.scores >= 0.2).all()


def test_a_tile_gives_pixels_of_the_image(finder: Finder) -> None:
    if not finder.tile_side:
        pytest.skip('the finder sees whole images only')
    video = cv2.VideoCapture(str(resource('demo', 'jump.mp4')))
    good, image = video.read()
    assert good
    side = finder.whole_sides[-1]
    full = search(finder, image, [whole_image((640, 480), side)])
    part = search(finder, image, [Region(100, 0, 500, 480, side)])
    np.testing.assert_allclose(part.boxes[0], full.boxes[0], atol=20)


def test_nobody_in_noise_and_in_tiny_images(finder: Finder) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    for image in (noise, np.zeros((1, 1, 3), np.uint8), np.zeros((3, 900, 3), np.uint8)):
        size = (image.shape[1], image.shape[0])
        assert len(search(finder, image, [whole_image(size, finder.whole_sides[0])])) == 0
