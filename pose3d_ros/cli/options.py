# SPDX-License-Identifier: Apache-2.0
"""Options that several commands share: every setting of the pipeline, and progress."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import yaml
from tqdm import tqdm

from ..errors import ConfigError, Pose3DError
from ..settings.declare import Setting, settings_of
from ..settings.estimators import ESTIMATORS, options_of
from ..settings.node import NodeConfig
from ..settings.parsing import from_mapping, read_yaml, without_ros_parameters
from ..settings.pipeline import PipelineConfig

T = TypeVar('T')

_log = logging.getLogger('pose3d')

# Groups of --help, by the beginning of the name; the first that fits.
GROUPS = (
    ('smoothing', ('smoothing',)),
    ('tracking', ('track', 'max_gap', 'publish_predicted')),
    (
        'absolute position',
        (
            'placement',
            'reprojection',
            'focal_length',
            'image_is',
            'body_height',
            'floor',
            'camera_h',
        ),
    ),
    ('people', ('skeleton', 'max_people', 'min_score')),
    ('estimator and runtime', ('',)),
)


class SettingsParser(argparse.ArgumentParser):
    """Adds the estimators' own settings to the help, and only then imports them."""

    def format_help(self) -> str:
        """Help with a list of what --set takes."""
        return super().format_help() + '\n' + _estimator_settings()


def add_pipeline_options(parser: argparse.ArgumentParser) -> None:
    """Every setting of PipelineConfig as an option, in groups, and the ways to set many at once."""
    parser.__class__ = SettingsParser
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    general = parser.add_argument_group('settings')
    general.add_argument(
        '--params-file',
        metavar='FILE',
        help='YAML file with settings, also in the form of a ROS parameters file '
        '(options of the command line win)',
    )
    general.add_argument(
        '--set',
        metavar='NAME=VALUE',
        action='append',
        default=[],
        help="any setting by name, as in --set blazepose.min_presence=0.3; an estimator's own "
        'are listed below',
    )
    general.add_argument(
        '--offline',
        action='store_true',
        help='never download: a missing model is an error',
    )
    groups: dict[str, Any] = {}
    for title, _ in reversed(GROUPS):
        groups[title] = parser.add_argument_group(title)
    for item in settings_of(PipelineConfig):
        title = next(t for t, heads in GROUPS if item.name.startswith(heads))
        _add_setting(groups[title], item)


def add_settings(group: Any, settings: Iterable[Setting]) -> None:
    """Settings as options of a group."""
    for item in settings:
        _add_setting(group, item)


def _add_setting(group: Any, item: Setting) -> None:
    flag = '--' + item.name.replace('_', '-')
    # No default here: only what was typed overrides the file.
    common: dict[str, Any] = {'dest': f'setting_{item.name}', 'default': None}
    text = item.doc.replace('%', '%%')
    if item.type is bool:
        group.add_argument(
            flag,
            action=argparse.BooleanOptionalAction,
            help=f'{text} (default: {"on" if item.default else "off"})',
            **common,
        )
        return
    if item.low is not None or item.high is not None:
        text += f', {item.range}'
    if item.choices:
        text += '; one of ' + ', '.join(choice for choice in item.choices if choice)
    if item.default != '':
        text += f' (default: {item.default})'
    metavar = {int: 'N', float: 'X'}.get(item.type, 'NAME')
    group.add_argument(flag, type=item.type, metavar=metavar, help=text, **common)


def config_from(args: argparse.Namespace, **defaults: Any) -> PipelineConfig:
    """The pipeline's configuration; see read_config."""
    return read_config(args, PipelineConfig, **defaults)


def read_config(args: argparse.Namespace, config_class: type[T], **defaults: Any) -> T:
    """Settings of a dataclass: defaults, then --params-file, then --set, then single options.

    Raises ConfigError that names the origin of what is wrong.
    """
    values: dict[str, Any] = dict(defaults)
    if args.params_file:
        values |= _from_file(args.params_file, config_class)
    for item in args.set:
        name, equals, text = item.partition('=')
        if not equals:
            raise ConfigError(f'--set {item!r}: write NAME=VALUE')
        try:
            values[name.strip()] = yaml.safe_load(text) if text else ''
        except yaml.YAMLError as error:
            raise ConfigError(f'--set {item!r}: {text!r} is not a value') from error
    for key, value in vars(args).items():
        if key.startswith('setting_') and value is not None:
            values[key.removeprefix('setting_')] = value
    config = from_mapping(config_class, values)
    estimator = getattr(config, 'estimator', '')
    for name in (item.partition('=')[0].strip() for item in args.set):
        head = name.partition('.')[0]
        if head in ESTIMATORS and head != estimator:
            _log.warning('--set %s has no effect: the estimator is %s', name, estimator)
    return config


def _from_file(path: str, config_class: type[Any]) -> dict[str, Any]:
    """Settings of a file that may serve the node too; those of topics are not for the pipeline."""
    values = without_ros_parameters(read_yaml(path))
    # Checked as a whole first, so that an error names the file.
    from_mapping(NodeConfig, values, origin=path)
    ours = {item.name for item in settings_of(config_class)}
    nodes = {item.name for item in settings_of(NodeConfig)} - ours
    return {key: value for key, value in values.items() if key not in nodes}


def _estimator_settings() -> str:
    lines = ["estimators' own settings (--set NAME=VALUE):"]
    for name in ESTIMATORS:
        try:
            settings = list(settings_of(options_of(name), prefix=f'{name}.'))
        except (ImportError, Pose3DError) as error:
            lines.append(f'  {name}: not usable here ({error})')
            continue
        for item in settings:
            span = f', {item.range}' if item.low is not None or item.high is not None else ''
            if item.choices:
                span = '; one of ' + ', '.join(choice for choice in item.choices if choice)
            lines.append(f'  {item.name}\n      {item.doc}{span} (default: {item.default!r})')
    return '\n'.join(lines) + '\n'


def frames_bar(
    name: str, total: int | None, note: Callable[[], str] | None = None
) -> Callable[[Iterable[T]], Iterator[T]]:
    """A progress bar over frames with their rate; note: written behind, asked at every frame."""

    def bar(frames: Iterable[T]) -> Iterator[T]:
        settings: dict[str, Any] = {'desc': name, 'total': total, 'unit': ' frames'}
        with tqdm(file=sys.stderr, disable=None, dynamic_ncols=True, **settings) as shown:
            for frame in frames:
                yield frame
                if note is not None and not shown.disable:
                    shown.set_postfix_str(note(), refresh=False)
                shown.update()

    return bar


def table(rows: list[list[str]], header: list[str]) -> str:
    """Plain text table; the first column is left-aligned, numbers right-aligned."""
    widths = [max(len(row[k]) for row in [header, *rows]) for k in range(len(header))]
    lines = []
    for row in [header, ['-' * width for width in widths], *rows]:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        lines.append('  '.join(cells).rstrip())
    return '\n'.join(lines)
