# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from pose3d_ros import outputs
from pose3d_ros.cli.main import build_parser
from pose3d_ros.cli.run import paths_of
from pose3d_ros.errors import ConfigError, OutputError
from pose3d_ros.outputs import FORMATS, Format, Run, formats_markdown, open_writers
from pose3d_ros.skeleton import get_skeleton
from pose3d_ros.types import EstimatorInfo, Frame, FrameResult

RUN = Run(get_skeleton('coco_17'), EstimatorInfo('blobs', '1', 'none', 'cpu', 'f32', True), 'a.mp4')

# All that a new format needs besides its line in the table.
COUNTS = """
from pose3d_ros.outputs.files import write_text

class Counts:
    def __init__(self, path):
        self.path, self.counts = path, []

    @classmethod
    def open(cls, path, run):
        return cls(path)

    def write(self, index, result):
        self.counts.append(len(result.people))

    def close(self):
        write_text(self.path, f'{self.counts}')

    def discard(self):
        self.counts = []
"""


@pytest.fixture
def counts(tmp_path, monkeypatch):
    """A table with one more format."""
    (tmp_path / 'my_counts.py').write_text(COUNTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, 'my_counts', raising=False)
    new = Format('--save-counts', 'FILE.txt', 'people of each frame', 'my_counts:Counts')
    monkeypatch.setattr(outputs, 'FORMATS', (*FORMATS, new))
    monkeypatch.setattr('pose3d_ros.cli.run.FORMATS', outputs.FORMATS)


def parse(*options: str) -> dict[str, str]:
    return paths_of(build_parser('run').parse_args(['run', 'a.mp4', *options]))


def test_a_new_format_is_a_line_and_a_module(counts, tmp_path):
    paths = parse('--save-counts', str(tmp_path / 'a.txt'))
    assert list(paths) == ['save_counts']
    (writer,) = open_writers(paths, RUN)
    writer.write(0, FrameResult(Frame(np.zeros((4, 4, 3), np.uint8)), []))
    writer.close()
    assert (tmp_path / 'a.txt').read_text() == '[0]'
    assert '| `--save-counts FILE.txt` | people of each frame |' in formats_markdown()


def test_options_that_ask_for_nothing():
    assert parse() == {}
    assert parse('--save-csv', '') == {}
    assert parse('--show') == {'show': ''}
    assert parse('--show', 'a.rrd', '--save-json', '-') == {'show': 'a.rrd', 'save_json': '-'}


def test_nothing_is_left_if_a_later_one_cannot_be_opened(tmp_path):
    paths = {'save_json': str(tmp_path / 'a.jsonl'), 'save_image': str(tmp_path / 'a.gif')}
    with pytest.raises(OutputError, match='pictures are'):
        open_writers(paths, RUN)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(('key', 'module'), [('save_bag', 'rosbags'), ('show', 'rerun')])
def test_missing_packages_are_named(key, module, monkeypatch, tmp_path):
    for name in list(sys.modules):
        if name.split('.')[0] == module or name.startswith('pose3d_ros.bags.'):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    (fmt,) = (each for each in FORMATS if each.key == key)
    with pytest.raises(ConfigError, match=rf'needs {fmt.package}: pip .*\[{fmt.extra}\]'):
        fmt.open(str(tmp_path / 'a'), RUN)


def test_extras_exist():
    pyproject = Path(__file__).parents[2] / 'pyproject.toml'
    text = pyproject.read_text(encoding='utf-8') if pyproject.is_file() else pytest.skip('none')
    for each in FORMATS:
        if each.extra:
            assert f'\n{each.extra} = [' in text
            assert f'"{each.package}' in text or f"'{each.package}" in text
