# SPDX-License-Identifier: Apache-2.0
import sys

import pytest

from pose3d_ros.cli.main import main


@pytest.mark.parametrize(
    ('arguments', 'package', 'extra'),
    [
        (['node'], 'cyclonedds', 'dds'),
        (['camera', '0'], 'cyclonedds', 'dds'),
        (['node'], 'rosbags', 'dds'),
        (['bag', 'in', 'out'], 'rosbags', 'bag'),
    ],
)
def test_missing_packages_are_named(monkeypatch, capsys, arguments, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    assert main(arguments) == 2
    expected = f'needs {package}, which is not installed: pip install "pose3d_ros[{extra}]"'
    assert expected in capsys.readouterr().err


def test_distributions_are_those_of_the_messages():
    from pose3d_ros.cli.node import DISTROS
    from pose3d_ros.messages import standalone

    assert DISTROS == standalone.DISTROS
