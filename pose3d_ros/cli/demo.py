# SPDX-License-Identifier: Apache-2.0
"""`pose3d demo`: the main job on the bundled video, with everything it can write."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..outputs import open_writers
from ..resources import resource
from ..sources import open_source
from ..tools.clips import Clip
from ..tools.evaluate import ClipResult, ClipScore
from ..types import FrameResult
from .loading import make_pipeline
from .main import INTERRUPTED
from .offline import run_offline
from .options import add_pipeline_options, config_from, frames_bar
from .run import run_of, summary_text

CLIPS = ('jump', 'two_people')


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        'demo',
        help='see it work on the bundled video',
        usage='pose3d demo [--output FOLDER] [--clip NAME] [SETTINGS]',
        description='Run the bundled video of a rendered person, whose joints are known exactly, '
        'through\nthe estimator. Writes an annotated video, a picture, a ROS 2 bag and all poses, '
        'and\nprints the speed of each stage and the error of the joints.',
    )
    parser.add_argument(
        '--output', metavar='FOLDER', default='output', help='where to write (default: ./output)'
    )
    parser.add_argument(
        '--clip', choices=CLIPS, default=CLIPS[0], help=f'bundled video (default: {CLIPS[0]})'
    )
    add_pipeline_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Process the bundled clip, write everything, print the tables."""
    config = config_from(args)
    clip = Clip.load(resource('demo', f'{args.clip}.mp4'))
    pipeline = make_pipeline(config, offline=args.offline)
    source = open_source(clip.video, camera=clip.camera)
    folder = Path(args.output)
    files = {
        'save_video': (folder / f'{clip.name}.mp4', 'annotated video'),
        'save_image': (folder / f'{clip.name}.png', 'picture with a 3D view'),
        'save_bag': (folder / f'{clip.name}.mcap', 'ROS 2 bag: ros2 bag play, Foxglove'),
        'save_json': (folder / f'{clip.name}.jsonl', 'all poses'),
    }
    paths = {key: str(path) for key, (path, _) in files.items()}
    score = ClipScore(clip)

    def compare(index: int, result: FrameResult) -> None:
        score.number(index, result.frame)
        score.add([result])

    summary = run_offline(
        pipeline,
        source,
        open_writers(paths, run_of(pipeline, source)),
        progress=frames_bar(clip.name, source.length),
        each=compare,
    )
    print(summary_text(summary, pipeline))
    print('\n' + errors_text(score.result) + '\n')
    for path, what in files.values():
        print(f'{what + ":":<36} {path}')
    return INTERRUPTED if summary.interrupted else 0


def errors_text(result: ClipResult) -> str:
    """What the poses are worth, in words."""
    scores = result.scores()

    def mm(key: str) -> str:
        value = scores[key]
        return '-' if value is None else f'{value:.0f} mm'

    return '\n'.join(
        [
            f'against the ground truth of {result.name}:',
            f'  people found: {scores["people_found"]} of {scores["people_visible"]}',
            f'  joint error relative to the pelvis (MPJPE): {mm("mpjpe_mm")}',
            f'  joint error after alignment (PA-MPJPE): {mm("pa_mpjpe_mm")}',
            f'  pelvis in the camera frame, median error: {mm("root_error_mm_median")}',
        ]
    )
