# SPDX-License-Identifier: Apache-2.0
"""`pose3d bag`: recorded image topics in, skeleton topics out."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from tqdm import tqdm

from ..camera import Camera
from ..errors import InputError
from ..node_config import NodeConfig
from ..node_core import NODE_NAME
from .loading import describe, make_pipeline
from .needs import needs
from .options import add_pipeline_options, read_config

DESCRIPTION = """\
Processes every image of a recording, in its order, and writes a bag with the recorded topics and
those of the node: skeletons, markers, estimator_info and, with --set publish_tf=true, tf. Reads
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
        '--name',
        default=NODE_NAME,
        help=f'results are on /NAME/skeletons ... (default: {NODE_NAME})',
    )
    parser.add_argument(
        '--results-only', action='store_true', help='leave the recorded topics out of the output'
    )
    add_pipeline_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Process a bag."""
    needs('rosbags', 'bag', 'pose3d bag')
    from ..bag import BagFile
    from ..bag_run import BagRun, Recording, find_streams

    config = read_config(args, NodeConfig)
    camera = Camera.load(args.camera) if args.camera else None
    recording = Recording(args.input)
    try:
        streams = find_streams(recording, args.image, args.camera_info)
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
    topics = ', '.join(stream.image for stream in streams)
    print(
        f'{describe(pipeline)}: {summary.images} images of {topics}, '
        f'{summary.people} skeletons -> {args.output}'
    )
    if summary.damage:
        raise InputError(f'{summary.damage}; what came before is in {args.output}')
    if not summary.images:
        raise InputError(f'{args.input}: no usable image on {topics}')
    return 0
