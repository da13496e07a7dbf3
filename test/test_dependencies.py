# SPDX-License-Identifier: Apache-2.0
"""What the package needs is said in several files for several tools: they say the same."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import pose3d_ros

ROOT = Path(__file__).absolute().parents[1]
PYPROJECT, MANIFEST = ROOT / 'pyproject.toml', ROOT / 'package.xml'
LOWEST, WORKFLOW = ROOT / '.ci' / 'lowest.txt', ROOT / '.github' / 'workflows' / 'ci.yml'

if not PYPROJECT.is_file():
    pytest.skip('an installed package has no pyproject.toml', allow_module_level=True)

# Where the name of a distribution is not that of its module.
DISTRIBUTIONS = {
    'cv2': 'opencv-python-headless',
    'rerun': 'rerun-sdk',
    'tensorflow': 'tensorflow-cpu',
    'yaml': 'pyyaml',
    'zenoh': 'eclipse-zenoh',
}
# Those that PyTorch's and TensorFlow's converters bring, and those that are looked for if need be.
BROUGHT = {'google', 'matplotlib', 'onnxscript'}
# rosdep's names of what pip calls otherwise; the rest is python3-<name>.
ROSDEP = {'opencv-python-headless': 'python3-opencv', 'pyyaml': 'python3-yaml'}
WITHOUT_ROSDEP = {'openvino'}
"""rosdep has no key for it: docs/ros2.md says how to install it."""


def project() -> dict[str, Any]:
    tomllib = pytest.importorskip('tomllib', reason='Python 3.10 reads no TOML')
    found: dict[str, Any] = tomllib.loads(PYPROJECT.read_text(encoding='utf-8'))['project']
    return found


def bounds(requirements: list[str]) -> dict[str, str]:
    """Lower bounds by name, lower case."""
    found = {}
    for text in requirements:
        match = re.match(r'([\w.-]+)(?:\[.*?\])?>=([\w.]+)', text)
        if match:
            found[match[1].lower()] = match[2]
    return found


def modules_imported(*folders: str) -> set[str]:
    """First part of every absolute import below these folders, and in their files."""
    names = set()
    for folder in folders:
        for path in (ROOT / folder).rglob('*.py'):
            for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
                if isinstance(node, ast.Import):
                    names |= {alias.name.partition('.')[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                    names.add(node.module.partition('.')[0])
    return names - set(sys.stdlib_module_names) - {'__future__', 'pose3d_ros'}


def ros_dependencies() -> set[str]:
    return set(re.findall(r'<\w*depend[^>]*>([\w-]+)<', MANIFEST.read_text(encoding='utf-8')))


def is_ros(name: str) -> bool:
    return (
        name.endswith('_msgs')
        or name.split('_')[0] in ('ament', 'rclpy', 'rcl', 'launch')
        or (
            name in ('cv_bridge', 'tf_transformations', 'std_srvs', 'builtin_interfaces', 'tf2_ros')
        )
    )


def test_every_package_imported_is_declared() -> None:
    declared = set(bounds(project()['dependencies']))
    for extra in project()['optional-dependencies'].values():
        declared |= set(bounds(extra))
    imported = {name for name in modules_imported('pose3d_ros') if not is_ros(name)} - BROUGHT
    assert {DISTRIBUTIONS.get(name, name) for name in imported} <= declared


def test_the_oldest_versions_are_the_lower_bounds() -> None:
    extras = project()['optional-dependencies']
    (everything,) = extras['all']
    names = re.findall(r'\w+', everything.partition('[')[2])
    tested = [*project()['dependencies'], *(item for name in names for item in extras[name])]
    own = bounds(extras['dev'])
    wanted = bounds(tested) | {name: own[name] for name in ('onnx', 'pytest', 'pytest-xdist')}
    lines = LOWEST.read_text(encoding='utf-8').splitlines()
    pinned = dict(line.split('==') for line in lines if not line.startswith('#'))
    assert set(pinned) == set(wanted)
    for name, bound in wanted.items():
        assert pinned[name].split('.')[: len(bound.split('.'))] == bound.split('.'), name


def test_what_rosdep_installs() -> None:
    needed = {ROSDEP.get(n, f'python3-{n}') for n in bounds(project()['dependencies'])}
    assert needed - {f'python3-{n}' for n in WITHOUT_ROSDEP} <= ros_dependencies()


@pytest.mark.parametrize('folder', ['pose3d_ros/ros', 'launch', 'test/ros'])
def test_ros_packages_imported_are_in_the_manifest(folder: str) -> None:
    imported = {name for name in modules_imported(folder) if is_ros(name)}
    assert imported - ros_dependencies() == set()


def test_pythons() -> None:
    """The same ones are declared, accepted by the set-up and tested by the hosted CI."""
    declared = {
        text.rpartition(' ')[2]
        for text in project()['classifiers']
        if re.match(r'Programming Language :: Python :: 3\.\d', text)
    }
    steps = yaml.safe_load(WORKFLOW.read_text(encoding='utf-8'))['jobs']
    assert set(steps['tests']['strategy']['matrix']['python']) == declared
    fits = re.search(
        r'\((\d), (\d+)\) <= .* <= \((\d), (\d+)\)', (ROOT / '.ci' / 'venv').read_text()
    )
    assert fits is not None
    assert {f'3.{k}' for k in range(int(fits[2]), int(fits[4]) + 1)} == declared
    assert project()['requires-python'] == f'>=3.{fits[2]}'


def test_citation() -> None:
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text(encoding='utf-8'))
    assert citation['version'] == pose3d_ros.__version__
    assert citation['license'] == project()['license']
    assert citation['title'] == project()['name']
