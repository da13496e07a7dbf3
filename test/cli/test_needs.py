# SPDX-License-Identifier: Apache-2.0
import re
import sys
from pathlib import Path

import pytest

from pose3d_ros.cli.main import main
from pose3d_ros.cli.needs import WITHOUT_WHEELS

PYPROJECT = Path(__file__).parents[2] / 'pyproject.toml'


@pytest.mark.parametrize(
    ('arguments', 'package', 'extra'),
    [
        (['node'], 'cyclonedds', 'dds'),
        (['camera', '0'], 'cyclonedds', 'dds'),
        (['node'], 'rosbags', 'dds'),
        (['node', '--transport', 'zenoh'], 'zenoh', 'zenoh'),
        (['camera', '0', '--transport', 'zenoh'], 'zenoh', 'zenoh'),
        (['bag', 'in', 'out'], 'rosbags', 'bag'),
    ],
)
def test_missing_packages_are_named(monkeypatch, capsys, arguments, package, extra):
    if arguments == ['node'] and package == 'rosbags':
        pytest.importorskip('cyclonedds')  # is asked for first
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(sys, 'version_info', (3, 13, 0, 'final', 0))
    assert main(arguments) == 2
    expected = f'needs {package}, which is not installed: pip install "pose3d_ros[{extra}]"'
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ('arguments', 'instead'),
    [(['node'], 'ros2 run pose3d_ros estimator'), (['camera', '0'], 'ros2 run pose3d_ros camera')],
)
def test_packages_without_a_wheel_have_an_alternative(monkeypatch, capsys, arguments, instead):
    monkeypatch.setitem(sys.modules, 'cyclonedds', None)
    monkeypatch.setattr(sys, 'version_info', (3, 14, 0, 'final', 0))
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert 'cyclonedds, which has no wheel for Python 3.14: use Python 3.10 to 3.13' in line
    assert f'--transport zenoh does without it, and under ROS 2 `{instead}`' in line


def test_what_extras_leave_out_is_what_is_said():
    text = PYPROJECT.read_text()
    marked = dict(re.findall(r'"(\w[\w-]*)[^"]*; python_version < \'3\.(\d+)\'"', text))
    assert {name: (3, int(minor)) for name, minor in marked.items()} == WITHOUT_WHEELS


def test_distributions_are_those_of_the_messages():
    from pose3d_ros.cli.node import DISTROS
    from pose3d_ros.messages import standalone

    assert DISTROS == standalone.DISTROS
