# SPDX-License-Identifier: Apache-2.0
"""`pose3d models`: what is registered, what is here, fetch, convert and verify it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import ConfigError, ModelError, did_you_mean
from ..zoo import (
    Entry,
    fetch,
    find_model,
    how_to_get,
    load_registry,
    models_folder,
    problems,
    random_name,
)
from ..zoo.registry import Checkpoint
from ..zoo.store import MANIFEST, fetched_sums, problem


def add_parser(subparsers: Any) -> None:
    """Add the command and its own subcommands."""
    parser = subparsers.add_parser(
        'models',
        help='list, fetch, convert and verify model files',
        description='Model files: what is registered and what is here; fetch, convert, verify it.',
    )
    actions = parser.add_subparsers(metavar='ACTION', required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        '--models-dir',
        default='',
        metavar='FOLDER',
        help="where models are stored (default: $POSE3D_MODELS, else the user's data folder)",
    )
    common.add_argument(
        '--verbose',
        action='store_true',
        default=argparse.SUPPRESS,
        help='show the trace of an error',
    )

    def action(name: str, text: str, run: Any, **names: Any) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = actions.add_parser(
            name, parents=[common], help=text, description=text[0].upper() + text[1:] + '.'
        )
        if names:
            sub.add_argument('names', metavar='MODEL', **names)
        sub.set_defaults(run=run)
        return sub

    every = 'default: all known models'
    sub = action('list', 'list the known models', run_list)
    sub.add_argument('--json', action='store_true', help='print JSON')
    sub = action(
        'info', 'show files, sources and licences of models', run_info, nargs='*', help=every
    )
    sub.add_argument('--json', action='store_true', help='print JSON')
    sub = action('fetch', 'fetch models that are missing or damaged', run_fetch, nargs='*')
    sub.add_argument('--all', action='store_true', help='fetch every known model')
    sub.add_argument('--quiet', action='store_true', help='print nothing but errors')
    sub = action('convert', 'make model files out of official checkpoints', run_convert, nargs='+')
    sub.add_argument(
        '--checkpoint', metavar='FILE', help='another checkpoint than the fetched one (one model)'
    )
    sub.add_argument('--role', metavar='NAME', default='', help='one of several networks')
    sub.add_argument(
        '--formats', metavar='A,B', default='onnx,xml', help='onnx, xml (default: both)'
    )
    sub.add_argument(
        '--weights',
        choices=('f32', 'f16'),
        default='f32',
        help='precision of the stored weights (default: f32)',
    )
    sub.add_argument(
        '--size', metavar='WxH', default='', help='fix the size of the input (default: any size)'
    )
    sub.add_argument(
        '--random-weights',
        metavar='SEED',
        type=int,
        help='no checkpoint but random numbers, to measure speed; stored as <model>.random',
    )
    sub.add_argument('--quiet', action='store_true', help='print nothing but errors')
    sub = action('verify', 'check the stored files of models', run_verify, nargs='*', help=every)
    sub.add_argument('--json', action='store_true', help='print JSON')


def run_list(args: argparse.Namespace) -> int:
    """One line per model."""
    root = models_folder(args.models_dir)
    entries = load_registry().values()
    if args.json:
        return _print_json(
            [
                {'name': e.name, 'state': _state(e, root), 'estimator': e.estimator}
                | {'skeleton': e.skeleton, 'size': e.size, 'licence': e.licence, 'title': e.title}
                for e in entries
            ]
        )
    _print_table(
        [('MODEL', 'STATE', 'SIZE', 'LICENCE', 'SKELETON', 'WHAT IT IS')]
        + [
            (e.name, _state(e, root), _megabytes(e.size), e.licence, e.skeleton, e.title)
            for e in entries
        ]
    )
    print(f'\nStored in {root}')
    return 0


def run_info(args: argparse.Namespace) -> int:
    """All that the registry says of a model."""
    root = models_folder(args.models_dir)
    entries = _entries(args.names)
    if args.json:
        return _print_json(
            [
                dataclasses.asdict(e) | {'state': _state(e, root), 'folder': str(root / e.name)}
                for e in entries
            ]
        )
    for number, entry in enumerate(entries):
        if number:
            print()
        _print_info(entry, root)
    return 0


def run_fetch(args: argparse.Namespace) -> int:
    """Fetch models; the licence is shown before anything is transferred."""
    if bool(args.names) == args.all:
        raise ModelError('name models to fetch, or --all; pose3d models list shows them')
    for entry in _entries(args.names):
        root = models_folder(args.models_dir)
        here = _state(entry, root) == 'ready'
        if not here and not args.quiet:
            print(
                f'{entry.name}: {entry.title}\n'
                f'  licence {entry.licence}, from {entry.source}\n'
                + (f'  training data: {entry.training}\n' if entry.training else '')
                + f'  {_megabytes(entry.download)} to download, {_megabytes(entry.size)} stored',
                file=sys.stderr,
            )
        folder = fetch(entry, args.models_dir, progress=not args.quiet)
        if not args.quiet:
            state = 'already here' if here else 'ready'
            if problems(entry, folder):
                state = 'fetched; ' + how_to_get(entry, folder)
            print(f'{entry.name} is {state}: {folder}')
    return 0


def run_convert(args: argparse.Namespace) -> int:
    """Convert models; each is compared with PyTorch before it is stored."""
    from ..tools.families import require_packages

    if args.checkpoint and len(args.names) > 1:
        raise ConfigError('--checkpoint is for one model')
    size = _size(args.size)
    entries = _entries(args.names)
    frozen = [entry for entry in entries if _is_frozen(entry)]
    for entry in frozen:
        _convert_frozen(entry, args)
    entries = [entry for entry in entries if entry not in frozen]
    if not entries:
        return 0
    require_packages()
    from ..tools.convert.install import install

    for entry in entries:
        done = install(
            entry,
            args.models_dir,
            checkpoint=Path(args.checkpoint) if args.checkpoint else None,
            role=args.role,
            formats=tuple(name.strip() for name in args.formats.split(',') if name.strip()),
            precision=args.weights,
            size=size,
            seed=args.random_weights,
        )
        for role, converted in done.items():
            for label, error in converted.errors.items():
                if not args.quiet:
                    print(f'  {label}: {error:.1e} standard deviations from PyTorch')
            worst = max(converted.errors.values(), default=0.0)
            paths = ', '.join(path.name for path in converted.files)
            if not args.quiet:
                print(
                    f'{entry.name} {role}: {paths} in {converted.files[0].parent}, '
                    f'verified to {worst:.1e}'
                )
        if args.random_weights is not None and not args.quiet:
            print(
                f'RANDOM WEIGHTS: this model finds nobody. Run it with --model '
                f'{random_name(entry.name)} --allow-random-weights',
                file=sys.stderr,
            )
    return 0


def _is_frozen(entry: Entry) -> bool:
    return all(item.file.endswith('.pb') for item in entry.files.values())


def _convert_frozen(entry: Entry, args: argparse.Namespace) -> None:
    """ONNX files beside the TensorFlow graphs, for ONNX Runtime; OpenVINO needs none."""
    from ..tools.convert.frozen_to_onnx import convert

    model = find_model(entry.name, models_dir=args.models_dir)
    for role, path in model.files.items():
        target = path.with_suffix('.onnx')
        error_mm = convert(Path(args.checkpoint) if args.checkpoint else path, target)
        if not args.quiet:
            print(f'{entry.name} {role}: {target}, {error_mm:.3f} mm from the graph')


def _size(text: str) -> tuple[int, int] | None:
    if not text or text == 'any':
        return None
    width, _, height = text.partition('x')
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise ConfigError(f'--size must be WxH in pixels, as in 448x256, not {text!r}')
    return int(width), int(height)


def run_verify(args: argparse.Namespace) -> int:
    """Check sizes and checksums: 0 if all is whole; models never fetched count if named."""
    root = models_folder(args.models_dir)
    report = {}
    for entry in _entries(args.names):
        state = _state(entry, root)
        wrong = (
            [] if state == 'not fetched' and not args.names else problems(entry, root / entry.name)
        )
        report[entry.name] = {'state': state, 'problems': wrong}
    if args.json:
        _print_json(report)
    else:
        for name, status in report.items():
            print(f'{name}: {status["state"]}')
            for line in status['problems']:
                print(f'  {line}')
    return 1 if any(status['problems'] for status in report.values()) else 0


def _entries(names: Sequence[str]) -> list[Entry]:
    registry = load_registry()
    for name in names:
        if name not in registry:
            raise ModelError(
                f'model {name!r} is unknown{did_you_mean(name, registry)} '
                '(pose3d models list shows all)'
            )
    return [registry[name] for name in names or registry]


def _state(entry: Entry, root: Path) -> str:
    folder = root / entry.name
    if not problems(entry, folder):
        return 'ready'
    if entry.converted:
        fetched = all(not problem(item, folder / item.file) for item in entry.checkpoints)
        made = (folder / MANIFEST).exists()
        if fetched and not made:
            return 'not converted'
        return 'damaged' if made else 'not fetched'
    here = any((folder / item.file).exists() for item in entry.stored)
    return 'damaged' if here else 'not fetched'


def _print_info(entry: Entry, root: Path) -> None:
    print(entry.name)
    rows = [
        ('what it is', entry.title),
        ('estimator', entry.estimator),
        ('skeleton', entry.skeleton),
        ('licence', entry.licence),
        ('training', entry.training),
        ('source', entry.source),
        ('paper', entry.paper),
        ('download', _megabytes(entry.download)),
        ('state', f'{_state(entry, root)} ({root / entry.name})'),
    ]
    for label, text in rows:
        if text:
            print(f'  {label:<11}{text}')
    sums = fetched_sums(root / entry.name)
    print('  files')
    files = [('ROLE', 'FILE', 'BYTES', 'INPUT', 'PRECISION', 'CHECKSUM')]
    for role, item in entry.files.items():
        size = f'{item.input[0]}x{item.input[1]}' if item.input else '-'
        unknown = 'made by pose3d models convert' if item.family else _first_copy(item.file, sums)
        checksum = item.sha256 or unknown
        files.append((role, item.file, str(item.size or '-'), size, item.precision, checksum))
    files += [
        ('checkpoint', c.file, str(c.size or '-'), '-', '-', _known_digits(c))
        for c in entry.checkpoints
    ]
    files += [('notice', n.file, str(n.size), '-', '-', n.sha256) for n in entry.notices]
    _print_table(files, indent='    ')
    plain = [item.url for item in entry.stored if item.url]
    packages = [f'{entry.wheel.requirement} by pip'] if entry.wheel else []
    checkpoints = [url for item in entry.checkpoints for url in item.urls]
    if entry.npm:
        packages.append(f'npm pack {entry.npm.package}, {_megabytes(entry.npm.size)}')
        for url in entry.npm.urls:
            start = url.replace('{package}', entry.npm.package)
            plain += [start.replace('{path}', item.npm) for item in entry.sources if item.npm]
    notes = [item.note for item in entry.checkpoints if item.note]
    for address in dict.fromkeys((*plain, *packages, *checkpoints, *notes)):
        print(f'  from       {address}')


def _first_copy(file: str, sums: Mapping[str, str]) -> str:
    """What is said of a file that is published without a checksum."""
    return f'{sums[file]} (of the first copy)' if file in sums else 'not published'


def _known_digits(item: Checkpoint) -> str:
    digest = item.sha256 or item.sha384
    return digest or (f'{item.sha256_start}...' if item.sha256_start else 'not published')


def _megabytes(size: int) -> str:
    if not size:
        return 'unknown'
    return f'{size / 1e6:.1f} MB'


def _print_table(rows: Sequence[Sequence[str]], indent: str = '') -> None:
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print(indent + '  '.join(f'{cell:<{w}}' for cell, w in zip(row, widths)).rstrip())


def _print_json(content: Any) -> int:
    print(json.dumps(content, indent=2, ensure_ascii=False))
    return 0
