# SPDX-License-Identifier: Apache-2.0
"""One node for several cameras, which share the model: <camera>/image_raw and so on."""

from ament_index_python.packages import get_package_share_path
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity

SHARE = get_package_share_path('pose3d_ros')

# Argument, description, default, choices.
ARGUMENTS = [
    ('cameras', 'names of the cameras, comma-separated', 'left,right', None),
    ('prefix', 'what stands before the names in topics, as in /robot', '', None),
    ('image_name', 'last part of the image topics', 'image_raw', None),
    ('namespace', 'namespace of the node', '', None),
    ('name', 'name of the node', 'pose3d_estimator', None),
    ('params_file', 'file with parameters', str(SHARE / 'config' / 'estimator.yaml'), None),
    ('use_sim_time', 'take the time from /clock', 'false', ['true', 'false', 'True', 'False']),
    ('log_level', 'lowest level of log lines', 'info', ['debug', 'info', 'warn', 'error', 'fatal']),
]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, description=doc, default_value=default, choices=choices)
                for name, doc, default, choices in ARGUMENTS
            ),
            OpaqueFunction(function=start),
        ]
    )


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The node; here because remappings depend on the cameras' names."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    prefix = f'{value("prefix").rstrip("/")}/' if value('prefix') else ''
    remappings = [('/tf', 'tf'), ('/tf_static', 'tf_static')]
    for camera in (part.strip() for part in value('cameras').split(',')):
        remappings += [
            (f'{camera}/image', f'{prefix}{camera}/{value("image_name")}'),
            (f'{camera}/camera_info', f'{prefix}{camera}/camera_info'),
        ]
    logger = '.'.join([*value('namespace').strip('/').split('/'), value('name')]).lstrip('.')
    given = {
        'cameras': ParameterValue(LaunchConfiguration('cameras'), value_type=str),
        'use_sim_time': ParameterValue(LaunchConfiguration('use_sim_time'), value_type=bool),
    }
    return [
        Node(
            package='pose3d_ros',
            executable='estimator',
            name=value('name'),
            namespace=value('namespace'),
            parameters=[ParameterFile(value('params_file'), allow_substs=True), given],
            remappings=remappings,
            ros_arguments=['--log-level', f'{logger}:={value("log_level")}'],
            output='screen',
            emulate_tty=True,
        )
    ]
