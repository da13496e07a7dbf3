# SPDX-License-Identifier: Apache-2.0
"""What the launch files share: their arguments, and how nodes are started with them.

Imported by launch files only; nothing here needs more than ROS's launch packages.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_share_path
from launch.actions import (
    DeclareLaunchArgument,
    LogInfo,
    OpaqueFunction,
    SetEnvironmentVariable,
)
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue

from launch import LaunchContext, LaunchDescription

from ..node.qos import CYCLONE_BUFFERS

Entities = list[Any]
Values = Callable[[str], str]
"""The value of an argument."""


@dataclass(frozen=True)
class Argument:
    """An argument of a launch file."""

    name: str
    doc: str
    default: str = ''
    choices: Sequence[str] | None = None

    def declared(self) -> DeclareLaunchArgument:
        """For a launch description."""
        return DeclareLaunchArgument(
            self.name,
            description=self.doc,
            default_value=self.default,
            choices=None if self.choices is None else list(self.choices),
        )


# As YAML, XML and Python write them.
BOOL = ('true', 'false', 'True', 'False')
TF_REMAPPINGS = [('/tf', 'tf'), ('/tf_static', 'tf_static')]
NODE_NAME = 'pose3d_estimator'


def share() -> Any:
    """The package's share folder."""
    return get_package_share_path('pose3d_ros')


def defaults_file() -> str:
    """The parameters file with all settings."""
    return str(share() / 'config' / 'estimator.yaml')


def rviz_arguments() -> list[Argument]:
    """How RViz is shown."""
    frame = "RViz's fixed frame; empty: map, odom, base_footprint or base_link, whichever TF has"
    config = (
        "RViz's configuration, used as it is; empty: one that is made for the frames and topics"
    )
    return [
        Argument('rviz_config', config),
        Argument('fixed_frame', f'{frame}, else a level one'),
    ]


def common_arguments() -> list[Argument]:
    """Those of every launch file that starts an estimator, beside its parameters and inputs."""
    params = 'file with parameters; the default one is followed by that of the estimator'
    levels = ('debug', 'info', 'warn', 'error', 'fatal')
    return [
        Argument('namespace', 'namespace of the node'),
        Argument('name', 'name of the node', NODE_NAME),
        Argument('params_file', params, defaults_file()),
        Argument('use_sim_time', 'take the time from /clock', '', ('', *BOOL)),
        Argument('rviz', 'start RViz too', 'false', BOOL),
        *rviz_arguments(),
        Argument('respawn', 'start the node again if it ends by itself', 'false', BOOL),
        Argument('log_level', 'lowest level of log lines', 'info', levels),
    ]


# Arguments that are parameters of the same name; empty: what params_file says.
PARAMETERS: list[tuple[Argument, type]] = [
    (Argument('estimator', 'name of the estimator'), str),
    (Argument('model', 'registered model or path of a model file'), str),
    (Argument('models_dir', 'where models are stored'), str),
    (Argument('backend', 'inference runtime', '', ('', 'auto', 'openvino', 'onnxruntime')), str),
    (Argument('device', 'inference device, as CPU, GPU, NPU, AUTO'), str),
    (
        Argument(
            'precision', 'of inference', '', ('', 'auto', 'f32', 'mixed', 'bf16', 'f16', 'int8')
        ),
        str,
    ),
    (
        Argument(
            'image_transport',
            'compressed: <image topic>/compressed',
            '',
            ('', 'raw', 'compressed'),
        ),
        str,
    ),
    (
        Argument(
            'depth_transport',
            'compressed: <depth topic>/compressedDepth; raw if a depth topic is given',
            '',
            ('', 'none', 'raw', 'compressed'),
        ),
        str,
    ),
    (Argument('target_frame', "publish in this frame instead of the camera's"), str),
    (Argument('publish_tf', 'broadcast transforms of people', '', ('', *BOOL)), bool),
    (Argument('autostart', 'configure and activate by itself', '', ('', *BOOL)), bool),
]

CAMERA = [
    Argument(
        'camera', "prefix of a camera driver's topics, as in /camera: images are <camera>/image_raw"
    ),
    Argument('image_topic', 'topic of the images; empty: `image`, or what `camera` says'),
    Argument('camera_info_topic', 'topic of the calibration; empty: beside the image topic'),
    Argument(
        'detections_topic',
        'topic of boxes (vision_msgs/Detection2DArray) that the estimator shall use',
    ),
    Argument(
        'keypoints_topic',
        'topic of 2D keypoints (pose3d_ros/Skeleton3DArray) that the estimator shall use; '
        'estimator_info is expected beside it',
    ),
    Argument(
        'depth_topic',
        'topic of depth images registered to the images: they tell how far away people are',
    ),
]

CAMERAS = [
    Argument('cameras', 'names of the cameras, comma-separated', 'left,right'),
    Argument('prefix', 'what stands before the names in topics, as in /robot'),
    Argument('image_name', 'last part of the image topics, <prefix>/<camera>/<name>', 'image_raw'),
    Argument('camera_info_name', 'last part of the calibrations; empty: beside the image topics'),
    Argument('detections_name', 'last part of topics of boxes (vision_msgs/Detection2DArray)'),
    Argument('keypoints_name', 'last part of topics of 2D keypoints (pose3d_ros/Skeleton3DArray)'),
    Argument('depth_name', 'last part of topics of depth images registered to the images'),
]


def description(inputs: Iterable[Argument], start: Callable[[Values], Entities]) -> Any:
    """A launch file of an estimator with those arguments of its inputs."""
    declared = [*common_arguments(), *inputs]
    declared += [
        Argument(a.name, f'{a.doc}; empty: as in params_file', a.default, a.choices)
        for a, _ in PARAMETERS
    ]
    return LaunchDescription(
        [
            # Lines come whole and in order, as in a terminal.
            SetEnvironmentVariable('RCUTILS_LOGGING_BUFFERED_STREAM', '1'),
            *(argument.declared() for argument in declared),
            OpaqueFunction(function=lambda context: start(values_in(context))),
        ]
    )


def values_in(context: LaunchContext) -> Values:
    """The values of arguments once they are known."""
    return lambda name: str(LaunchConfiguration(name).perform(context))


def camera_remappings(value: Values) -> list[tuple[str, str]]:
    """Of `image`, `camera_info` and what comes beside them, where arguments of CAMERA name them."""
    image = value('image_topic')
    if not image and value('camera'):
        image = f'{value("camera").rstrip("/")}/image_raw'
    others = {
        'camera_info': value('camera_info_topic'),
        'detections': value('detections_topic'),
        'keypoints': value('keypoints_topic'),
        'depth_image': value('depth_topic'),
    }
    return _remappings('', image, others)


def cameras_remappings(value: Values) -> list[tuple[str, str]]:
    """The same for the arguments CAMERAS, by camera."""
    prefix = f'{value("prefix").rstrip("/")}/' if value('prefix') else ''
    pairs: list[tuple[str, str]] = []
    for camera in (part.strip() for part in value('cameras').split(',')):
        topic = f'{prefix}{camera}/{{}}'.format
        names = {
            'camera_info': value('camera_info_name'),
            'detections': value('detections_name'),
            'keypoints': value('keypoints_name'),
            'depth_image': value('depth_name'),
        }
        others = {key: topic(name) if name else '' for key, name in names.items()}
        pairs += _remappings(f'{camera}/', topic(value('image_name')), others)
    return pairs


def _remappings(prefix: str, image: str, others: dict[str, str]) -> list[tuple[str, str]]:
    pairs = {'image': image, **others}
    if image and not pairs['camera_info']:
        # Where image_transport expects it.
        pairs['camera_info'] = str(PurePosixPath(image).parent / 'camera_info')
    if pairs['keypoints']:
        pairs['keypoints_info'] = str(PurePosixPath(pairs['keypoints']).parent / 'estimator_info')
    return [(prefix + name, topic) for name, topic in pairs.items() if topic]


def estimator(
    value: Values, remappings: Sequence[tuple[str, str]], **parameters: object
) -> Entities:
    """The node, and RViz if it is asked for.

    parameters: beside those that have arguments of their own.
    """
    chosen: dict[str, object] = dict(parameters)
    for argument, value_type in PARAMETERS:
        if value(argument.name):
            configuration = LaunchConfiguration(argument.name)
            chosen[argument.name] = ParameterValue(configuration, value_type=value_type)
    if value('use_sim_time'):
        configuration = LaunchConfiguration('use_sim_time')
        chosen['use_sim_time'] = ParameterValue(configuration, value_type=bool)
    # A topic is named to be used.
    inputs = {name.rpartition('/')[2] for name, _ in remappings}
    if 'detections' in inputs:
        chosen['finder'] = 'topic'
    if 'keypoints' in inputs and value('estimator'):
        chosen[f'{value("estimator")}.keypoints'] = 'topic'
    if 'depth_image' in inputs and not value('depth_transport'):
        chosen['depth_transport'] = 'raw'
    files = [value('params_file')] if value('params_file') else []
    own = share() / 'config' / 'estimators' / f'{value("estimator")}.yaml'
    if files == [defaults_file()] and own.is_file():
        # That file has BlazePose's defaults.
        files.append(str(own))
    logger = '.'.join([*value('namespace').strip('/').split('/'), value('name')]).lstrip('.')
    entities: Entities = [
        Node(
            package='pose3d_ros',
            executable='estimator',
            name=value('name'),
            namespace=value('namespace'),
            parameters=[
                *(ParameterFile(file, allow_substs=True) for file in files),
                chosen,
            ],
            remappings=[*TF_REMAPPINGS, *remappings],
            ros_arguments=['--log-level', f'{logger}:={value("log_level")}'],
            output='screen',
            emulate_tty=True,
            respawn=value('respawn').lower() == 'true',
            respawn_delay=2.0,
            additional_env=_buffers(),
        )
    ]
    if value('rviz').lower() == 'true':
        namespace = value('namespace').strip('/')
        node = f'/{namespace}/{value("name")}' if namespace else f'/{value("name")}'
        entities += rviz(value, node, namespace)
    return entities


def _buffers() -> dict[str, str]:
    """Larger receive buffers for Cyclone DDS, unless the user has a configuration of his own.

    As much as the kernel allows (net.core.rmem_max); other middleware does not read it.
    """
    if os.environ.get('CYCLONEDDS_URI'):
        return {}
    configuration = f'<CycloneDDS><Domain>{CYCLONE_BUFFERS}</Domain></CycloneDDS>'
    return {'CYCLONEDDS_URI': configuration}


def rviz(value: Values, node: str, namespace: str) -> Entities:
    """RViz, showing a node's topics; with the transforms of a namespace."""
    try:
        get_package_share_path('rviz2')
    except PackageNotFoundError:
        return [LogInfo(msg='rviz2 is not installed: everything runs without it')]
    parameters = {
        'node': node,
        'rviz_config': value('rviz_config'),
        'fixed_frame': value('fixed_frame'),
        'use_sim_time': value('use_sim_time').lower() == 'true',
    }
    return [
        Node(
            package='pose3d_ros',
            executable='rviz',
            name=f'{node.rpartition("/")[2]}_rviz',
            namespace=namespace,
            parameters=[parameters],
            remappings=TF_REMAPPINGS,
            output='screen',
            emulate_tty=True,
            additional_env=_buffers(),
        )
    ]
