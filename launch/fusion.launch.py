# SPDX-License-Identifier: Apache-2.0
"""One set of people of several cameras whose skeletons are published already."""

from launch.actions import OpaqueFunction
from launch_ros.actions import Node

from launch import LaunchDescription
from pose3d_ros.ros.launching import BOOL, TF_REMAPPINGS, Argument, Entities, Values, values_in

ARGUMENTS = [
    Argument('cameras', 'names of the cameras, comma-separated', 'left,right'),
    Argument('fusion_frame', 'frame of the results, z up', 'map'),
    Argument('namespace', 'namespace of the node'),
    Argument('name', 'name of the node', 'pose3d_fusion'),
    Argument(
        'skeletons',
        "topics of the cameras' skeletons, with {} for the name; "
        'the default is what multi_camera.launch.py publishes',
        'pose3d_estimator/{}/skeletons',
    ),
    Argument('camera_info', 'topics of the calibrations, with {} for the name', '{}/camera_info'),
    Argument('use_sim_time', 'take the time from /clock', 'false', BOOL),
]


def start(value: Values) -> Entities:
    remappings = [
        (f'{camera}/{topic}', value(topic).replace('{}', camera))
        for camera in (part.strip() for part in value('cameras').split(','))
        for topic in ('skeletons', 'camera_info')
    ]
    parameters = {
        'cameras': value('cameras'),
        'fusion_frame': value('fusion_frame'),
        'use_sim_time': value('use_sim_time').lower() == 'true',
    }
    return [
        Node(
            package='pose3d_ros',
            executable='fusion',
            name=value('name'),
            namespace=value('namespace'),
            parameters=[parameters],
            remappings=[*TF_REMAPPINGS, *remappings],
            output='screen',
            emulate_tty=True,
        )
    ]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            *(argument.declared() for argument in ARGUMENTS),
            OpaqueFunction(function=lambda context: start(values_in(context))),
        ]
    )
