# SPDX-License-Identifier: Apache-2.0
"""`pose3d camera`: a video, a folder or a webcam as ROS 2 camera topics."""

from __future__ import annotations

import argparse
import logging
from typing import Any

from ..camera import Camera
from ..errors import ConfigError
from ..node.playback import play
from ..node.signals import Signals
from ..sources import OPTICAL_FRAME, open_source
from .logs import log_to_stderr
from .node import add_network_options, check_transport, join

EPILOG = """\
Topics: image, image/compressed and, with --camera, camera_info; named <namespace>/<topic>, as in

  pose3d camera walk.mp4 --loop --camera calibration.yaml --namespace /camera
  pose3d node -r image:=/camera/image -r camera_info:=/camera/camera_info"""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        'camera',
        help='publish a video, a folder or a webcam as ROS 2 camera topics',
        description='Publishes frames as a camera driver does, over DDS or Zenoh, without ROS.',
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('source', help='image, folder, glob, video, webcam index or stream address')
    parser.add_argument(
        '--camera', metavar='FILE', help='calibration (camera_calibration YAML) for camera_info'
    )
    parser.add_argument(
        '--rate',
        type=float,
        metavar='HZ',
        help="images per second; 0: as fast as possible (default: the source's own pace)",
    )
    parser.add_argument('--loop', action='store_true', help='begin again at the end')
    parser.add_argument(
        '--frame-id',
        default=OPTICAL_FRAME,
        metavar='NAME',
        help=f'optical frame of the camera (default: {OPTICAL_FRAME})',
    )
    parser.add_argument(
        '--best-effort',
        action='store_true',
        help='publish with best effort as many drivers do, instead of reliably',
    )
    parser.add_argument(
        '--wait',
        type=float,
        default=0.0,
        metavar='SECONDS',
        help='begin when somebody listens, at the latest after so long (default: 0)',
    )
    add_network_options(parser, default_name='camera')
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Publish until the source ends or until asked to end."""
    check_transport(args, 'camera', 'camera')
    from ..standalone.camera import CameraNode
    from ..standalone.names import Names

    log_to_stderr(args.verbose)
    if args.rate is not None and not 0 <= args.rate <= 1000:
        raise ConfigError(f'--rate must lie in [0, 1000], not {args.rate:g}')
    names = Names.parse(args.name, args.namespace, args.remap)
    camera = Camera.load(args.camera) if args.camera else None
    source = open_source(args.source, camera=camera, frame_id=args.frame_id)
    log = logging.getLogger('pose3d')
    with Signals() as signals:
        node = join(args, names)
        shown = CameraNode(node, args.frame_id, reliable=not args.best_effort)
        log.info('%s publishes %s and %s/compressed', names.full, shown.topic, shown.topic)
        try:
            shown.wait_for_listener(args.wait, signals.stopped.wait)
            sent = play(
                source,
                shown.send,
                rate_hz=args.rate,
                loop=args.loop,
                stopped=signals.stopped.is_set,
                wait=signals.stopped.wait,
            )
        finally:
            node.close()
    for warning in source.warnings:
        log.warning('%s', warning)
    log.info('%d images sent', sent)
    return 0
