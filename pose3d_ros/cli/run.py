# SPDX-License-Identifier: Apache-2.0
"""`pose3d run`: skeletons from pictures and videos into files, plots and a viewer."""

from __future__ import annotations

import argparse
import math
import sys
from typing import Any

import numpy as np

from ..camera import Camera
from ..errors import ConfigError
from ..outputs import FORMATS, Run, open_writers
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
    """An option for each output format."""
    group = parser.add_argument_group('results')
    for each in FORMATS:
        bare: dict[str, Any] = {'nargs': '?', 'const': ''} if each.bare else {}
        group.add_argument(each.option, metavar=each.file, help=each.help, **bare)


def run(args: argparse.Namespace) -> int:
    """Process the source, write what was asked for, print the summary."""
    if args.max_frames < 0:
        raise ConfigError(f'--max-frames must be 0 (all) or more, not {args.max_frames}')
    camera = Camera.load(args.camera) if args.camera else None
    source = open_source(args.source, camera=camera, sequence_fps=args.sequence)
    # People of unrelated pictures have no identity to keep.
    config = config_from(args, tracking=not source.independent)
    pipeline = make_pipeline(config, offline=args.offline)
    paths = paths_of(args)
    writers = open_writers(paths, run_of(pipeline, source))
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
    report = sys.stderr if '-' in paths.values() else sys.stdout
    print(summary_text(summary, pipeline), file=report)
    if summary.people and not summary.absolute:
        print(
            'no calibration (--camera): positions are relative to the root of each person',
            file=report,
        )
    for path in paths.values():
        if path not in ('', '-'):
            print(f'saved {path}', file=report)
    return INTERRUPTED if summary.interrupted else 0


def paths_of(args: argparse.Namespace) -> dict[str, str]:
    """The files that the options ask for, by Format.key."""
    values = {each: getattr(args, each.key) for each in FORMATS}
    return {each.key: path for each, path in values.items() if path or (each.bare and path == '')}


def run_of(pipeline: Pipeline, source: Source) -> Run:
    """What writers may need to know."""
    unrelated = source.independent and source.length != 1
    return Run(pipeline.skeleton, pipeline.info, source.name, source.fps, unrelated)


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
