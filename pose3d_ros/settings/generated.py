# SPDX-License-Identifier: Apache-2.0
"""The files of a checkout that follow from the settings: config/ and the table in docs/ros2.md.

`python -m pose3d_ros.settings.generated` writes them.
"""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterable
from pathlib import Path

import yaml

from .declare import Setting, Value, settings_of
from .estimators import ESTIMATORS, defaults_of, options_of
from .node import NodeConfig, node_settings

_TABLE_BEGIN, _TABLE_END = '<!-- settings -->', '<!-- end of settings -->'


def to_yaml() -> str:
    """A parameters file with every setting, its default and what it means."""
    head = (
        '# Every setting of the node with its default. Those marked "live" may change while it\n'
        '# runs: ros2 param set under ROS, SIGHUP (reads this file again) for `pose3d node`.\n'
    )
    return head + _parameters(node_settings())


def estimator_yaml(estimator: str) -> str:
    """A parameters file that chooses an estimator, with that one's own settings and defaults."""
    chosen = Setting('estimator', estimator, 'name of the estimator')
    defaults = defaults_of(estimator)
    other = (
        dataclasses.replace(item, default=defaults[item.name])
        for item in settings_of(NodeConfig)
        if item.name in defaults
    )
    own = [*other, *settings_of(options_of(estimator), prefix=f'{estimator}.')]
    head = f'# Chooses {estimator}, with its own settings; all others are in ../estimator.yaml.\n'
    return head + _parameters([chosen, *own])


def to_markdown() -> str:
    """A table of all settings for the documentation."""
    lines = ['| parameter | default | allowed | live | meaning |', '|---|---|---|---|---|']
    for item in node_settings():
        allowed = f'`{item.type.__name__}`'
        if item.choices:
            allowed = ', '.join(f'`{choice or repr(choice)}`' for choice in item.choices)
        elif item.low is not None or item.high is not None:
            allowed += f' {item.range}'
        cells = (f'`{item.name}`', f'`{_scalar(item.default)}`', allowed)
        doc = item.doc.replace('<', '&lt;')
        lines.append(f'| {" | ".join(cells)} | {"yes" if item.live else ""} | {doc} |')
    return '\n'.join(lines) + '\n'


def _parameters(settings: Iterable[Setting]) -> str:
    lines = ['/**:', '  ros__parameters:']
    section = ''
    for item in settings:
        head, _, name = item.name.rpartition('.')
        if head != section:
            lines.append(f'    {head}:')
            section = head
        indent = ' ' * (6 if head else 4)
        notes = [item.doc]
        if item.choices:
            notes.append('one of ' + ', '.join(c or "''" for c in item.choices))
        elif item.low is not None or item.high is not None:
            notes.append(item.range)
        if item.live:
            notes.append('live')
        lines += textwrap.wrap(
            '; '.join(notes), 99, initial_indent=f'{indent}# ', subsequent_indent=f'{indent}# '
        )
        lines.append(f'{indent}{name}: {_scalar(item.default)}')
    return '\n'.join(lines) + '\n'


def _scalar(value: Value) -> str:
    if isinstance(value, str):
        return "'{}'".format(value.replace("'", "''"))
    return str(yaml.safe_dump(value)).splitlines()[0]


def generated(root: Path) -> dict[Path, str]:
    """The files of a checkout that are made of the settings, and what must be in them."""
    files = {root / 'config' / 'estimator.yaml': to_yaml()}
    for name in ESTIMATORS:
        files[root / 'config' / 'estimators' / f'{name}.yaml'] = estimator_yaml(name)
    document = root / 'docs' / 'ros2.md'
    text = document.read_text(encoding='utf-8')
    head, _, rest = text.partition(_TABLE_BEGIN)
    files[document] = (
        f'{head}{_TABLE_BEGIN}\n{to_markdown()}{_TABLE_END}{rest.partition(_TABLE_END)[2]}'
    )
    return files


if __name__ == '__main__':
    for file, content in generated(Path(__file__).parents[2]).items():
        file.write_text(content, encoding='utf-8')
