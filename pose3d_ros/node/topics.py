# SPDX-License-Identifier: Apache-2.0
"""Names and types of a node's topics: the same on the wire and in bags."""

from __future__ import annotations

NODE_NAME = 'pose3d_estimator'
IMAGE_TYPES = {'raw': 'sensor_msgs/msg/Image', 'compressed': 'sensor_msgs/msg/CompressedImage'}
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
# Outputs of each camera under ~/[camera/], and their types. Transforms go to /tf.
OUTPUTS = {
    'skeletons': 'pose3d_ros/msg/Skeleton3DArray',
    'markers': 'visualization_msgs/msg/MarkerArray',
    'debug_image': 'sensor_msgs/msg/Image',
}


def input_topic(camera: str, name: str) -> str:
    """Relative name of an input topic, before remapping, as `image` or `camera_info`."""
    return f'{camera}/{name}' if camera else name


def output_topic(camera: str, name: str) -> str:
    """Private name of an output topic, one of OUTPUTS, before remapping."""
    return f'~/{camera}/{name}' if camera else f'~/{name}'
