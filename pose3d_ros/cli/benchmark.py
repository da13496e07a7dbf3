# SPDX-License-Identifier: Apache-2.0
"""`pose3d benchmark`: latency of every stage, per device and precision."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from itertools import islice
from typing import Any

import cv2
import numpy as np

from .. import __version__
from ..errors import BackendError, ConfigError, ModelError, Pose3DError
from ..outputs.files import write_text
from ..pipeline import Pipeline
from ..settings.pipeline import PRECISIONS, PipelineConfig
from ..tools.benchmark import WARM_UP_FRAMES, Timing, benchmark, machine
from ..tools.clips import Clip
from ..tools.evaluate import find_clips
from ..tools.families import require_packages
from ..tools.throughput import Throughput, throughput
from ..types import Frame
from ..zoo import Entry, models_folder, problems, random_name
from .loading import make_pipeline, needed_models
from .options import add_pipeline_options, config_from, table

_RANDOM_FRAMES = 12
_RANDOM_SIZE = (1280, 720)

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
    parser.add_argument(
        '--people',
        metavar='N,N',
        default='0,1,4,20',
        help='with random weights: how many people to draw for the decoder (default: 0,1,4,20)',
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
    entry = _lacking(config)
    if entry is not None:
        return _run_random(args, configs, clip, entry)
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


def _lacking(config: PipelineConfig) -> Entry | None:
    """The model that would have to be converted first, from weights that are not here."""
    root = models_folder(config.models_dir)
    needed = needed_models(config)[:1]
    lacking = (entry for entry in needed if entry.converted and problems(entry, root / entry.name))
    return next(lacking, None)


def _run_random(
    args: argparse.Namespace, configs: list[PipelineConfig], clip: Clip, entry: Entry
) -> int:
    """Speed of an estimator without its weights: the network is real, its numbers are random."""
    people = [_count(name) for name in _names(args.people)]
    require_packages()
    from ..tools.convert.install import install

    print(
        f'RANDOM WEIGHTS: {entry.name} is not here; a network of random numbers is timed in its '
        'place, and the people that are decoded are drawn. This says nothing about accuracy.',
        file=sys.stderr,
    )
    name = random_name(entry.name)
    models_dir = configs[0].models_dir
    if problems(entry, models_folder(models_dir) / name):
        install(entry, models_dir, seed=0)
    frames = [
        Frame(cv2.resize(frame.image, _RANDOM_SIZE), frame.stamp_ns)
        for frame in islice(clip.frames(), _RANDOM_FRAMES)
    ]
    show = _show if sys.stderr.isatty() else lambda _: None
    here, results, failures = machine(), [], []
    for config in configs:
        try:
            pipeline = Pipeline(config.replace(model=name, allow_random_weights=True))
        except (BackendError, ModelError) as error:
            failures.append(f'not here: {config.device} {config.precision}: {error}')
            continue
        label = f'{pipeline.info.backend} {pipeline.info.device} {pipeline.info.precision}'

        def progress(text: str, label: str = label) -> None:
            show(f'{label}: {text}')

        measured = throughput(pipeline, frames, people, rounds=args.rounds, progress=progress)
        results.append((label, measured))
    show('')
    print(throughput_text(results, here, frames[0].size, args.rounds, configs[0].threads))
    print('\n'.join(failures), end='')
    if args.json:
        content = {
            'version': __version__,
            'estimator': configs[0].estimator,
            'weights': 'random',
            'rounds': args.rounds,
            'machine': here,
            'results': [
                {'network': label, **row.record()} for label, rows in results for row in rows
            ],
        }
        write_text(args.json, json.dumps(content, indent=1) + '\n')
    if not results:
        raise Pose3DError('none of the configurations can run here')
    return 0


def throughput_text(
    results: list[tuple[str, list[Throughput]]],
    here: dict[str, Any],
    size: tuple[int, int],
    rounds: int,
    threads: int,
) -> str:
    """The table of estimators whose frames overlap; medians, and p10 in brackets."""
    rows = []
    for label, measured in results:
        for one in measured:
            numbers = one.record()
            stages = numbers['stages_ms']

            def cell(entry: dict[str, float]) -> str:
                return f'{entry["median"]:.2f} ({entry["p10"]:.2f})'

            rows.append(
                [
                    label,
                    str(one.detected),
                    cell(numbers['network_ms']),
                    cell(stages['network']),
                    cell(stages['decode']),
                    cell(numbers['added_latency_ms']),
                    f'{np.median(one.network_fps):.1f}',
                    f'{np.median(one.path_fps):.1f}',
                    f'{one.share:.0%}',
                ]
            )
    header = ['network', 'people', 'alone ms', 'in a frame ms', 'decode ms', 'beyond ms']
    header += ['network/s', 'path/s', 'share']
    cores = f'{here["usable_cores"]} of {here["cores"]} cores, load {here["load"]}'
    lines = [
        f'{here["cpu"]}, {cores}; threads: {threads or "as the runtime decides"}',
        f'frames {size[0]}x{size[1]}, {rounds} rounds in turn; median (10th percentile)',
        'alone: the network with nothing else; beyond: what else a frame waits for;',
        'share: of the frames per second of the network alone that overlapping frames reach',
    ]
    return '\n'.join([*lines, '', table(rows, header)])


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) > 100:
        raise ConfigError(f'--people: {text!r} is no number from 0 to 100')
    return int(text)


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
    device, wanted = timing.device or timing.config.device, timing.config.precision
    title = ' '.join(part for part in (timing.backend, device, timing.precision or wanted) if part)
    # `mixed` is f32 on a device that computes in nothing lower.
    return title if timing.precision in ('', wanted) else f'{title} (set: {wanted})'


def _cell(numbers: dict[str, float] | None) -> str:
    return '-' if numbers is None else f'{numbers["mean"]:.2f} ({numbers["median"]:.2f})'


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(',') if name.strip()]


def _show(message: str) -> None:
    print(f'\r\033[K{message}', end='', file=sys.stderr, flush=True)
