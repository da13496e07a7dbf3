# SPDX-License-Identifier: Apache-2.0
"""What a node does between its inputs and its outputs: live in ROS, without ROS, and in bags.

An adapter (pose3d_ros.ros, pose3d_ros.dds, pose3d_ros.bags) owns the topics. It hands over messages
as they come and is asked to publish others. Live, all estimation runs in the worker thread of the
FrameRunner; a recording is processed in step, in the caller's thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..errors import describe
from ..messages import SkeletonBuilder, stamp_of
from ..messages.diagnostics import Status
from ..messages.stamped import stamp_in
from ..messages.types import Message
from ..pipeline import Pipeline
from ..settings.node import NodeConfig
from ..types import Frame, FrameResult
from .diagnostics import CameraState, clock_problems, statuses
from .frame_names import FrameNames
from .host import Host
from .images import ImageInput
from .inputs import AuxiliaryInput, AuxiliaryTopic, topics_of
from .publishing import ResultOutput
from .runner import Admit, Arrival, FrameRunner
from .topics import NODE_NAME, OUTPUTS
from .waiting import WaitingLine


class NodeCore:
    """One node: cameras in, messages out.

    on_halt: called in the worker with the reason, when too many images in a row have failed. name:
    full name of the node.
    transports: of the images of each camera, where it is not the setting image_transport.
    """

    def __init__(
        self,
        config: NodeConfig,
        pipeline: Pipeline,
        host: Host,
        *,
        on_halt: Callable[[str], None] = lambda reason: None,
        transports: Mapping[str, str] | None = None,
        name: str = f'/{NODE_NAME}',
    ) -> None:
        self.pipeline = pipeline
        self._host = host
        transports = transports or {}
        # Transforms of robots that move come later than images. Markers may wait for others than
        # skeletons do.
        self._waiting = [
            WaitingLine(f'pose3d {name}', host.timer, self._late_error)
            for name in ('publish', 'markers')
        ]
        wait, wait_markers = (line.put for line in self._waiting)
        # Depth images and keypoints come later than images, too.
        self._held = WaitingLine('pose3d inputs', host.timer, self._late_error)
        self._inputs = {
            name: ImageInput(
                name, config, pipeline, host, transports.get(name, config.image_transport)
            )
            for name in config.camera_names
        }
        self._names = FrameNames(config, pipeline.skeleton, name, host.log)
        self._outputs = {
            camera: ResultOutput(
                camera,
                pipeline.skeleton.name,
                host,
                self._names,
                wait=wait,
                wait_markers=wait_markers,
            )
            for camera in config.camera_names
        }
        self._other_clocks: set[str] = set()
        self.runner = FrameRunner(
            pipeline,
            config,
            host,
            decode=self._frame,
            publish=self._publish,
            needed=self.needed,
            hold=self._hold,
            on_halt=on_halt,
        )

    @property
    def config(self) -> NodeConfig:
        """The settings in force."""
        return self.runner.config

    def activate(self) -> None:
        """Begin to process images."""
        for line in (self._held, *self._waiting):
            line.start()
        self.runner.start()

    def deactivate(self) -> bool:
        """Stop, then publish one empty array and remove the markers; whether it stopped in time."""
        held, stopped = self._held.stop(), self.runner.stop()
        stopped = stopped and held
        for line in self._waiting:
            stopped = line.stop() and stopped
        for output in self._outputs.values():
            output.end()
        return stopped

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until nothing is left to compute or publish; whether that came in time."""
        waits = (
            self._held.wait_idle,
            self.runner.wait_idle,
            *(line.wait_idle for line in self._waiting),
        )
        return all(wait(timeout_s) for wait in waits)

    def image(self, camera: str, payload: Any) -> None:
        """Take an image (or compressed image) message; returns at once."""
        self._inputs[camera].images += 1
        self.runner.offer(camera, payload)

    def step(self, camera: str, payload: Any) -> list[FrameResult]:
        """Process an image here and now, while the node is not active; the frames finished by it.

        Raises InputError for a broken image, and what the estimator raises.
        """
        frame = self._inputs[camera].frame(payload, self._host.clock(), self.config)
        return self._published(self.pipeline.process(frame).finished)

    def flush(self) -> list[FrameResult]:
        """Publish the frames that the estimator still holds back, after the last step."""
        return self._published(self.pipeline.flush())

    def camera_info(self, camera: str, info: Message) -> None:
        """Take a CameraInfo; serves the images that come after it."""
        self._inputs[camera].infos += 1
        self._inputs[camera].calibration.update(info)

    def arrivals(self, camera: str) -> tuple[int, int]:
        """How many images and calibrations of a camera have come."""
        source = self._inputs[camera]
        return source.images, source.infos

    def image_topic(self, camera: str, topic: str) -> None:
        """Say on which topic, resolved, the images of a camera come."""
        self._inputs[camera].calibration.topic = topic

    @property
    def auxiliary_topics(self) -> dict[str, AuxiliaryTopic]:
        """Inputs beside the images that the settings ask for; what is latched comes first."""
        return topics_of(self.config)

    def auxiliary(self, name: str, camera: str, message: Any) -> None:
        """Take a message of an auxiliary input; serves the images of its time."""
        self._inputs[camera].auxiliary.add(name, message)

    def auxiliary_states(self, camera: str, topics: dict[str, str]) -> list[AuxiliaryInput]:
        """What auxiliary inputs had for the images of a camera. topics: their names, resolved."""
        return self._inputs[camera].auxiliary.states(topics)

    def transforms(self, message: Message) -> bool:
        """Take a TFMessage of anybody; whether info() has changed for it."""
        return self._names.heard(message, self.config)

    def info(self) -> Message:
        """The EstimatorInfo to latch."""
        return SkeletonBuilder(self._host.types).info(
            self.pipeline.skeleton,
            self.pipeline.info,
            stamp_ns=self._host.clock(),
            tf_prefix=self._names.prefix,
        )

    def configure(self, config: NodeConfig) -> None:
        """Take over live settings; ConfigError for others."""
        self.runner.configure(config)

    def reset(self) -> None:
        """Forget all tracks and filters, and auxiliary inputs of images of another time."""
        for source in self._inputs.values():
            source.auxiliary.clear()
        self.runner.reset()

    def needed(self, camera: str) -> bool:
        """Whether anything has to be computed for a camera."""
        config = self.config
        if config.always_on or (config.publish_tf and config.tf_joints != 'none'):
            return True
        return any(self._outputs[camera].subscribed(output, config) for output in OUTPUTS)

    def diagnostics(
        self,
        topics: dict[str, str],
        qos: dict[str, list[str]] | None = None,
        lost_samples: dict[str, int] | None = None,
        auxiliary: dict[str, dict[str, str]] | None = None,
    ) -> list[Status]:
        """All diagnostic statuses.

        By camera: resolved image topics, incompatible peers, images lost in transport, resolved
        topics of the auxiliary inputs.
        """
        states = {}
        for name, source in self._inputs.items():
            output = self._outputs[name]
            states[name] = CameraState(
                topic=topics.get(name, ''),
                encoding=source.encoding,
                calibration=source.calibration_problem,
                assumed=source.assumed,
                frame_problem=source.optical.problem,
                late_s=source.late_s,
                zero_stamps=source.zero_stamps,
                tf_failures=output.tf_failures,
                tf_problem=output.tf_problem,
                tf_wait_ms=output.tf_wait_ms(),
                qos=(qos or {}).get(name, ()),
                lost_samples=(lost_samples or {}).get(name, 0),
                auxiliary=self.auxiliary_states(name, (auxiliary or {}).get(name, {})),
            )
        problems = clock_problems(states)
        for topic in problems.keys() - self._other_clocks:
            self._host.log(logging.WARNING, problems[topic])
        self._other_clocks = set(problems)
        needed = any(self.needed(name) for name in self._inputs)
        made = statuses(self.runner.report(), states, self.pipeline.info, self.config, needed)
        return [*made, self._names.status()] if self.config.publish_tf else made

    def _frame(self, arrival: Arrival) -> Frame:
        source = self._inputs[arrival.source]
        return source.frame(arrival.payload, arrival.received_ns, self.config)

    def _hold(self, arrival: Arrival, admit: Admit) -> None:
        """Let an image go on when what other nodes say of it has come, or will not."""
        auxiliary, payload = self._inputs[arrival.source].auxiliary, arrival.payload
        if not auxiliary.come_late:
            admit(0.0)
            return
        stamp_ns = stamp_in(payload) if isinstance(payload, bytes) else stamp_of(payload.header)

        def job(waited_s: float) -> None:
            left_s = auxiliary.wait(stamp_ns or arrival.received_ns, waited_s, self.config)
            # Several that waited for the same must not push each other out.
            admit(left_s)

        self._held.put(job)

    def _late_error(self, error: Exception) -> None:
        line = describe(error)
        self._host.report(logging.ERROR, f'a result could not be published: {line}', key=line)

    def _publish(self, result: FrameResult, config: NodeConfig) -> None:
        self._outputs[result.frame.source].publish(result, config)

    def _published(self, finished: Iterable[FrameResult]) -> list[FrameResult]:
        results = list(finished)
        for result in results:
            self._publish(result, self.config)
        return results
