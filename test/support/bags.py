# SPDX-License-Identifier: Apache-2.0
"""Recordings to process, and what is in a bag."""

from __future__ import annotations

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import CompressionFormat, StoragePlugin, Writer

from pose3d_ros.camera import Camera
from pose3d_ros.messages import image_message
from pose3d_ros.messages.calibration import info_message
from pose3d_ros.messages.images import compressed_message
from pose3d_ros.messages.standalone import StandaloneTypes

from .blobs import draw

TYPES = StandaloneTypes()
IMAGE, INFO = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CameraInfo'
COMPRESSED, STRING = 'sensor_msgs/msg/CompressedImage', 'std_msgs/msg/String'
CAMERA = Camera(K=np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), size=(640, 480))
S = 1_000_000_000


def message_of(type_name, k, stamp_ns):
    stamp = {'stamp_ns': stamp_ns, 'frame_id': 'cam'}
    image = draw([(300 + 5 * k, 240, 320)])
    if type_name == IMAGE:
        return image_message(TYPES, image, **stamp)
    if type_name == COMPRESSED:
        return compressed_message(TYPES, image, **stamp)
    if type_name == INFO:
        return info_message(TYPES, CAMERA, **stamp)
    return TYPES(STRING)(data=f'message {k}')


def record(path, topics, count=6, storage=StoragePlugin.MCAP, compression=None, change=None):
    """A recording of some topics, as `ros2 bag record` makes them."""
    writer = Writer(path, version=8, storage_plugin=storage)
    if compression is not None:
        writer.set_compression(compression, CompressionFormat.ZSTD)
    with writer:
        connections = {
            topic: writer.add_connection(topic, kind, typestore=TYPES.store)
            for topic, kind in topics.items()
        }
        for k in range(count):
            time_ns = 100 * S + k * S // 30
            for topic, kind in topics.items():
                message = message_of(kind, k, time_ns - 1000)
                if change is not None:
                    change(k, topic, message)
                writer.write(connections[topic], time_ns, TYPES.serialize(message, kind))
    return path


BOTH = {'/camera/camera_info': INFO, '/camera/image_raw': IMAGE}


def read(path):
    """Messages by topic, in order; the definitions come from the bag itself."""
    found = {}
    with AnyReader([path]) as reader:
        for connection, time_ns, data in reader.messages():
            message = reader.deserialize(data, connection.msgtype)
            found.setdefault(connection.topic, []).append((time_ns, message))
    return found
