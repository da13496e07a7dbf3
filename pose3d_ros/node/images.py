# SPDX-License-Identifier: Apache-2.0
"""From the image messages of one camera to frames, with everything that belongs to them."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from ..camera import Camera
from ..messages import decode_compressed, stamp_of
from ..messages.calibration import Calibration
from ..pipeline import Pipeline
from ..settings.node import NodeConfig
from ..types import Array, Floor, Frame
from .host import Host
from .image_frames import OpticalCheck, axes_of, frame_of
from .inputs import AuxiliaryInputs
from .topics import IMAGE_TYPES


class ImageInput:
    """Images of one camera; messages come from any thread, frames are made in one.

    transport: raw or compressed. images, infos: messages that came. late_s: from the last image's
    stamp to its arrival. calibration_problem: why positions cannot be absolute, empty if they can.
    assumed: the focal length is.
    """

    def __init__(
        self, name: str, config: NodeConfig, pipeline: Pipeline, host: Host, transport: str
    ) -> None:
        self.calibration = Calibration(config.image_is_rectified)
        self.auxiliary = AuxiliaryInputs(config, host)
        self.optical = OpticalCheck(host.adapter, host.timer)
        self.images = self.infos = 0
        self.encoding = ''
        self.zero_stamps = 0
        self.late_s: float | None = None
        self.assumed = False
        self.calibration_problem = 'no image has come'
        self._name, self._pipeline, self._host = name, pipeline, host
        self._transport = transport
        self._oddity = ''

    def frame(self, payload: Any, received_ns: int, config: NodeConfig) -> Frame:
        """The frame of an image message, and of what other topics have for its time.

        received_ns: takes the place of a stamp that is zero. Raises InputError.
        """
        host = self._host
        message = host.unpack(payload, IMAGE_TYPES[self._transport])
        if self._transport == 'compressed':
            self.encoding = str(message.format)
            image = decode_compressed(message)
        else:
            self.encoding = str(message.encoding)
            image = host.decode(message)
        stamp_ns = stamp_of(message.header)
        if stamp_ns == 0:
            stamp_ns = received_ns
            self.zero_stamps += 1
            if self.zero_stamps == 1:
                host.log(logging.WARNING, 'images have no stamp; the time of their arrival is used')
        self.late_s = (received_ns - stamp_ns) * 1e-9
        named = str(message.header.frame_id)
        frame_id = frame_of(named, config)
        if not frame_id:
            host.report(logging.WARNING, 'images have no frame_id; set the parameter camera_frame')
        if self.optical.look(frame_id, config):
            host.log(logging.WARNING, self.optical.problem)
        size = (int(image.shape[1]), int(image.shape[0]))
        auxiliary = self.auxiliary.at(stamp_ns, named or config.camera_frame, size, config)
        return Frame(
            image=image,
            stamp_ns=stamp_ns,
            frame_id=frame_id,
            camera=self._camera(size, config),
            source=self._name,
            gravity=self._gravity(frame_id, stamp_ns, config),
            floor=self._floor(frame_id, stamp_ns, config),
            depth=auxiliary.depth,
            boxes=auxiliary.boxes,
            keypoints=auxiliary.keypoints,
        )

    def _upright(
        self, frame: str, frame_id: str, stamp_ns: int, what: str, config: NodeConfig
    ) -> tuple[Array, float] | None:
        """(3,) unit vector along the z axis of a frame in optical axes, and the camera's z there.

        None without a transform; the log says so. what: is unknown then.
        """
        if not frame:
            return None
        adapter = self._host.adapter
        try:
            rotation, translation = adapter.lookup(frame, frame_id, stamp_ns, 0.0)
        except LookupError:
            # What is up changes slowly, so that no image need wait for its own transform.
            try:
                rotation, translation, stamp = adapter.newest(frame, frame_id)
                age_s = 0.0 if stamp is None else abs(stamp_ns - stamp) * 1e-9
                if age_s > config.tf_max_age_s:
                    raise LookupError(
                        f'the newest transform from {frame_id} to {frame} is '
                        f'{age_s:.1f} s away from the image'
                    )
            except LookupError as error:
                self._host.report(logging.WARNING, f'{what} is unknown: {error.args[0]}', key=what)
                return None
        up = (rotation @ axes_of(config))[2]
        return up / np.linalg.norm(up), float(translation[2])

    def _gravity(self, frame_id: str, stamp_ns: int, config: NodeConfig) -> Array | None:
        """(3,) unit vector down in the camera's optical axes; None without a transform."""
        upright = self._upright(config.gravity_frame, frame_id, stamp_ns, 'gravity', config)
        return None if upright is None else -upright[0]

    def _floor(self, frame_id: str, stamp_ns: int, config: NodeConfig) -> Floor | None:
        """The floor as transforms tell it; None without a transform."""
        if config.floor not in ('tf', 'auto'):
            return None
        upright = self._upright(config.floor_frame, frame_id, stamp_ns, 'the floor', config)
        if upright is None:
            return None
        up, height = upright
        if not height > 0:
            self._host.report(
                logging.WARNING,
                f'the floor is unknown: {frame_id} is {height:.2f} m above {config.floor_frame}; '
                'floor_frame must lie on the floor',
                key='the floor',
            )
            return None
        return Floor(up, height)

    def _camera(self, size: tuple[int, int], config: NodeConfig) -> Camera | None:
        camera = self.calibration.camera(size)
        assumes = config.focal_length_px > 0 or self._pipeline.info.focal_share > 0
        self.assumed = camera is None and assumes
        if self.calibration.oddity != self._oddity:
            self._oddity = self.calibration.oddity
            if self._oddity:
                self._host.log(logging.WARNING, f'unlikely calibration: {self._oddity}')
        problem = '' if camera is not None or assumes else self.calibration.problem
        if problem != self.calibration_problem:
            self.calibration_problem = problem
            if problem:
                self._host.log(logging.WARNING, f'no absolute positions: {problem}')
        return camera
