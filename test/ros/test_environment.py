# SPDX-License-Identifier: Apache-2.0
"""Executables run in ROS's Python and still find what a virtual environment holds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = (
    'from pose3d_ros.ros.environment import join_virtual_environment as join; print(join());'
    'import sys; print(sys.path)'
)
VERSION = f'python{sys.version_info.major}.{sys.version_info.minor}'
SYSTEM = os.environ.get('POSE3D_ROS_PYTHON', sys.base_prefix + '/bin/python3')


@pytest.fixture
def environment(tmp_path) -> Path:
    """Something that looks like a virtual environment, with one package."""
    packages = tmp_path / 'venv' / 'lib' / VERSION / 'site-packages'
    packages.mkdir(parents=True)
    (packages / 'only_here.py').write_text('')
    (tmp_path / 'linked').mkdir()
    (packages / 'linked.pth').write_text(str(tmp_path / 'linked'))
    (tmp_path / 'venv' / 'pyvenv.cfg').write_text('home = /usr/bin\n')
    (tmp_path / 'venv' / 'bin').mkdir()
    (tmp_path / 'venv' / 'bin' / 'python3').symlink_to(SYSTEM)
    return tmp_path / 'venv'


def run(code: str = CODE, path_first: str = '', **variables: str) -> subprocess.CompletedProcess:
    kept = {k: v for k, v in os.environ.items() if k != 'VIRTUAL_ENV'}
    kept['PATH'] = os.pathsep.join(filter(None, [path_first, '/usr/bin', '/bin']))
    return subprocess.run(
        [SYSTEM, '-c', code], env={**kept, **variables}, capture_output=True, text=True, check=True
    )


def test_an_activated_environment(environment):
    joined, path = run(VIRTUAL_ENV=str(environment)).stdout.splitlines()
    assert joined == str(environment)
    entries = eval(path)
    place = entries.index(str(environment / 'lib' / VERSION / 'site-packages'))
    # Behind ROS's own, before the system's; links to source folders too.
    ros = [entries.index(e) for e in os.environ['PYTHONPATH'].split(os.pathsep) if e in entries]
    assert max(ros) < place
    system = [k for k, e in enumerate(entries) if e.endswith('/dist-packages') and k not in ros]
    assert all(place < k for k in system)
    assert str(environment.parent / 'linked') in entries


def test_an_environment_that_is_only_first_on_the_path(environment):
    assert str(environment) in run(path_first=str(environment / 'bin')).stdout.splitlines()[0]


def test_none(environment):
    assert run().stdout.splitlines()[0] == 'None'


def test_one_of_another_python(environment):
    (environment / 'lib' / VERSION).rename(environment / 'lib' / 'python3.4')
    done = run(VIRTUAL_ENV=str(environment))
    assert done.stdout.splitlines()[0] == 'None'
    assert f'is not one of {VERSION}' in done.stderr
