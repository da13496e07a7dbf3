# SPDX-License-Identifier: Apache-2.0
"""`pose3d evaluate`: accuracy of any estimator on clips with ground truth."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from typing import Any

import numpy as np

from .. import __version__
from ..errors import InputError
from ..outputs.files import write_text
from ..settings.declare import settings_of
from ..tools.clips import JOINTS, Clip
from ..tools.evaluate import ClipResult, evaluate_clip, find_clips, mean_scores
from .loading import make_pipeline
from .options import add_pipeline_options, config_from, frames_bar, table

# Column title, key of the scores, number format.
COLUMNS = (
    ('found %', 'detection_rate', '{:.1%}'),
    ('MPJPE', 'mpjpe_mm', '{:.1f}'),
    ('PA-MPJPE', 'pa_mpjpe_mm', '{:.1f}'),
    ('2D mean', 'error_2d_px_mean', '{:.1f}'),
    ('median', 'error_2d_px_median', '{:.1f}'),
    ('root median', 'root_error_mm_median', '{:.0f}'),
    ('mean', 'root_error_mm_mean', '{:.0f}'),
    ('depth bias', 'depth_bias_mm', '{:+.0f}'),
    ('absolute', 'absolute_mpjpe_mm', '{:.0f}'),
    ('switches', 'identity_switches', '{:d}'),
    ('false', 'false_people', '{:d}'),
    ('in 1 sigma', 'coverage_1_sigma', '{:.0%}'),
)
EXPLANATION = """\
MPJPE: 13 joints, pelvis (middle of the hips) at the origin, mm; PA-MPJPE: after rotation and scale
too. 2D: pixels. root: error of the absolute pelvis, mm; depth bias: its mean along the view, mm.
absolute: MPJPE in the camera's frame, mm. switches: changes of a person's track id. false:
predictions that are nobody. in 1 sigma: coordinates within the stated standard deviation
(68 % if it is right)."""

_FLOOR_OF_CLIP = 'known'
_FLOOR = """\
--floor known: height and tilt of the camera are taken from the ground truth, as transforms tell
them to a node."""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        'evaluate',
        help='accuracy against clips with ground truth',
        usage='pose3d evaluate [--data FOLDER] [--clips A,B] [--height true] '
        '[--floor known] [--json FILE] [SETTINGS]',
        description='Run clips with exact 3D ground truth through an estimator and print\n'
        'its errors per clip and on the mean.',
        epilog=f'{EXPLANATION}\n{_FLOOR}',
    )
    parser.add_argument(
        '--data',
        metavar='FOLDER',
        default='',
        help='folder of clips, <name>.mp4 with <name>.npz (default: $POSE3D_DATA, else the bundled '
        'clips)',
    )
    parser.add_argument('--clips', metavar='A,B', default='', help='only these clips')
    parser.add_argument(
        '--height',
        choices=('true',),
        help='set body_height_m in each clip to the true height of its person; only clips of one',
    )
    parser.add_argument('--json', metavar='FILE', help='write all numbers into this file')
    add_pipeline_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the table, write the JSON file."""
    floor = args.setting_floor == _FLOOR_OF_CLIP
    if floor:
        args.setting_floor = 'tf'  # which takes what the frames come with
    config = config_from(args)
    names = [name.strip() for name in args.clips.split(',') if name.strip()]
    clips = find_clips(args.data, names)
    heights = [true_height(clip) if args.height else config.body_height_m for clip in clips]
    pipeline = make_pipeline(config, offline=args.offline)
    results = []
    for clip, height in zip(clips, heights):
        pipeline.configure(replace(config, body_height_m=height))
        progress = frames_bar(clip.name, len(clip.xyz))
        results.append(evaluate_clip(pipeline, clip, progress, floor=floor))
    print(text_table(results))
    print('\n' + EXPLANATION)
    for warning in (w for result in results for w in result.warnings):
        print(f'warning: {warning}')
    if args.json:
        info = pipeline.info
        content = {
            'version': __version__,
            'estimator': config.estimator,
            'model': {
                'name': info.model,
                'version': info.version,
                'backend': info.backend,
                'device': info.device,
                'precision': info.precision,
            },
            'settings': {s.name: getattr(config, s.name) for s in settings_of(config)}
            | {f'{config.estimator}.{name}': value for name, value in config.options.items()},
            'floor': _FLOOR_OF_CLIP if floor else config.floor,
            'heights_m': {clip.name: height for clip, height in zip(clips, heights)},
            'joints': list(JOINTS),
            'clips': {result.name: result.scores() for result in results},
            'mean_one_person': mean_scores([r for r in results if r.people == 1]),
            'mean': mean_scores(results),
        }
        write_text(args.json, json.dumps(content, indent=1) + '\n')
    return 0


def true_height(clip: Clip) -> float:
    """Height in metres of the one person of a clip; InputError if there are more, or none known."""
    if clip.people != 1:
        raise InputError(
            f'--height true: {clip.name} shows {clip.people} people, and body_height_m is one '
            'height; choose clips of one person with --clips'
        )
    if clip.height_m is None or not np.isfinite(clip.height_m[0]):
        raise InputError(f'--height true: {clip.name} tells no height, nor joints that would')
    return float(clip.height_m[0])


def text_table(results: list[ClipResult]) -> str:
    """One line per clip, then the means."""
    rows = [_row(result.name, result.scores()) for result in results]
    alone = [result for result in results if result.people == 1]
    if len(alone) > 1 and len(alone) < len(results):
        rows.append(_row('mean, one person', mean_scores(alone)))
    if len(results) > 1:
        rows.append(_row('mean, all clips', mean_scores(results)))
    return table(rows, ['clip', *(title for title, _, _ in COLUMNS)])


def _row(name: str, scores: dict[str, float | int | None]) -> list[str]:
    cells = [name]
    for _, key, style in COLUMNS:
        value = scores[key]
        cells.append('-' if value is None else style.format(value))
    return cells
