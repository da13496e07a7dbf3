# SPDX-License-Identifier: Apache-2.0
"""`pose3d node`: the ROS 2 node, without a ROS installation."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from ..node.signals import Signals
from ..node.topics import NODE_NAME
from ..settings.declare import settings_of
from ..settings.node import NodeConfig
from ..settings.parsing import read_yaml
from ..settings.pipeline import PipelineConfig
from .loading import make_pipeline
from .logs import log_to_stderr
from .needs import needs
from .options import add_pipeline_options, add_settings, read_config

if TYPE_CHECKING:
    from ..standalone.names import Names
    from ..standalone.overrides import Overrides
    from ..standalone.wire import WireNode

# As messages.standalone has them, which needs rosbags.
DISTROS = ('humble', 'jazzy', 'kilted', 'lyrical')

EPILOG = """\
Topics: image (or image/compressed) and camera_info in; ~/skeletons, ~/markers, ~/debug_image,
~/estimator_info, /diagnostics and, with --publish-tf, /tf out. Estimators set to take boxes or
keypoints from a topic hear detections, or keypoints and keypoints_info; with --depth-transport raw
depth_image tells how far away people are. All are remapped with -r as in ROS:

  pose3d node --params-file config/estimator.yaml -r image:=/camera/image_raw \\
      -r camera_info:=/camera/camera_info

SIGHUP reads the parameters file again and takes over the live settings; SIGINT and SIGTERM end."""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        'node',
        help='the ROS 2 node, without a ROS installation',
        description='Subscribes to a camera topic and publishes 3D skeletons, over DDS or Zenoh, '
        'for ROS 2 nodes and tools on the network.',
        epilog=EPILOG,
    )
    add_network_options(parser, default_name=NODE_NAME)
    add_pipeline_options(parser)
    # autostart is for nodes with a life cycle.
    ours = {'autostart', *(item.name for item in settings_of(PipelineConfig))}
    group = parser.add_argument_group('node')
    add_settings(group, [s for s in settings_of(NodeConfig) if s.name not in ours])
    parser.set_defaults(run=run)


def add_network_options(parser: argparse.ArgumentParser, default_name: str) -> None:
    """Options of every command that is a node."""
    group = parser.add_argument_group('network')
    group.add_argument(
        '-r',
        '--remap',
        metavar='FROM:=TO',
        action='append',
        default=[],
        help='rename a topic, as in -r image:=/camera/image_raw (may be repeated)',
    )
    group.add_argument(
        '--name', default=default_name, help=f'name of the node (default: {default_name})'
    )
    group.add_argument('--namespace', default='/', help='namespace of the node (default: /)')
    group.add_argument(
        '--transport',
        choices=('dds', 'zenoh'),
        default='dds',
        help='how the other nodes talk: over DDS, or Zenoh as rmw_zenoh_cpp (default: dds)',
    )
    group.add_argument(
        '--domain', type=int, metavar='N', help='ROS domain (default: $ROS_DOMAIN_ID, else 0)'
    )
    group.add_argument(
        '--peers',
        choices=DISTROS,
        default='jazzy',
        help='ROS 2 distribution of the other nodes (default: jazzy)',
    )


def check_transport(args: argparse.Namespace, command: str, executable: str) -> None:
    """Raise ConfigError that says what to install for it; executable: what does without."""
    what = f'pose3d {command}'
    if args.transport == 'zenoh':
        for package in ('zenoh', 'xxhash', 'rosbags'):
            needs(package, 'zenoh', f'{what} --transport zenoh')
        return
    needs(
        'cyclonedds',
        'dds',
        what,
        f'--transport zenoh does without it, and under ROS 2 `ros2 run pose3d_ros {executable}`',
    )
    needs('rosbags', 'dds', what)


def join(args: argparse.Namespace, names: Names, overrides: Overrides | None = None) -> WireNode:
    """The network by its options, as that node."""
    node: Callable[..., WireNode]
    if args.transport == 'zenoh':
        from ..zenoh.participant import ZenohNode as node
    else:
        from ..dds.participant import DdsNode as node
    return node(names, domain=args.domain, distro=args.peers, overrides=overrides)


def run(args: argparse.Namespace) -> int:
    """Run the node until it is asked to end."""
    check_transport(args, 'node', 'estimator')
    from ..standalone.names import Names
    from ..standalone.node import StandaloneNode
    from ..standalone.overrides import Overrides

    log_to_stderr(args.verbose)
    names = Names.parse(args.name, args.namespace, args.remap)
    config = read_config(args, NodeConfig)
    raw = read_yaml(args.params_file) if args.params_file else {}
    use_sim_time = raw.get('use_sim_time', False)
    if not isinstance(use_sim_time, bool):
        raise ConfigError(f'use_sim_time must be true or false, not {use_sim_time!r}')
    overrides = Overrides.of(raw)
    pipeline = make_pipeline(config, offline=args.offline)
    with Signals() as signals:
        node = join(args, names, overrides)
        StandaloneNode(
            node,
            pipeline,
            config,
            signals=signals,
            read_config=(lambda: read_config(args, NodeConfig)) if args.params_file else None,
            use_sim_time=use_sim_time,
        ).run()
    return 0
