# SPDX-License-Identifier: Apache-2.0
"""One node for several cameras, which share the model: <camera>/image_raw and so on."""

from launch import LaunchDescription
from pose3d_ros.ros.launching import CAMERAS, cameras_remappings, description, estimator


def generate_launch_description() -> LaunchDescription:
    return description(
        CAMERAS,
        lambda value: estimator(value, cameras_remappings(value), cameras=value('cameras')),
    )
