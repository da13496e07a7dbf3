# SPDX-License-Identifier: Apache-2.0
"""Starts the lifecycle node that makes skeletons of a camera's images.

Parameters come from `params_file`; arguments that are given replace what it says.
"""

from collections.abc import Callable
from pathlib import PurePosixPath

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

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity

SHARE = get_package_share_path('pose3d_ros')
# As YAML, XML and Python write them.
BOOL = ['true', 'false', 'True', 'False']

CAMERA = "prefix of a camera driver's topics, as in /camera: images are <camera>/image_raw"
IMAGE = 'topic of the images; empty: `image`, or what `camera` says'
INFO = 'topic of the calibration; empty: `camera_info` beside the image topic'
DETECTIONS = 'topic of boxes (vision_msgs/Detection2DArray) that the estimator shall use'
KEYPOINTS = (
    'topic of 2D keypoints (pose3d_ros/Skeleton3DArray) that the estimator shall use; '
    'estimator_info is expected beside it'
)
DEPTH = 'topic of depth images that are registered to the images: they tell how far away people are'
DEPTH_TRANSPORT = 'compressed: <depth_topic>/compressedDepth; raw if a depth_topic is given'
FRAME = "RViz's fixed frame; empty: target_frame, or that of rviz_config"

DEFAULTS = str(SHARE / 'config' / 'estimator.yaml')
PARAMS = 'file with parameters; the default one is followed by config/estimators/<estimator>.yaml'

# Argument, description, default, choices.
ARGUMENTS = [
    ('namespace', 'namespace of the node', '', None),
    ('name', 'name of the node', 'pose3d_estimator', None),
    ('camera', CAMERA, '', None),
    ('image_topic', IMAGE, '', None),
    ('camera_info_topic', INFO, '', None),
    ('detections_topic', DETECTIONS, '', None),
    ('keypoints_topic', KEYPOINTS, '', None),
    ('depth_topic', DEPTH, '', None),
    ('params_file', PARAMS, DEFAULTS, None),
    ('use_sim_time', 'take the time from /clock', '', ['', *BOOL]),
    ('rviz', 'start RViz too', 'false', BOOL),
    ('rviz_config', "RViz's configuration", str(SHARE / 'config' / 'pose3d.rviz'), None),
    ('fixed_frame', FRAME, '', None),
    ('respawn', 'start the node again if it ends by itself', 'false', BOOL),
    ('log_level', 'lowest level of log lines', 'info', ['debug', 'info', 'warn', 'error', 'fatal']),
]
# Arguments that are parameters of the same name; empty: what params_file says.
PARAMETERS = [
    ('estimator', 'name of the estimator', str, None),
    ('model', 'registered model or path of a model file', str, None),
    ('models_dir', 'where models are stored', str, None),
    ('backend', 'inference runtime', str, ['', 'auto', 'openvino', 'onnxruntime']),
    ('device', 'inference device, as CPU, GPU, NPU, AUTO', str, None),
    ('precision', 'of inference', str, ['', 'auto', 'f32', 'mixed', 'bf16', 'f16', 'int8']),
    ('image_transport', 'compressed: <image_topic>/compressed', str, ['', 'raw', 'compressed']),
    ('depth_transport', DEPTH_TRANSPORT, str, ['', 'none', 'raw', 'compressed']),
    ('target_frame', "publish in this frame instead of the camera's", str, None),
    ('publish_tf', 'broadcast transforms of people', bool, ['', *BOOL]),
    ('autostart', 'configure and activate by itself', bool, ['', *BOOL]),
]
TF_REMAPPINGS = [('/tf', 'tf'), ('/tf_static', 'tf_static')]


def generate_launch_description() -> LaunchDescription:
    declared = [
        DeclareLaunchArgument(name, description=doc, default_value=default, choices=choices)
        for name, doc, default, choices in ARGUMENTS
    ]
    declared += [
        DeclareLaunchArgument(
            name,
            description=f'{doc}; empty: as in params_file',
            default_value='',
            choices=choices,
        )
        for name, doc, _, choices in PARAMETERS
    ]
    return LaunchDescription(
        [
            # Lines come whole and in order, as in a terminal.
            SetEnvironmentVariable('RCUTILS_LOGGING_BUFFERED_STREAM', '1'),
            *declared,
            OpaqueFunction(function=start),
        ]
    )


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The node, and RViz if wanted; here because remappings depend on what is given."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    given = {
        name: ParameterValue(LaunchConfiguration(name), value_type=kind)
        for name, _, kind, _ in [*PARAMETERS, ('use_sim_time', '', bool, None)]
        if value(name)
    }
    for topic, setting in (('detections_topic', 'detector'), ('keypoints_topic', 'keypoints')):
        if value(topic) and value('estimator'):
            given[f'{value("estimator")}.{setting}'] = 'topic'
    if value('depth_topic') and not value('depth_transport'):
        given['depth_transport'] = 'raw'
    logger = '.'.join([*value('namespace').strip('/').split('/'), value('name')]).lstrip('.')
    files = [value('params_file')] if value('params_file') else []
    own = SHARE / 'config' / 'estimators' / f'{value("estimator")}.yaml'
    if files == [DEFAULTS] and own.is_file():
        # That file has BlazePose's defaults.
        files.append(str(own))
    entities: list[LaunchDescriptionEntity] = [
        Node(
            package='pose3d_ros',
            executable='estimator',
            name=value('name'),
            namespace=value('namespace'),
            parameters=[*(ParameterFile(file, allow_substs=True) for file in files), given],
            remappings=[*TF_REMAPPINGS, *input_remappings(value)],
            ros_arguments=['--log-level', f'{logger}:={value("log_level")}'],
            output='screen',
            emulate_tty=True,
            respawn=value('respawn').lower() == 'true',
            respawn_delay=2.0,
        )
    ]
    if value('rviz').lower() == 'true':
        entities.append(rviz(value))
    return entities


def input_remappings(value: Callable[[str], str]) -> list[tuple[str, str]]:
    """Of `image`, `camera_info` and what comes beside them, if any argument names them."""
    image, info = value('image_topic'), value('camera_info_topic')
    if not image and value('camera'):
        image = f'{value("camera").rstrip("/")}/image_raw'
    if not info and image:
        # Where image_transport expects it.
        info = str(PurePosixPath(image).parent / 'camera_info')
    pairs = [('image', image), ('camera_info', info), ('detections', value('detections_topic'))]
    pairs.append(('depth_image', value('depth_topic')))
    keypoints = value('keypoints_topic')
    if keypoints:
        told = str(PurePosixPath(keypoints).parent / 'estimator_info')
        pairs += [('keypoints', keypoints), ('keypoints_info', told)]
    return [pair for pair in pairs if pair[1]]


def rviz(value: Callable[[str], str]) -> LaunchDescriptionEntity:
    """RViz, showing this node's topics wherever they are."""
    try:
        get_package_share_path('rviz2')
    except PackageNotFoundError:
        return LogInfo(msg='rviz2 is not installed: everything runs without it')
    default = '/pose3d_estimator'
    node = '/'.join(['', *(part for part in [value('namespace').strip('/')] if part)])
    node = f'{node.rstrip("/")}/{value("name")}'
    frame = value('fixed_frame') or value('target_frame')
    return Node(
        package='rviz2',
        executable='rviz2',
        name='rviz',
        namespace=value('namespace'),
        arguments=['-d', value('rviz_config'), *(['-f', frame] if frame else [])],
        parameters=[{'use_sim_time': value('use_sim_time').lower() == 'true'}],
        remappings=[
            *TF_REMAPPINGS,
            *((f'{default}/{name}', f'{node}/{name}') for name in ('markers', 'debug_image')),
        ],
        output='screen',
    )
