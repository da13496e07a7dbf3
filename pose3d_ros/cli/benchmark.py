# SPDX-License-Identifier: Apache-2.0
"""`pose3d benchmark`: latency of every stage, per device and precision."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from typing import Any

from .. import __version__
from ..benchmark import WARM_UP_FRAMES, Timing, benchmark, machine
from ..config import PRECISIONS
from ..errors import ConfigError, Pose3DError
from ..evaluate import find_clips
from ..outputs.files import write_text
from .loading import make_pipeline
from .options import add_pipeline_options, config_from, table

DESCRIPTION = """\
Time an estimator on a clip held in memory, from the BGR image to smoothed poses, for each device
and precision in turn, several rounds. The joint error shows what a precision costs. Numbers of
different runs or machines under load are not comparable; those of one run are."""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        'benchmark',
        help='latency of each stage, per device and precision',
        usage='pose3d benchmark [--devices A,B] [--precisions A,B] [--rounds N] [--json FILE] '
        '[SETTINGS]',
        description=DESCRIPTION,
    )
    parser.add_argument(
        '--devices', metavar='A,B', default='', help='devices to compare (default: --device)'
    )
    parser.add_argument(
        '--precisions',
        metavar='A,B',
        default='',
        help='precisions to compare (default: f32,mixed,bf16; with --precision that one alone)',
    )
    parser.add_argument('--clip', metavar='NAME', default='jump', help='clip (default: jump)')
    parser.add_argument(
        '--data', metavar='FOLDER', default='', help='folder of clips (default: as evaluate)'
    )
    parser.add_argument('--rounds', metavar='N', type=int, default=5, help='(default: 5)')
    parser.add_argument('--json', metavar='FILE', help='write all numbers into this file')
    add_pipeline_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure, print the table, write the JSON file."""
    if args.rounds < 1:
        raise ConfigError(f'--rounds must be 1 or more, not {args.rounds}')
    config = config_from(args)
    devices = _names(args.devices) or [config.device]
    default = ['f32', 'mixed', 'bf16'] if config.precision == 'auto' else [config.precision]
    precisions = _names(args.precisions) or default
    for name in precisions:
        if name not in PRECISIONS:
            raise ConfigError(f'--precisions: {name!r} is none of {", ".join(PRECISIONS)}')
    configs = [config.replace(device=d, precision=p) for d in devices for p in precisions]
    (clip,) = find_clips(args.data, [args.clip])
    timings = benchmark(
        configs,
        clip,
        rounds=args.rounds,
        load=partial(make_pipeline, offline=args.offline),
        progress=_show if sys.stderr.isatty() else lambda _: None,
    )
    if sys.stderr.isatty():
        _show('')
    here = machine()
    print(text(timings, here, clip.name, args.rounds))
    if args.json:
        content = {
            'version': __version__,
            'estimator': config.estimator,
            'clip': clip.name,
            'rounds': args.rounds,
            'machine': here,
            'results': [timing.record() for timing in timings],
        }
        write_text(args.json, json.dumps(content, indent=1) + '\n')
    if all(timing.failure for timing in timings):
        raise Pose3DError('none of the configurations can run here')
    return 0


def text(timings: list[Timing], here: dict[str, Any], clip: str, rounds: int) -> str:
    """The tables."""
    cores = f'{here["usable_cores"]} of {here["cores"]} cores'
    versions = ', '.join(f'{name} {number}' for name, number in here['packages'].items())
    threads = timings[0].config.threads or 'as the runtime decides'
    how = f'{rounds} rounds in turn, first {WARM_UP_FRAMES} frames of each left out'
    lines = [
        f'{here["cpu"]}, {cores}, load {here["load"]}; Python {here["python"]}, {versions}',
        f'clip {clip}, {how}; threads: {threads}',
        '',
    ]
    good = [timing for timing in timings if not timing.failure]
    rows = []
    for timing in good:
        total = timing.record()['total_ms']
        rows.append(
            [
                _title(timing),
                f'{timing.fps:.1f}',
                f'{total["median"]:.2f}',
                f'{total["p95"]:.2f}',
                '-' if timing.mpjpe_mm is None else f'{timing.mpjpe_mm:.1f}',
            ]
        )
    lines.append(table(rows, ['all stages', 'frames/s', 'median ms', 'p95 ms', 'MPJPE mm']))
    stages = list(dict.fromkeys(name for timing in good for name in timing.stages))
    rows = []
    for timing in good:
        numbers = timing.record()['stages_ms']
        rows.append([_title(timing), *(_cell(numbers.get(stage)) for stage in stages)])
    lines += ['', table(rows, ['ms per frame (median when run)', *stages])]
    lines += [f'not here: {_title(t)}: {t.failure}' for t in timings if t.failure]
    return '\n'.join(lines)


def _title(timing: Timing) -> str:
    device, precision = timing.device, timing.precision
    parts = (timing.backend, device or timing.config.device, precision or timing.config.precision)
    return ' '.join(part for part in parts if part)


def _cell(numbers: dict[str, float] | None) -> str:
    return '-' if numbers is None else f'{numbers["mean"]:.2f} ({numbers["median"]:.2f})'


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(',') if name.strip()]


def _show(message: str) -> None:
    print(f'\r\033[K{message}', end='', file=sys.stderr, flush=True)
