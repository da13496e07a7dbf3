# SPDX-License-Identifier: Apache-2.0
"""The node `camera`: a video, a folder or a webcam as camera topics, for trying things out."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from geometry_msgs.msg import TransformStamped
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from ..camera import Camera
from ..errors import Pose3DError
from ..messages.calibration import info_message
from ..messages.images import compressed_message, image_message
from ..node.playback import play
from ..node.qos import STATIC_TRANSFORMS
from ..node.transforms import TF
from ..resources import resource
from ..sources import OPTICAL_FRAME, open_source
from ..types import Array, Frame
from .endpoints import ros_qos
from .messages import message_class, message_class_for
from .spinning import run

DEMO_CLIP = 'two_people.mp4'
PARAMETERS = {
    'source': ('', 'image, folder, glob, video, webcam index; empty: a bundled video'),
    'calibration': ('', 'calibration file; empty: the file <source>.yaml if there is one'),
    'frame_id': (OPTICAL_FRAME, 'optical frame of the images'),
    'world_frame': (
        'map',
        'parent of frame_id for videos whose camera pose is known (<source>.npz); empty: none',
    ),
    'rate_hz': (0.0, "images per second; 0: the source's own rate"),
    'loop': (True, 'begin again at the end'),
}


class CameraNode(Node):
    """Publishes image_raw, image_raw/compressed and camera_info, stamped with the node's clock.

    Nothing is made of what nobody listens to.
    """

    def __init__(self, ended: threading.Event) -> None:
        """Raises InputError if the source or its calibration cannot be read."""
        super().__init__('camera')
        for name, (default, doc) in PARAMETERS.items():
            self.declare_parameter(
                name, default, ParameterDescriptor(description=doc, read_only=True)
            )
        values = {name: self.get_parameter(name).value for name in PARAMETERS}
        source = values['source'] or str(resource('demo', DEMO_CLIP))
        path = Path(source)
        calibration = values['calibration']
        if not calibration and path.suffix and path.with_suffix('.yaml').is_file():
            calibration = str(path.with_suffix('.yaml'))
        camera = Camera.load(calibration) if calibration else None
        self._source = open_source(source, camera=camera, frame_id=values['frame_id'])
        self._rate_hz = values['rate_hz'] or None
        self._loop = values['loop']
        if values['world_frame'] and path.with_suffix('.npz').is_file():
            self._place(path.with_suffix('.npz'), values['world_frame'], values['frame_id'])
        made = partial(
            self.create_publisher,
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        self._image = made(Image, 'image_raw', QoSProfile(depth=5))
        self._info = made(CameraInfo, 'camera_info', QoSProfile(depth=5))
        self._compressed = made(
            CompressedImage,
            f'{self.resolve_topic_name("image_raw")}/compressed',
            QoSProfile(depth=5),
        )
        self._stop = threading.Event()
        self._ended = ended
        self._thread = threading.Thread(target=self._play, name='playback', daemon=True)
        self._thread.start()
        self.get_logger().info(f'playing {source} on {self._image.topic_name}')

    def _play(self) -> None:
        """Decode and send, in a thread of its own."""
        try:
            play(
                self._source,
                self._send,
                rate_hz=self._rate_hz,
                loop=self._loop,
                stopped=self._stop.is_set,
                wait=self._stop.wait,
                clock=lambda: self.get_clock().now().nanoseconds,
            )
        except Pose3DError as error:
            self.get_logger().error(str(error))
        self._ended.set()

    def _send(self, frame: Frame, stamp_ns: int) -> None:
        stamp: dict[str, Any] = {'stamp_ns': stamp_ns, 'frame_id': frame.frame_id}
        if frame.camera is not None:
            self._info.publish(info_message(message_class, frame.camera, **stamp))
        if self._image.get_subscription_count():
            self._image.publish(image_message(message_class, frame.image, **stamp))
        if self._compressed.get_subscription_count():
            self._compressed.publish(compressed_message(message_class, frame.image, **stamp))

    def _place(self, truth: Path, parent: str, child: str) -> None:
        """Broadcast where the camera of a rendered video stood."""
        with np.load(truth) as values:
            if 'R_cam_world' not in values or 't_cam_world' not in values:
                return
            rotation, translation = values['R_cam_world'], values['t_cam_world']
        # x_cam = R x_world + t; the transform wanted is the camera's pose in the world.
        message_type = message_class_for('world_frame', TF)
        pose = transform(self, rotation.T, -rotation.T @ translation, parent, child)
        self._static = self.create_publisher(message_type, '/tf_static', ros_qos(STATIC_TRANSFORMS))
        self._static.publish(message_type(transforms=[pose]))

    def destroy_node(self) -> None:
        """End the playback, then the node."""
        self._stop.set()
        self._thread.join(1.0)
        super().destroy_node()


def transform(
    node: Node, rotation: Array, translation: Array, parent: str, child: str
) -> TransformStamped:
    """TransformStamped of now, of a rotation (3, 3) and a translation (3,) m."""
    q = quaternion(rotation)
    made = TransformStamped()
    made.header.stamp = node.get_clock().now().to_msg()
    made.header.frame_id, made.child_frame_id = parent, child
    t, r = made.transform.translation, made.transform.rotation
    t.x, t.y, t.z = (float(v) for v in translation)
    r.x, r.y, r.z, r.w = (float(v) for v in q)
    return made


def quaternion(rotation: Array) -> Array:
    """x, y, z, w of a rotation (3, 3), by tf_transformations where it works.

    Distributions ship a transforms3d below it that cannot be imported with NumPy 2.
    """
    try:
        from tf_transformations import quaternion_from_matrix
    except (ImportError, AttributeError):
        return np.asarray(Rotation.from_matrix(rotation).as_quat())
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    return np.asarray(quaternion_from_matrix(matrix))


def main(stop: threading.Event) -> int:
    """Run the node until `stop` is set or the source ends; the exit code."""
    return run(lambda: CameraNode(stop), stop)
