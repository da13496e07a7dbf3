# SPDX-License-Identifier: Apache-2.0
"""Files of a checkout that follow from tables of the package: config/, tables in docs/.

`python -m pose3d_ros.settings.generated` writes them.
"""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterable
from pathlib import Path

import yaml

from ..outputs import formats_markdown
from ..skeleton import SKELETONS, Skeleton, conversion
from .declare import Setting, Value, settings_of
from .estimators import ESTIMATORS, defaults_of, options_of
from .node import NodeConfig, node_settings


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


def conventions_markdown() -> str:
    """A section for each joint convention."""
    return '\n'.join(_convention(skeleton) for skeleton in SKELETONS.values())


def _convention(skeleton: Skeleton) -> str:
    lines = [f'### {skeleton.name}', '', *textwrap.wrap(skeleton.about, 120), '']
    lines += ['| | joint | parent | mirror |', '|---:|---|---|---|']
    for k, name in enumerate(skeleton.names):
        parent = skeleton.names[skeleton.parents[k]] if skeleton.parents[k] >= 0 else ''
        mirror = skeleton.names[skeleton.mirror[k]] if skeleton.mirror[k] != k else ''
        lines.append(f'| {k} | {name} | {parent} | {mirror} |')
    return '\n'.join(lines) + '\n'


def conversions_markdown() -> str:
    """What BlazePose's joints make of every other convention."""
    source = SKELETONS['blazepose_33']
    lines = ['| to | missing | mean of two |', '|---|---|---|']
    for target in SKELETONS.values():
        table = dict(zip(target.names, conversion(source, target)))
        missing = ', '.join(name for name, parts in table.items() if not parts)
        means = ', '.join(name for name, parts in table.items() if len(parts) > 1)
        if target is not source:
            lines.append(f'| `{target.name}` | {missing} | {means} |')
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
    ros2, skeletons = root / 'docs' / 'ros2.md', root / 'docs' / 'skeletons.md'
    outputs = root / 'docs' / 'outputs.md'
    files[ros2] = _filled(ros2.read_text(encoding='utf-8'), 'settings', to_markdown())
    text = _filled(skeletons.read_text(encoding='utf-8'), 'conversions', conversions_markdown())
    files[skeletons] = _filled(text, 'conventions', conventions_markdown())
    files[outputs] = _filled(outputs.read_text(encoding='utf-8'), 'formats', formats_markdown())
    return files


def _filled(text: str, name: str, content: str) -> str:
    """A document with the part between the comments `name` and `end of name` replaced."""
    begin, end = f'<!-- {name} -->', f'<!-- end of {name} -->'
    head, _, rest = text.partition(begin)
    return f'{head}{begin}\n{content}{end}{rest.partition(end)[2]}'


if __name__ == '__main__':
    for file, content in generated(Path(__file__).parents[2]).items():
        file.write_text(content, encoding='utf-8')
