# SPDX-License-Identifier: Apache-2.0
"""Poses to messages and images from messages, for any message classes.

Under ROS the generated classes are used, elsewhere those of `standalone`. A builder gets a
`Types`, which finds the class of a message by its name ('std_msgs/msg/Header'). Both kinds
construct with ROS's default values and take keyword arguments.
"""

from .images import (
    decode_compressed,
    decode_compressed_depth,
    decode_depth,
    decode_image,
    image_message,
)
from .markers import MarkerBuilder, MarkerFrame
from .skeletons import SkeletonBuilder
from .transforms import TransformBuilder
from .types import Types, make_header, stamp_of

__all__ = [
    'MarkerBuilder',
    'MarkerFrame',
    'SkeletonBuilder',
    'TransformBuilder',
    'Types',
    'decode_compressed',
    'decode_compressed_depth',
    'decode_depth',
    'decode_image',
    'image_message',
    'make_header',
    'stamp_of',
]
