# SPDX-License-Identifier: Apache-2.0
"""The node `fusion`: people of several estimators become one set of people."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from ..messages.diagnostics import diagnostic_array
from ..messages.skeletons import INFO_TYPE
from ..node.fusion import LiveFusion
from ..node.qos import LATCHED, RESULT, SENSOR_DATA, STATIC_TRANSFORMS, TRANSFORMS
from ..node.topics import CAMERA_INFO, OUTPUTS, input_topic, output_topic
from ..node.transforms import TF, TransformBuffer
from ..settings.declare import Setting, settings_of
from ..settings.fusion import FusionNodeConfig
from .endpoints import ros_qos
from .messages import message_class
from .parameters import plain
from .spinning import run

_DIAGNOSTICS_PERIOD_S = 1.0


class FusionNode(Node):
    """Subscribes to skeletons, calibrations and transforms; publishes what LiveFusion makes."""

    def __init__(self, **arguments: Any) -> None:
        """Arguments are rclpy's. Raises ConfigError if a parameter is wrong."""
        super().__init__('pose3d_fusion', **arguments)
        config = FusionNodeConfig(
            **{item.name: self._declared(item) for item in settings_of(FusionNodeConfig)}
        )
        transforms = TransformBuffer()
        self._fusion = LiveFusion(config, message_class, transforms, self.get_logger().warning)
        heard = []
        for name in config.camera_names:
            self._hear(
                input_topic(name, 'camera_info'),
                CAMERA_INFO,
                partial(self._fusion.on_info, name),
                SENSOR_DATA,
            )
            topic = self._hear(
                input_topic(name, 'skeletons'),
                OUTPUTS['skeletons'],
                partial(self._on_skeletons, name),
                SENSOR_DATA,
            )
            heard.append(topic)
        self._hear('/tf', TF, partial(transforms.take, static=False), TRANSFORMS)
        self._hear('/tf_static', TF, partial(transforms.take, static=True), STATIC_TRANSFORMS)
        self._outputs = {
            name: self.create_publisher(
                message_class(OUTPUTS[name]), output_topic('', name), ros_qos(RESULT)
            )
            for name in ('skeletons', 'markers')
        }
        self._info = self.create_publisher(
            message_class(INFO_TYPE), '~/estimator_info', ros_qos(LATCHED)
        )
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        # Simulated time may rest.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1 / config.fusion_rate_hz, self._step, clock=steady)
        self.create_timer(_DIAGNOSTICS_PERIOD_S, self._diagnose, clock=steady)
        self.get_logger().info(
            f'active: fusing the people of {", ".join(heard)} in {config.fusion_frame}'
        )

    def _declared(self, item: Setting) -> Any:
        descriptor = ParameterDescriptor(description=item.doc, read_only=True, dynamic_typing=True)
        return item.check(
            plain(self.declare_parameter(item.name, item.default, descriptor).value, item)
        )

    def _hear(self, topic: str, name: str, callback: Any, profile: Any) -> str:
        """Subscribe; the topic as it is called after remapping."""
        made = self.create_subscription(message_class(name), topic, callback, ros_qos(profile))
        return str(made.topic_name)

    @property
    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _on_skeletons(self, camera: str, message: Any) -> None:
        self._fusion.on_skeletons(camera, message, self._now_ns)
        self._step()

    def _step(self) -> None:
        for output in self._fusion.step(self._now_ns):
            if output.info is not None:
                self._info.publish(output.info)
            self._outputs['skeletons'].publish(output.skeletons)
            self._outputs['markers'].publish(output.markers)

    def _diagnose(self) -> None:
        now_ns = self._now_ns
        self._diagnostics.publish(
            diagnostic_array(
                message_class,
                self._fusion.statuses(now_ns),
                stamp_ns=now_ns,
                node=self.get_fully_qualified_name(),
            )
        )


def main(stop: threading.Event) -> int:
    """Run the node until `stop` is set; the exit code."""
    return run(FusionNode, stop)
