# SPDX-License-Identifier: Apache-2.0
"""Plays a video as a camera and makes skeletons of it: everything that can be seen, at once."""

from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchDescription
from pose3d_ros.ros.launching import BOOL, TF_REMAPPINGS, Argument, share

ARGUMENTS = [
    Argument('namespace', 'namespace of both nodes'),
    Argument('video', 'video file; empty: the bundled one'),
    Argument('loop', 'begin the video again at its end', 'true', BOOL),
    Argument('camera', "prefix of the camera's topics", 'camera'),
    Argument('publish_tf', 'broadcast transforms of people', 'true', BOOL),
    Argument('rviz', 'start RViz too', 'true', BOOL),
]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            *(argument.declared() for argument in ARGUMENTS),
            Node(
                package='pose3d_ros',
                executable='camera',
                name='camera',
                namespace=LaunchConfiguration('namespace'),
                parameters=[
                    {
                        'source': ParameterValue(LaunchConfiguration('video'), value_type=str),
                        'loop': ParameterValue(LaunchConfiguration('loop'), value_type=bool),
                    }
                ],
                remappings=[
                    *(
                        (topic, [LaunchConfiguration('camera'), f'/{topic}'])
                        for topic in ('image_raw', 'camera_info')
                    ),
                    *TF_REMAPPINGS,
                ],
                output='screen',
                emulate_tty=True,
            ),
            # Takes all other arguments of estimator.launch.py too.
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(share() / 'launch' / 'estimator.launch.py'))
            ),
        ]
    )
