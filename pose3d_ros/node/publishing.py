# SPDX-License-Identifier: Apache-2.0
"""From finished frames of one camera to the messages of a node."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from ..messages import (
    MarkerBuilder,
    MarkerFrame,
    SkeletonBuilder,
    TransformBuilder,
    image_message,
)
from ..messages.body import transformed
from ..settings.node import NodeConfig
from ..types import FrameResult
from .host import Host
from .marker_frames import MarkerFrames


class ResultOutput:
    """Publishes the results of one camera.

    convention: name of the skeleton. tf_failures: frames of which nothing could be published for
    want of a transform; tf_problem: why, empty if the last one could be.
    """

    def __init__(self, camera: str, convention: str, host: Host) -> None:
        self.tf_failures = 0
        self.tf_problem = ''
        self._camera, self._convention, self._host = camera, convention, host
        self._skeletons = SkeletonBuilder(host.types)
        self._markers = MarkerBuilder(host.types)
        self._marker_frames = MarkerFrames(host.adapter, host.timer)
        self._transforms = TransformBuilder(host.types, camera)
        # Ids that ended in frames of which nothing could be published.
        self._ended: list[int] = []
        # The last header, for the messages that end the output.
        self._header: dict[str, Any] = {}
        self._size = (0, 0)

    def subscribed(self, output: str, config: NodeConfig) -> bool:
        """Whether one of OUTPUTS is switched on and has subscribers."""
        switch = {'markers': config.publish_markers, 'debug_image': config.publish_debug_image}
        return switch.get(output, True) and self._host.adapter.listeners(self._camera, output) > 0

    def publish(self, result: FrameResult, config: NodeConfig) -> None:
        """Send all messages of a frame."""
        frame, people, frame_id = result.frame, result.people, result.frame.frame_id
        adapter, types = self._host.adapter, self._host.types
        self._ended += result.ended
        rotation, translation = np.eye(3), np.zeros(3)
        if config.target_frame and config.target_frame != frame_id:
            try:
                rotation, translation = adapter.lookup(
                    config.target_frame, frame_id, frame.stamp_ns, config.tf_timeout_s
                )
            except LookupError as error:
                self.tf_failures += 1
                self.tf_problem = str(error.args[0]) if error.args else str(error)
                self._host.report(
                    logging.WARNING, f'nothing published: {self.tf_problem}', key='transform'
                )
                return
            self.tf_problem = ''
            frame_id = config.target_frame
            people = [transformed(pose, rotation, translation) for pose in people]
        ended, self._ended = self._ended, []
        header: dict[str, Any] = {'stamp_ns': frame.stamp_ns, 'frame_id': frame_id}
        self._header, self._size = header, frame.size
        if config.always_on or self.subscribed('skeletons', config):
            message = self._skeletons.array(
                people, size=frame.size, convention=self._convention, lost=ended, **header
            )
            adapter.publish(self._camera, 'skeletons', message)
        if self.subscribed('markers', config):
            output = MarkerFrame(
                frame.stamp_ns, frame_id, rotation, translation, camera=frame.camera
            )
            self._publish_markers(result, config, output)
        if config.publish_tf:
            transforms = self._transforms.transforms(people, config=config, lost=ended, **header)
            if transforms:
                adapter.broadcast(transforms)
        if self.subscribed('debug_image', config):
            drawn = self._host.draw(frame.image, result.people)
            image = image_message(types, drawn, stamp_ns=frame.stamp_ns, frame_id=frame.frame_id)
            adapter.publish(self._camera, 'debug_image', image)

    def _publish_markers(
        self, result: FrameResult, config: NodeConfig, output: MarkerFrame
    ) -> None:
        """Markers in a frame that RViz can show; output: that of the skeletons."""
        try:
            place = self._marker_frames.of(result.frame, output, config)
        except LookupError as error:
            reason = error.args[0] if error.args else error
            self._host.report(logging.WARNING, f'no markers: {reason}', key='marker transform')
            return
        markers = self._markers.array(result.people, place, config)
        self._host.adapter.publish(self._camera, 'markers', markers)

    def end(self) -> None:
        """Send an empty array and remove the markers, if anything was published."""
        if self._header:
            empty = self._skeletons.array(
                [], size=self._size, convention=self._convention, **self._header
            )
            self._host.adapter.publish(self._camera, 'skeletons', empty)
            self._host.adapter.publish(self._camera, 'markers', self._markers.clear(**self._header))
        self._transforms.clear()
        self._ended.clear()
