# SPDX-License-Identifier: Apache-2.0
"""`pose3d run`: skeletons from pictures and videos into files, plots and a viewer."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ..camera import Camera
from ..errors import ConfigError
from ..outputs import Writer
from ..pipeline import Pipeline
from ..sources import Source, open_source
from ..types import FrameResult
from .loading import describe, make_pipeline
from .main import INTERRUPTED
from .offline import Summary, run_offline
from .options import add_pipeline_options, config_from, frames_bar, table

DESCRIPTION = """\
Find people in an image, a folder or glob of images, a video, a webcam (its index, as in 0) or a
stream (rtsp://...), and deliver their joints in 3D. If the camera is calibrated, positions are
metres in its optical frame (x right, y down, z forward), else relative to the person's root."""

EXAMPLES = """\
examples:
  pose3d run walk.mp4 --camera camera.yaml --save-video out.mp4 --save-json out.jsonl
  pose3d run photos/ --save-image pictures/
  pose3d run 0 --show
  pose3d run walk.mp4 --save-json - | jq '.people[]?.root'
Files get their name when they are whole; Ctrl-C ends the run and keeps what was written."""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        'run',
        help='skeletons from an image, a folder, a video or a webcam',
        usage='pose3d run SOURCE [--camera FILE] [--save-... FILE] [--show] [SETTINGS]',
        description=DESCRIPTION,
        epilog=EXAMPLES,
    )
    parser.add_argument(
        'source',
        metavar='SOURCE',
        help='image, folder, glob (quoted), video, webcam index or stream address',
    )
    parser.add_argument(
        '--camera',
        metavar='FILE',
        help='calibration (YAML as the ROS camera calibrator writes it); without it there are no '
        'absolute positions, unless --focal-length-px is set',
    )
    parser.add_argument(
        '--sequence',
        metavar='FPS',
        type=float,
        help='the images of a folder or glob are consecutive frames at this rate (default: '
        'unrelated pictures)',
    )
    parser.add_argument(
        '--max-frames', metavar='N', type=int, default=0, help='stop after N frames'
    )
    add_output_options(parser)
    add_pipeline_options(parser)
    parser.set_defaults(run=run)


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """The --save options and --show."""
    group = parser.add_argument_group('results')
    group.add_argument(
        '--save-json', metavar='FILE', help='JSON lines with everything; - for standard output'
    )
    group.add_argument('--save-csv', metavar='FILE', help='one row per joint, person and frame')
    group.add_argument(
        '--save-video', metavar='FILE.mp4', help='skeletons in the image, and a 3D view beside it'
    )
    group.add_argument(
        '--save-image',
        metavar='FILE.png',
        help='picture: skeletons in the image beside a 3D view, of the frame that shows most of '
        'the people; for several unrelated images a folder, with one picture of each',
    )
    group.add_argument(
        '--save-bag', metavar='FILE.mcap', help='ROS 2 bag: image, camera_info, skeletons, markers'
    )
    group.add_argument(
        '--show',
        metavar='FILE.rrd',
        nargs='?',
        const='',
        help='show it in a Rerun window, or record that view into a file',
    )


def run(args: argparse.Namespace) -> int:
    """Process the source, write what was asked for, print the summary."""
    if args.max_frames < 0:
        raise ConfigError(f'--max-frames must be 0 (all) or more, not {args.max_frames}')
    camera = Camera.load(args.camera) if args.camera else None
    source = open_source(args.source, camera=camera, sequence_fps=args.sequence)
    # People of unrelated pictures have no identity to keep.
    config = config_from(args, tracking=not source.independent)
    pipeline = make_pipeline(config, offline=args.offline)
    writers = open_writers(args, pipeline, source)
    people = [0]

    def count(_: int, result: FrameResult) -> None:
        people[0] = len(result.people)

    total = source.length
    if args.max_frames:
        total = min(args.max_frames, total or args.max_frames)
    summary = run_offline(
        pipeline,
        source,
        writers,
        max_frames=args.max_frames,
        progress=frames_bar(source.name, total, lambda: f'{people[0]} people'),
        each=count,
    )
    report = sys.stderr if args.save_json == '-' else sys.stdout
    print(summary_text(summary, pipeline), file=report)
    if summary.people and not summary.absolute:
        print(
            'no calibration (--camera): positions are relative to the root of each person',
            file=report,
        )
    for path in saved(args):
        print(f'saved {path}', file=report)
    return INTERRUPTED if summary.interrupted else 0


def open_writers(args: argparse.Namespace, pipeline: Pipeline, source: Source) -> list[Writer]:
    """The writers that the options ask for; those opened are discarded if a later one fails."""
    makers: list[Callable[[], Writer]] = []
    if args.save_json:
        from ..outputs.tables import JsonLines

        makers.append(
            lambda: JsonLines(args.save_json, pipeline.skeleton, pipeline.info, source.name)
        )
    if args.save_csv:
        from ..outputs.tables import Csv

        makers.append(lambda: Csv(args.save_csv))
    if args.save_video:
        from ..outputs.video import AnnotatedVideo

        makers.append(lambda: AnnotatedVideo(args.save_video, source.fps))
    if args.save_image:
        from ..outputs.pictures import Pictures

        several = source.independent and source.length != 1
        makers.append(lambda: Pictures(args.save_image, each=several))
    if args.save_bag:
        makers.append(lambda: _bag(args.save_bag, pipeline))
    if args.show is not None:
        from ..outputs.viewer import RerunViewer

        makers.append(lambda: RerunViewer(args.show))
    writers: list[Writer] = []
    try:
        for make in makers:
            writers.append(make())
    except BaseException:
        for writer in writers:
            writer.discard()
        raise
    return writers


def _bag(path: str, pipeline: Pipeline) -> Writer:
    try:
        from ..bags.writer import BagWriter
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith('rosbags'):
            raise
        raise ConfigError('--save-bag needs rosbags: pip install "pose3d_ros[bag]"') from error
    return BagWriter(path, pipeline)


def saved(args: argparse.Namespace) -> list[str]:
    """Names of the results that the options asked for."""
    names = [args.save_json, args.save_csv, args.save_video, args.save_image, args.save_bag]
    return [name for name in [*names, args.show] if name and name != '-']


def summary_text(summary: Summary, pipeline: Pipeline) -> str:
    """The table that ends a run."""
    work = summary.mean_ms('write')
    fps = 1000 / work if work else math.nan
    people = f'people at once {summary.most_people}'
    if pipeline.config.tracking:
        people += f', track ids {len(summary.ids)}'
    lines = [
        describe(pipeline),
        f'frames {summary.frames}, with people {summary.with_people}; {people}',
        f'{fps:.1f} frames/s (all stages from the file to the result, without writing)',
        '',
    ]
    rows = []
    for name, stage in summary.stages.items():
        if stage.runs:
            middle, high = np.percentile(stage.recent, (50, 95))
            mean = f'{stage.total / summary.frames:.2f}'
            rows.append([name, mean, f'{middle:.2f}', f'{high:.2f}', f'{stage.runs}'])
    lines.append(table(rows, ['ms per stage', 'per frame', 'median', 'p95', 'times run']))
    lines += [f'warning: {warning}' for warning in summary.warnings]
    if summary.interrupted:
        lines.append('interrupted: the results hold the frames up to here')
    return '\n'.join(lines)
