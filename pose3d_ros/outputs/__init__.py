# SPDX-License-Identifier: Apache-2.0
"""Results as files: JSON lines, CSV, annotated video, pictures. docs/outputs.md describes them.

FORMATS is the one table of them: the options of `pose3d run`, the writers and the overview in the
documentation follow from it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from ..errors import ConfigError
from ..skeleton import Skeleton
from ..types import EstimatorInfo, FrameResult


class Writer(Protocol):
    """Takes frame by frame; the file has its name only once it is closed.

    Every method raises OutputError if the file cannot be written.
    """

    def write(self, index: int, result: FrameResult) -> None:
        """Add one frame; index: its number in the source."""

    def close(self) -> None:
        """Finish the file and give it its name, with what has been written so far."""

    def discard(self) -> None:
        """Give up: nothing is left behind."""


@dataclass(frozen=True)
class Run:
    """What a writer may need to know of the run whose frames it takes.

    source: its name. fps: of the source, NaN if unknown. unrelated: several images that are no
    sequence.
    """

    skeleton: Skeleton
    info: EstimatorInfo
    source: str = ''
    fps: float = math.nan
    unrelated: bool = False


@dataclass(frozen=True)
class Format:
    """An output format: an option of `pose3d run`, and what writes it.

    writer: `module:Class` with a classmethod `open(path, run)` that returns a Writer; it is
    imported when it is used. package, extra: what it needs from PyPI, and the extra of ours that
    installs it. bare: the option may stand without a file, path is '' then.
    """

    option: str
    file: str
    help: str
    writer: str
    package: str = ''
    extra: str = ''
    bare: bool = False

    @property
    def key(self) -> str:
        """The option as an identifier: save_json."""
        return self.option.lstrip('-').replace('-', '_')

    def open(self, path: str, run: Run) -> Writer:
        """Begin a file. Raises ConfigError if a package is missing, OutputError."""
        module, _, name = self.writer.partition(':')
        try:
            writer: Writer = getattr(import_module(module), name).open(path, run)
        except ImportError as error:
            if not self.package or (error.name or '').startswith('pose3d_ros'):
                raise
            raise ConfigError(
                f'{self.option} needs {self.package}: pip install "pose3d_ros[{self.extra}]"'
            ) from error
        return writer


FORMATS = (
    Format(
        '--save-json',
        'FILE',
        'JSON lines with everything; - for standard output',
        'pose3d_ros.outputs.tables:JsonLines',
    ),
    Format(
        '--save-csv',
        'FILE',
        'one row per joint, person and frame',
        'pose3d_ros.outputs.tables:Csv',
    ),
    Format(
        '--save-video',
        'FILE.mp4',
        'skeletons in the image, and a 3D view beside it',
        'pose3d_ros.outputs.video:AnnotatedVideo',
    ),
    Format(
        '--save-image',
        'FILE.png',
        'picture: skeletons in the image beside a 3D view, of the frame that shows most of '
        'the people; for several unrelated images a folder, with one picture of each',
        'pose3d_ros.outputs.pictures:Pictures',
    ),
    Format(
        '--save-bag',
        'FILE.mcap',
        'ROS 2 bag: image, camera_info, skeletons, markers',
        'pose3d_ros.bags.writer:BagWriter',
        package='rosbags',
        extra='bag',
    ),
    Format(
        '--show',
        'FILE.rrd',
        'show it in a Rerun window, or record that view into a file',
        'pose3d_ros.outputs.viewer:RerunViewer',
        package='rerun-sdk',
        extra='show',
        bare=True,
    ),
)


def open_writers(paths: Mapping[str, str], run: Run) -> list[Writer]:
    """A writer for each path, by Format.key; those opened are discarded if a later one fails."""
    writers: list[Writer] = []
    try:
        for each in FORMATS:
            if each.key in paths:
                writers.append(each.open(paths[each.key], run))
    except BaseException:
        for writer in writers:
            writer.discard()
        raise
    return writers


def formats_markdown() -> str:
    """A table of the formats for the documentation."""
    lines = ['| option | result | needs |', '|---|---|---|']
    for each in FORMATS:
        file = f'[{each.file}]' if each.bare else each.file
        extra = f'`pose3d_ros[{each.extra}]`' if each.extra else ''
        lines.append(f'| `{each.option} {file}` | {each.help} | {extra} |')
    return '\n'.join(lines) + '\n'
