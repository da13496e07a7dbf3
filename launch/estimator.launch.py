# SPDX-License-Identifier: Apache-2.0
"""Starts the lifecycle node that makes skeletons of a camera's images.

Parameters come from `params_file`; arguments that are given replace what it says.
"""

from launch import LaunchDescription
from pose3d_ros.ros.launching import CAMERA, camera_remappings, description, estimator


def generate_launch_description() -> LaunchDescription:
    return description(CAMERA, lambda value: estimator(value, camera_remappings(value)))
