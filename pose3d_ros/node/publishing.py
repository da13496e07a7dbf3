# SPDX-License-Identifier: Apache-2.0
"""From finished frames of one camera to the messages of a node."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
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
from ..types import Array, Frame, FrameResult, Pose3D
from .frame_names import FrameNames
from .host import Host
from .image_frames import BODY, axes_of
from .marker_frames import MarkerFrames
from .monitor import Window
from .waiting import Job, at_once

# How fast the frame of a camera may move while a transform is awaited, one standard deviation.
_SPEED_M_S, _TURN_RAD_S = 1.0, 1.0


class ResultOutput:
    """Publishes the results of one camera.

    convention: name of the skeleton. names: of the frames that are broadcast. wait, wait_markers:
    take what must wait for a transform, for all outputs and for the markers alone. tf_failures:
    frames whose transform did not come in time; tf_problem: why, empty if the last one's did.
    """

    def __init__(
        self,
        camera: str,
        convention: str,
        host: Host,
        names: FrameNames,
        *,
        wait: Callable[[Job], None] = at_once,
        wait_markers: Callable[[Job], None] = at_once,
    ) -> None:
        self.tf_failures = 0
        self.tf_problem = ''
        self._tf_waits, self._lock = Window(), threading.Lock()
        self._wait, self._wait_markers = wait, wait_markers
        self._camera, self._convention, self._host = camera, convention, host
        self._names = names
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

    def tf_wait_ms(self) -> tuple[float, float] | None:
        """Mean and 95th percentile of the time that frames waited for transforms of late."""
        with self._lock:
            return self._tf_waits.mean_and_p95(self._host.timer())

    def publish(self, result: FrameResult, config: NodeConfig) -> None:
        """Send all messages of a frame, at once or when the transforms that they need have come."""
        if config.target_frame:
            self._wait(lambda waited_s: self._publish(result, config, waited_s))
        else:
            self._publish(result, config, 0.0)

    def _publish(self, result: FrameResult, config: NodeConfig, waited_s: float) -> None:
        frame, people, frame_id = result.frame, result.people, result.frame.frame_id
        adapter, types = self._host.adapter, self._host.types
        self._ended += result.ended
        rotation, translation, moved_s = axes_of(config), np.zeros(3), 0.0
        if config.target_frame and config.target_frame != frame_id:
            try:
                rotation, translation, moved_s = self._to_target(frame, config, waited_s)
                rotation = rotation @ axes_of(config)
                frame_id = config.target_frame
            except LookupError:
                kept = config.tf_late == 'camera_frame'
                what = f'published in {frame_id}' if kept else 'nothing published'
                self._host.report(logging.WARNING, f'{what}: {self.tf_problem}', key='transform')
                if not kept:
                    return
        if frame_id != frame.frame_id or config.image_frame == BODY:
            people = [
                _moved(transformed(pose, rotation, translation), pose, moved_s) for pose in people
            ]
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
            if config.marker_frame:
                self._wait_markers(
                    lambda waited: self._publish_markers(result, config, output, waited)
                )
            else:
                self._publish_markers(result, config, output, 0.0)
        if config.publish_tf:
            transforms = self._transforms.transforms(
                people, config=config, prefix=self._names.prefix, lost=ended, **header
            )
            if transforms:
                self._names.sent(transforms)
                adapter.broadcast(transforms)
        if self.subscribed('debug_image', config):
            drawn = self._host.draw(frame.image, result.people)
            image = image_message(types, drawn, stamp_ns=frame.stamp_ns, frame_id=frame.frame_id)
            adapter.publish(self._camera, 'debug_image', image)

    def _to_target(
        self, frame: Frame, config: NodeConfig, waited_s: float
    ) -> tuple[Array, Array, float]:
        """Rotation, translation and how many seconds of the frame's motion they may miss."""
        adapter, target, source = self._host.adapter, config.target_frame, frame.frame_id
        timeout_s = max(0.0, config.tf_timeout_s - waited_s)
        begin = self._host.timer()
        try:
            rotation, translation = adapter.lookup(target, source, frame.stamp_ns, timeout_s)
        except LookupError as error:
            self.tf_failures += 1
            self.tf_problem = str(error.args[0]) if error.args else str(error)
            if config.tf_late != 'newest':
                raise
            rotation, translation, stamp = adapter.newest(target, source)
            missed_s = 0.0 if stamp is None else abs(frame.stamp_ns - stamp) * 1e-9
            if missed_s > config.tf_max_age_s:
                raise
            self._host.report(
                logging.WARNING,
                f'the newest transform, {missed_s:.2f} s away from the image, is used: '
                f'{self.tf_problem}',
                key='transform',
            )
            return rotation, translation, missed_s
        now = self._host.timer()
        with self._lock:
            self._tf_waits.add(now, 1e3 * (waited_s + now - begin))
        self.tf_problem = ''
        return rotation, translation, 0.0

    def _publish_markers(
        self, result: FrameResult, config: NodeConfig, output: MarkerFrame, waited_s: float
    ) -> None:
        """Markers in a frame that RViz can show; output: that of the skeletons."""
        timeout_s = max(0.0, config.tf_timeout_s - waited_s)
        try:
            place = self._marker_frames.of(result.frame, output, config, timeout_s)
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


def _moved(pose: Pose3D, original: Pose3D, seconds: float) -> Pose3D:
    """With the uncertainty of a frame that may have moved.

    original: the pose in the camera's frame.
    """
    if seconds == 0 or pose.covariance is None or not pose.absolute:
        return pose
    distance = float(np.linalg.norm(original.xyz[list(original.skeleton.root)].mean(axis=0)))
    variance = (_SPEED_M_S * seconds) ** 2 + (_TURN_RAD_S * seconds * distance) ** 2
    return pose.replace(covariance=pose.covariance + variance * np.eye(3))
