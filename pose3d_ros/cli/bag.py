# SPDX-License-Identifier: Apache-2.0
"""`pose3d bag`: recorded image topics in, skeleton topics out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tqdm import tqdm

from ..camera import Camera
from ..errors import ConfigError, InputError
from ..node.inputs import topics_of
from ..node.topics import IMAGE_TYPES, NODE_NAME, OUTPUTS
from ..settings.node import NodeConfig
from .loading import describe, make_pipeline
from .needs import needs
from .options import add_pipeline_options, read_config

DESCRIPTION = """\
Processes every image of a recording, in its order, and writes a bag with the recorded topics and
those of the node: skeletons, markers, estimator_info and, with --set publish_tf=true, tf. All
settings of the node hold; target_frame and gravity_frame use the recorded /tf and /tf_static. Reads
bags of ROS 2 (MCAP, SQLite; folder or file) and of ROS 1 (the output then has the results alone).
"""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        'bag',
        help='recorded image topics in, skeleton topics out',
        description=DESCRIPTION,
    )
    parser.add_argument('input', metavar='IN', help='recorded bag')
    parser.add_argument(
        'output', metavar='OUT', help='bag to write: NAME.mcap for one file, else a folder'
    )
    parser.add_argument(
        '--image',
        action='append',
        default=[],
        metavar='TOPIC',
        help='image topic, raw or compressed; may be repeated (default: the only one)',
    )
    parser.add_argument(
        '--camera-info',
        default='',
        metavar='TOPIC',
        help='calibration topic (default: camera_info beside the image)',
    )
    parser.add_argument(
        '--camera', metavar='FILE', help='calibration (camera_calibration YAML) to use instead'
    )
    parser.add_argument(
        '--depth', metavar='TOPIC', help='depth images, registered to the images; raw or compressed'
    )
    parser.add_argument(
        '--keypoints', metavar='TOPIC', help='2D keypoints (Skeleton3DArray) to lift'
    )
    parser.add_argument(
        '--detections', metavar='TOPIC', help='boxes of people (vision_msgs/Detection2DArray)'
    )
    parser.add_argument(
        '--name',
        default=NODE_NAME,
        help=f'results are on /NAME/skeletons ... (default: {NODE_NAME})',
    )
    parser.add_argument(
        '--results-only', action='store_true', help='leave the recorded topics out of the output'
    )
    parser.add_argument(
        '--debug-image', action='store_true', help='write the images with skeletons drawn, too'
    )
    add_pipeline_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Process a bag."""
    needs('rosbags', 'bag', 'pose3d bag')
    from ..bags.file import BagFile
    from ..bags.recording import Recording, find_auxiliary, find_streams
    from ..bags.run import BagRun

    config = read_config(args, NodeConfig)
    camera = Camera.load(args.camera) if args.camera else None
    recording = Recording(args.input)
    try:
        cameras = [name for name in config.camera_names if name]
        streams = find_streams(recording, args.image, args.camera_info, args.depth or '', cameras)
        auxiliary = find_auxiliary(recording, _named(args, len(streams)))
        args.set += _settings(auxiliary, config.estimator)
        config = read_config(args, NodeConfig)
        _check_named(config, auxiliary)
        if auxiliary:
            topics = {name: topic for name, (topic, _) in auxiliary.items()}
            streams = [replace(streams[0], auxiliary=topics)]
        pipeline = make_pipeline(config, offline=args.offline)
        with BagFile(args.output) as bag:
            work = BagRun(
                recording,
                bag,
                pipeline,
                config,
                streams,
                node=f'/{args.name.strip("/")}',
                camera=camera,
                copy=not args.results_only,
                outputs=[name for name in OUTPUTS if name != 'debug_image' or args.debug_image],
            )
            total = recording.count([stream.image for stream in streams])
            with tqdm(total=total, unit='image', file=sys.stderr, disable=None) as bar:
                summary = work.run(bar.update)
    finally:
        recording.close()
    for warning in summary.warnings[:10]:
        print(f'pose3d: warning: {warning}', file=sys.stderr)
    if len(summary.warnings) > 10:
        print(f'pose3d: and {len(summary.warnings) - 10} more warnings', file=sys.stderr)
    images = ', '.join(stream.image for stream in streams)
    print(
        f'{describe(pipeline)}: {summary.images} images of {images}, '
        f'{summary.people} skeletons -> {args.output}'
    )
    if summary.damage:
        raise InputError(f'{summary.damage}; what came before is in {args.output}')
    if not summary.images:
        raise InputError(f'{args.input}: no usable image on {images}')
    return 0


def _named(args: argparse.Namespace, streams: int) -> dict[str, str]:
    """Topics of auxiliary inputs that were named."""
    options = {
        'detections': args.detections, 'keypoints': args.keypoints, 'depth_image': args.depth,
    }  # fmt: skip
    topics = {name: topic for name, topic in options.items() if topic}
    if topics and streams > 1:
        raise ConfigError('--depth, --keypoints and --detections belong to one image topic')
    return topics


def _settings(auxiliary: Mapping[str, tuple[str, str]], estimator: str) -> list[str]:
    """NAME=VALUE of what makes an estimator use those topics."""
    settings = []
    if 'detections' in auxiliary:
        settings.append('finder=topic')
    if 'keypoints' in auxiliary:
        settings.append(f'{estimator}.keypoints=topic')
    if 'depth_image' in auxiliary:
        transport = 'raw' if auxiliary['depth_image'][1] == IMAGE_TYPES['raw'] else 'compressed'
        settings.append(f'depth_transport={transport}')
    return settings


def _check_named(config: NodeConfig, auxiliary: Mapping[str, tuple[str, str]]) -> None:
    """ConfigError if settings ask for a topic that was not named."""
    flags = {'detections': '--detections', 'keypoints': '--keypoints', 'depth_image': '--depth'}
    for name in topics_of(config):
        if name in flags and name not in auxiliary:
            raise ConfigError(
                f'the settings ask for {name} of a topic: name it, {flags[name]} TOPIC'
            )
