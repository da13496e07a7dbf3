# SPDX-License-Identifier: Apache-2.0
"""Plays a video as a camera and makes skeletons of it: everything that can be seen, at once."""

from ament_index_python.packages import get_package_share_path
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchDescription

SHARE = get_package_share_path('pose3d_ros')
BOOL = ['true', 'false', 'True', 'False']


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'namespace', default_value='', description='namespace of both nodes'
            ),
            DeclareLaunchArgument(
                'video', default_value='', description='video file; empty: the bundled one'
            ),
            DeclareLaunchArgument(
                'loop',
                default_value='true',
                choices=BOOL,
                description='begin the video again at its end',
            ),
            DeclareLaunchArgument(
                'camera', default_value='camera', description="prefix of the camera's topics"
            ),
            DeclareLaunchArgument(
                'publish_tf',
                default_value='true',
                choices=BOOL,
                description='broadcast transforms of people',
            ),
            DeclareLaunchArgument(
                'rviz',
                default_value='true',
                choices=BOOL,
                description='start RViz too',
            ),
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
                    ('/tf', 'tf'),
                    ('/tf_static', 'tf_static'),
                ],
                output='screen',
                emulate_tty=True,
            ),
            # Takes all other arguments of estimator.launch.py too.
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(SHARE / 'launch' / 'estimator.launch.py'))
            ),
        ]
    )
