# SPDX-License-Identifier: Apache-2.0
"""RViz for a node that runs already: `ros2 launch pose3d_ros rviz.launch.py node:=/my/node`."""

from launch.actions import OpaqueFunction

from launch import LaunchDescription
from pose3d_ros.ros.launching import (
    BOOL,
    NODE_NAME,
    Argument,
    Entities,
    Values,
    rviz,
    rviz_arguments,
    values_in,
)

ARGUMENTS = [
    Argument('node', 'full name of the node whose topics are shown', f'/{NODE_NAME}'),
    Argument('namespace', "namespace of the transforms' topics; empty: that of the node"),
    Argument('use_sim_time', 'take the time from /clock', 'false', BOOL),
    *rviz_arguments(),
]


def start(value: Values) -> Entities:
    node = '/' + value('node').strip('/')
    return rviz(value, node, value('namespace').strip('/') or node.rpartition('/')[0].strip('/'))


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            *(argument.declared() for argument in ARGUMENTS),
            OpaqueFunction(function=lambda context: start(values_in(context))),
        ]
    )
