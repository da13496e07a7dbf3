# SPDX-License-Identifier: Apache-2.0
"""People in boxes and the views of them that a network gets: MeTRo's and MeTRAbs' way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from ..camera import Camera, CropCamera
from ..networks.metro import Variant
from ..types import Array, Frame
from .crops import Picture, upright, varied

CropCameras = Callable[[Camera, Array, int], 'list[CropCamera | None]']


@dataclass(eq=False)
class Person:
    """One box of one frame on its way. light: the picture that the views are cut from."""

    index: int
    frame: Frame
    box: Array
    picture: Picture
    light: Picture
    crop: CropCamera
    views: tuple[CropCamera, ...]


class CropMaker:
    """Makes the views of everybody; cameras_of: plain crops of a camera, boxes and a side."""

    def __init__(self, side: int, cameras_of: CropCameras) -> None:
        self._side, self._cameras_of = side, cameras_of
        self._pool = ThreadPoolExecutor(1, thread_name_prefix='crops')

    def people(
        self,
        frames: Sequence[Frame],
        boxes: Sequence[Array],
        variants: Sequence[Variant],
        linear: bool,
    ) -> list[Person]:
        """Everybody whose box a camera can show.

        linear: pixels are averaged as light, as MeTRAbs does.
        """
        people = []
        for k, (frame, frame_boxes) in enumerate(zip(frames, boxes)):
            picture = Picture(frame.image)
            light = Picture(frame.image, linear=True) if linear else picture
            if frame.camera is not None:
                crops = self._cameras_of(frame.camera, frame_boxes, self._side)
            else:
                # Without calibration each box has a camera of its own.
                crops = [
                    self._cameras_of(upright(box, frame.size), box[None], self._side)[0]
                    for box in frame_boxes
                ]
            for box, crop in zip(frame_boxes, crops):
                if crop is None:
                    continue
                views = tuple(
                    varied(crop, angle=v.angle, scale=v.scale, mirror=v.mirror) for v in variants
                )
                people.append(Person(k, frame, box, picture, light, crop, views))
        return people

    def tensor(
        self, people: Sequence[Person], variants: Sequence[Variant], antialias: bool
    ) -> Array:
        """(people * views, side, side, 3) float32 RGB in 0..1."""
        count, side = len(variants), self._side
        tensor = np.empty((len(people) * count, side, side, 3), np.float32)
        jobs = [
            (person.light, view, variant.gamma, item)
            for person, block in zip(people, tensor.reshape(-1, count, side, side, 3))
            for view, variant, item in zip(person.views, variants, block)
        ]

        def cut(share: Sequence[tuple[Picture, CropCamera, float, Array]]) -> None:
            for picture, view, gamma, item in share:
                image = picture.cut(view, antialias=antialias, gamma=gamma)
                np.multiply(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.float32(1 / 255), out=item)

        for person in people:
            # Made here once, not in two threads at a time.
            for view in person.views:
                person.light.prepare(view, antialias=antialias)
        other = self._pool.submit(cut, jobs[1::2]) if len(jobs) > 1 else None
        cut(jobs[::2])
        if other is not None:
            other.result()
        return tensor
