# SPDX-License-Identifier: Apache-2.0
"""The node that starts RViz for an estimator: it waits for frames first."""

from __future__ import annotations

import logging
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from rcl_interfaces.msg import ParameterDescriptor
from rcl_interfaces.srv import GetParameters
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from ..drawing.rviz_config import Scene, Topics, configured, template, to_yaml
from ..errors import ConfigError
from ..node.frames import FIXED
from ..node.image_frames import BODY
from ..node.qos import RESULT, SENSOR_DATA, STATIC_TRANSFORMS, TRANSFORMS
from ..node.rviz import (
    SKELETON_ARRAY,
    Plan,
    Shown,
    camera_height,
    heights_over_feet,
    make_plan,
    topics_of,
)
from ..node.topics import NODE_NAME
from ..node.transforms import TF, TransformBuffer
from ..types import Array
from .camera import transform
from .endpoints import ros_qos
from .messages import message_class
from .session import log
from .spinning import run

PARAMETERS = {
    'node': (f'/{NODE_NAME}', 'full name of the node whose topics are shown'),
    'rviz_config': ('', 'configuration, used as it is; empty: one is made'),
    'fixed_frame': ('', 'fixed frame; empty: chosen by the frames that transforms connect'),
}

_PERIOD_S = 0.1
# After the first skeletons, for transforms to odom or map and for other cameras.
_PATIENCE_S = 1.0
# For people whose feet show the floor, where no frame of the world is known.
_FEET_S = 3.0
_REMIND_S = 10.0
_END_S = 1.0


class _Camera:
    """What is heard of one camera until RViz starts."""

    def __init__(self, node: Node, topics: Topics, skeletons: str) -> None:
        self._node = node
        self.topics = topics
        self.output = self._image_frame = self._info_frame = ''
        self.since: float | None = None  # when skeletons came first
        self.feet: list[float] = []
        self._subscriptions: dict[str, Any] = {}
        self._subscribe(skeletons, SKELETON_ARRAY, self._on_skeletons, RESULT)
        self.update(topics)

    def update(self, topics: Topics) -> None:
        """Hear topics that came up later."""
        self.topics = topics
        # Both say which frame is the camera's; the debug image is of the very images.
        for topic, type_name, heard in (
            (topics.debug_image, 'sensor_msgs/msg/Image', self._on_image),
            (topics.camera_info, 'sensor_msgs/msg/CameraInfo', self._on_info),
        ):
            if topic and topic not in self._subscriptions:
                self._subscribe(topic, type_name, heard, SENSOR_DATA)

    @property
    def frame(self) -> str:
        """The camera's optical frame; empty if unknown."""
        return self._image_frame or self._info_frame

    @property
    def complete(self) -> bool:
        """Whether its frames are known, or will not be: nobody has to publish a debug image."""
        if not self.output or self.since is None:
            return False
        late = time.monotonic() - self.since > _PATIENCE_S
        return bool(late or (self._image_frame if self.topics.debug_image else self._info_frame))

    def shown(self, gravity: Callable[[str], Array | None], body: bool) -> Shown:
        """What the plan needs of it."""
        frame = self.frame or self.output
        height = camera_height(self.feet) if self.output == frame else float('nan')
        return Shown(self.output, self.frame, height, gravity(frame), body)

    def close(self) -> None:
        """End the subscriptions."""
        for subscription in self._subscriptions.values():
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()

    def _on_skeletons(self, array: Any) -> None:
        self.output = array.header.frame_id
        self.since = self.since or time.monotonic()
        self.feet += heights_over_feet(array)

    def _on_image(self, image: Any) -> None:
        self._image_frame = image.header.frame_id

    def _on_info(self, info: Any) -> None:
        self._info_frame = info.header.frame_id

    def _subscribe(
        self, topic: str, type_name: str, heard: Callable[[Any], None], qos: Any
    ) -> None:
        self._subscriptions[topic] = self._node.create_subscription(
            message_class(type_name), topic, heard, ros_qos(qos)
        )


class RvizNode(Node):
    """Starts RViz when skeletons come, and ends with it. ended: set when RViz was closed."""

    def __init__(self, ended: threading.Event, **arguments: Any) -> None:
        """Other arguments are rclpy's. Raises ConfigError if there is no RViz."""
        super().__init__('pose3d_rviz', **arguments)
        for name, (default, doc) in PARAMETERS.items():
            self.declare_parameter(
                name, default, ParameterDescriptor(description=doc, read_only=True)
            )
        value = {name: str(self.get_parameter(name).value) for name in PARAMETERS}
        self._target = '/' + value['node'].strip('/')
        self._fixed_frame = value['fixed_frame']
        self._log = partial(log, self)
        self._ended = ended
        self._program = _program()
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path(tempfile.mkdtemp(prefix='pose3d_rviz_'))
        self._cameras: dict[str, _Camera] = {}
        self._reminded = time.monotonic()
        self._first: float | None = None
        self._gravity_frame = ''
        self._body = False
        self._asked = False
        self._plan: Plan | None = None
        self._static: Any = None
        self._transforms = TransformBuffer()
        self._heard: list[Any] = []
        if value['rviz_config']:
            frame = ['-f', self._fixed_frame] if self._fixed_frame else []
            self._start([value['rviz_config'], *frame])
        else:
            self._listen_to_transforms()
        # Simulated time may rest.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self.create_timer(_PERIOD_S, self._step, clock=steady)

    def _listen_to_transforms(self) -> None:
        tf_message, take = message_class(TF), self._transforms.take
        listen = self.create_subscription
        self._heard = [
            listen(tf_message, '/tf', partial(take, static=False), ros_qos(TRANSFORMS)),
            listen(
                tf_message, '/tf_static', partial(take, static=True), ros_qos(STATIC_TRANSFORMS)
            ),
        ]

    def _stop_listening(self) -> None:
        """Transforms cost time as long as they come."""
        for subscription in self._heard:
            self.destroy_subscription(subscription)
        self._heard.clear()

    def _step(self) -> None:
        if self._process is not None:
            self._watch(self._process)
            return
        self._look_for_topics()
        heard = [camera for camera in self._cameras.values() if camera.complete]
        now = time.monotonic()
        if not heard:
            self._remind(now)
            return
        if self._first is None:
            self._first = now
        standing = any(camera.feet for camera in heard)
        late = now - self._first > (_PATIENCE_S if standing else _FEET_S)
        if late or (len(heard) == len(self._cameras) and self._settled(heard)):
            self._show(heard)

    def _look_for_topics(self) -> None:
        """Subscribe to the skeletons of cameras as their topics appear."""
        namespace, _, name = self._target.rpartition('/')
        try:
            topics_and_types = [
                dict(ask(name, namespace or '/'))
                for ask in (
                    self.get_publisher_names_and_types_by_node,
                    self.get_subscriber_names_and_types_by_node,
                )
            ]
        except Exception:  # rclpy's class for it has no public name in Humble
            return
        for skeletons, topics in topics_of(self._target, *topics_and_types).items():
            shown = self._cameras.get(skeletons)
            if shown is None:
                self._cameras[skeletons] = _Camera(self, topics, skeletons)
            else:
                # An active node subscribes to its images later than it publishes.
                shown.update(topics)
        if self._cameras and not self._asked:
            self._asked = True
            self._ask_for_frames()

    def _ask_for_frames(self) -> None:
        """Learn of a frame whose z axis points up, and what images are in; of nodes of ROS."""
        client = self.create_client(GetParameters, f'{self._target}/get_parameters')

        def answered(future: Any) -> None:
            values = future.result().values if future.result() is not None else []
            if values:
                self._gravity_frame = values[0].string_value
                self._body = values[1].string_value == BODY

        request = GetParameters.Request(names=['gravity_frame', 'image_frame'])
        client.call_async(request).add_done_callback(answered)

    def _remind(self, now: float) -> None:
        if now - self._reminded < _REMIND_S:
            return
        self._reminded = now
        cameras = self._cameras.values()
        if any(camera.output for camera in cameras):
            return  # it starts in a moment
        if any(camera.since for camera in cameras):
            reason = 'images have no frame_id; set the parameter camera_frame'
        elif self._cameras:
            reason = f'no skeletons come from {self._target}: do its images?'
        else:
            reason = f'there is no node {self._target} that publishes skeletons'
        self._log(logging.WARNING, f'RViz starts later: {reason}')

    def _settled(self, cameras: list[_Camera]) -> bool:
        """Whether transforms connect all cameras with a frame of the world: no better one comes."""
        tree = self._transforms.frames()
        frames = [camera.frame or camera.output for camera in cameras]
        return bool(self._fixed_frame) or all(tree.upright(frame, FIXED) for frame in frames)

    def _show(self, cameras: list[_Camera]) -> None:
        """Start RViz for what is known now."""
        plan = make_plan(
            [camera.shown(self._gravity, self._body) for camera in cameras],
            self._transforms.frames(),
            self._transforms.newest,
            fixed_frame=self._fixed_frame,
            level_frame=f'{self._target.strip("/").replace("/", "_")}_level',
        )
        for note in plan.notes:
            self._log(logging.INFO, note)
        if plan.broadcasts:
            tf_message = message_class(TF)
            self._static = self.create_publisher(
                tf_message, '/tf_static', ros_qos(STATIC_TRANSFORMS)
            )
            poses = [
                transform(self, b.rotation, b.translation, b.parent, b.child)
                for b in plan.broadcasts
            ]
            self._static.publish(tf_message(transforms=poses))
        else:
            self._stop_listening()
        scene = Scene(
            plan.fixed_frame, [camera.topics for camera in cameras], plan.view, plan.follow
        )
        file = self._folder / 'pose3d.rviz'
        file.write_text(to_yaml(configured(template(), scene)), encoding='utf-8')
        self._plan = plan
        for camera in self._cameras.values():
            camera.close()
        self._log(logging.INFO, f'RViz shows {self._target} in the frame {plan.fixed_frame}')
        self._start([str(file)])

    def _gravity(self, frame: str) -> Array | None:
        """(3,) down in a frame, where the node knows of a frame whose z axis points up."""
        with suppress(LookupError):
            if self._gravity_frame:
                rotation, _ = self._transforms.newest(self._gravity_frame, frame)
                return np.asarray(-rotation[2] / np.linalg.norm(rotation[2]))
        return None

    def _start(self, arguments: list[str]) -> None:
        topics = ((name, self.resolve_topic_name(name)) for name in ('/tf', '/tf_static'))
        remaps = [f'{name}:={resolved}' for name, resolved in topics]
        namespace = self.get_namespace()
        sim_time = str(bool(self.get_parameter('use_sim_time').value)).lower()
        command = [self._program, '-d', *arguments, '--ros-args', '-p', f'use_sim_time:={sim_time}']
        for remap in ('__node:=rviz', f'__ns:={namespace}', *remaps):
            command += ['-r', remap]
        self._process = subprocess.Popen(command)

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        """End with RViz; stop broadcasting as soon as somebody else gives a frame its place."""
        code = process.poll()
        if code is not None:
            if code:
                self._log(logging.ERROR, f'RViz ended with code {code}')
            self._ended.set()
            return
        if self._static is None or self._plan is None:
            return
        tree = self._transforms.frames()
        ours = {b.child: b.parent for b in self._plan.broadcasts}
        frame = self._plan.broadcasts[0].parent
        rivals = [child for child, parent in ours.items() if tree.ancestors(child)[1:2] != [parent]]
        upright = tree.upright(frame)
        if (rivals and tree.connects(frame, self._plan.fixed_frame)) or upright:
            self.destroy_publisher(self._static)
            self._static = None
            self._stop_listening()
            what = f'with {upright}' if upright else 'otherwise'
            self._log(
                logging.INFO, f'TF connects {frame} {what} now: start RViz again to see it so'
            )

    def destroy_node(self) -> None:
        """End RViz, then the node."""
        process = self._process
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
        super().destroy_node()


def _program() -> str:
    """Path of rviz2; ConfigError if it is not installed."""
    try:
        path = Path(get_package_prefix('rviz2')) / 'lib' / 'rviz2' / 'rviz2'
    except PackageNotFoundError:
        path = Path()
    program = str(path) if path.is_file() else shutil.which('rviz2')
    if program is None:
        raise ConfigError('rviz2 is not installed: apt install ros-$ROS_DISTRO-rviz2')
    return program


def main(stop: threading.Event) -> int:
    """Run the node until `stop` is set or RViz is closed; the exit code."""
    return run(lambda: RvizNode(stop), stop)
