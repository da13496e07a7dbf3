# SPDX-License-Identifier: Apache-2.0
"""What may import what, and what every file has: rules that reviews forget."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import pose3d_ros

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'pose3d_ros'
MODULES = sorted(PACKAGE.rglob('*.py'))

ROS = re.compile(
    r'(rclpy|rcl_interfaces|cv_bridge|tf2_\w+|tf_transformations|lifecycle_msgs|launch\w*|ament_\w+'
    r'|rosidl_\w+|builtin_interfaces|rosbag2_py|\w+_msgs|pose3d_ros\.(msg|srv))(\.|$)'
)
RUNTIMES = re.compile(r'(openvino|onnxruntime|torch|tensorflow|tflite\w*)(\.|$)')

# Each room, a module of the root or a folder, and the rooms that it may import: some of those
# above it in this table, or `*`, all of them. What is below imports what is above, never back.
ROOMS = {
    'errors': '',
    'resources': 'errors',
    'timing': '',
    'geometry': '',
    'encoded': 'errors',
    'calibration_file': 'errors',
    'camera': 'calibration_file errors',
    'skeleton': 'errors',
    'types': 'camera errors skeleton',
    'rotation': 'camera errors types',
    'sources': 'camera encoded errors types',
    'drawing': 'camera errors resources skeleton types',
    'outputs': 'camera drawing errors resources skeleton types',
    'settings': 'errors outputs skeleton',
    'backends': 'errors resources',
    'zoo': 'backends errors resources settings skeleton types',
    'people': 'errors settings skeleton types',
    'placement': 'camera errors geometry settings skeleton types',
    'networks': 'backends camera errors skeleton types',
    'detectors': 'backends camera errors networks settings skeleton timing types zoo',
    'estimators': 'backends camera detectors errors geometry networks people placement resources '
    'settings skeleton timing types zoo',
    'fusion': 'camera errors geometry outputs placement settings skeleton types',
    'pipeline': 'camera errors estimators people placement rotation settings skeleton types',
    'messages': 'camera drawing encoded errors resources settings skeleton types',
    'node': 'camera drawing errors fusion geometry messages pipeline resources settings skeleton '
    'sources types',
    'tools': '*',
    'standalone': 'errors messages node pipeline settings types',
    # Adapters and commands: they import everything but each other, and nothing imports them.
    'ros': 'camera drawing errors geometry messages node outputs pipeline resources settings '
    'skeleton sources types',
    'dds': 'errors messages node standalone',
    'zenoh': 'errors messages node standalone',
    'bags': 'camera drawing errors geometry messages node outputs pipeline resources settings '
    'skeleton sources types',
    'cli': '*',
}
MOST_ROOMS = 32
MOST_LINES = 520

# Modules without a test file of their name, and where they are tested instead.
TESTED_ELSEWHERE = {
    'bags/adapter.py': 'bags/test_run.py, bags/test_ahead.py',
    'bags/file.py': 'bags/test_writer.py',
    'bags/recording.py': 'bags/test_run.py',
    'dds/qos.py': 'dds/test_participant.py',
    'detectors/nanodet.py': 'detectors/test_movenet.py',
    'cli/options.py': 'cli/test_run.py, cli/test_main.py',
    'estimators/__init__.py': 'test_pipeline.py, settings/test_pipeline.py',
    'estimators/lifter/models.py': 'estimators/lifter/test_estimator.py',
    'estimators/lifter/streams.py': 'estimators/lifter/test_estimator.py',
    'estimators/lifting_from_the_deep/level_view.py': 'test_estimator.py beside it',
    'estimators/lifting_from_the_deep/prior.py': 'test_estimator.py beside it',
    'networks/person_crops.py': 'estimators/test_metro.py, estimators/test_metrabs.py',
    'node/host.py': 'node/test_core.py, node/test_runner.py',
    'node/images.py': 'node/test_core.py, node/test_core_inputs.py',
    'node/topics.py': 'node/test_core.py',
    'outputs/pictures.py': 'outputs/test_video.py',
    'outputs/viewer.py': 'cli/test_run.py',
    'tools/families/dstformer.py': 'tools/families/test_lifters.py, published/test_lifter.py',
    'tools/families/restricted.py': 'tools/families/test_lifters.py, families/test_metrabs.py',
    'tools/families/temporal.py': 'tools/families/test_lifters.py, published/test_lifter.py',
}


def name_of(path: Path) -> str:
    """Dotted name of a module."""
    parts = path.relative_to(ROOT).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


@cache
def imports_of(path: Path) -> tuple[tuple[str, int], ...]:
    """Absolute name and line of everything that a module imports, import_module() included."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[tuple[str, int]]:
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            start = '.'.join(base + (node.module.split('.') if node.module else []))
            yield start, node.lineno
            yield from ((f'{start}.{alias.name}', node.lineno) for alias in node.names)
        elif isinstance(node, ast.Call):
            called = getattr(node.func, 'attr', getattr(node.func, 'id', ''))
            argument = node.args[0] if node.args else None
            if called in ('import_module', '__import__') and isinstance(argument, ast.Constant):
                yield str(argument.value), node.lineno


def part_of(path: Path) -> str:
    """The folder within the package, '' for modules at its top."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else ''


def room_of(name: str) -> str:
    """The room of a module of that dotted name; '' for the package itself."""
    return name.split('.')[1] if '.' in name else ''


@cache
def arrows() -> tuple[tuple[str, str, int], ...]:
    """Module, module that it imports, and line, within the package.

    What a package's own modules have of it by `from . import module` is the module.
    """
    names = {name_of(path) for path in MODULES}
    out = []
    for path in MODULES:
        imported = imports_of(path)
        for name, line in imported:
            if name not in names:
                # A function, a class: of the module that has it, which is in the list, too.
                continue
            inner = any(
                other.startswith(f'{name}.') and other in names and number == line
                for other, number in imported
            )
            if name != name_of(path) and not inner:
                out.append((name_of(path), name, line))
    return tuple(out)


def breaches(pattern: re.Pattern[str], allowed: tuple[str, ...]) -> list[str]:
    """Imports that match, in modules outside the allowed parts."""
    return [
        f'{path.relative_to(ROOT)}:{line} imports {name}'
        for path in MODULES
        if part_of(path) not in allowed
        for name, line in imports_of(path)
        if pattern.match(name)
    ]


def test_the_walk_sees_imports() -> None:
    found = {name for name, _ in imports_of(PACKAGE / 'zoo' / 'store.py')}
    assert {'hashlib', 'platformdirs', 'pose3d_ros.errors', 'pose3d_ros.zoo.registry'} <= found
    found = {name for name, _ in imports_of(PACKAGE / 'pipeline.py')}
    assert 'pose3d_ros.estimators' in found
    for name in ('rclpy', 'rclpy.node', 'sensor_msgs.msg', 'tf2_ros', 'pose3d_ros.msg'):
        assert ROS.match(name)
    for name in ('pose3d_ros.messages', 'pose3d_ros.ros', 'rosbags.typesys'):
        assert not ROS.match(name)


def test_ros_packages_are_imported_in_ros_only() -> None:
    assert breaches(ROS, ('ros',)) == []


def test_the_table_of_rooms() -> None:
    assert {room_of(name_of(path)) for path in MODULES} - {''} == set(ROOMS)
    assert len(ROOMS) <= MOST_ROOMS
    above: list[str] = []
    for room, others in ROOMS.items():
        assert others == '*' or set(others.split()) <= set(above), room
        above.append(room)


def test_rooms_import_what_is_below_them_alone() -> None:
    order = list(ROOMS)
    wrong = []
    for module, imported, line in arrows():
        room, other = room_of(module), room_of(imported)
        if '' in (room, other) or room == other:
            continue
        allowed = ROOMS[room].split() if ROOMS[room] != '*' else order[: order.index(room)]
        if other not in allowed:
            wrong.append(f'{module}:{line} imports {imported}')
    assert wrong == []


def test_the_package_itself_imports_nothing_of_its_own() -> None:
    assert [arrow for arrow in arrows() if arrow[0] == 'pose3d_ros'] == []


def test_what_a_robot_never_runs_is_for_the_command_line() -> None:
    users = {room_of(module) for module, imported, _ in arrows() if room_of(imported) == 'tools'}
    assert users <= {'tools', 'cli'}


def test_no_circles() -> None:
    after: dict[str, set[str]] = {}
    for module, imported, _ in arrows():
        after.setdefault(module, set()).add(imported)
    # Whatever imports nothing that is left cannot be part of a circle.
    while True:
        done = {name for name in after if not after[name] & after.keys()}
        if not done:
            break
        after = {name: others - done for name, others in after.items() if name not in done}
    assert sorted(after) == []


def test_no_file_is_long() -> None:
    lines = {path: len(path.read_text(encoding='utf-8').splitlines()) for path in MODULES}
    assert {str(path): count for path, count in lines.items() if count > MOST_LINES} == {}


def test_runtimes_are_imported_in_backends_only() -> None:
    # Conversion builds networks in PyTorch and writes OpenVINO's format.
    assert breaches(RUNTIMES, ('backends', 'cli', 'tools')) == []


def test_importing_the_package_is_cheap() -> None:
    code = 'import sys; old = set(sys.modules); import pose3d_ros; print(*set(sys.modules) - old)'
    found = subprocess.run(
        [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {'numpy', 'cv2', 'yaml', 'scipy', 'openvino', 'onnxruntime', 'argparse', 'logging'}
    assert heavy.isdisjoint(found)
    assert {name for name in found if name.startswith('pose3d_ros')} == {'pose3d_ros'}


@pytest.mark.parametrize('module', ['pose3d_ros.pipeline', 'pose3d_ros.cli.main'])
def test_the_core_runs_without_optional_packages(module: str) -> None:
    code = f'import sys; import {module}; print(*sys.modules)'
    found = subprocess.run(
        [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    optional = {'onnxruntime', 'cyclonedds', 'zenoh', 'rosbags', 'rerun', 'rclpy', 'torch'}
    assert optional.isdisjoint(found)


def sources() -> list[Path]:
    """Python files and scripts of the project."""
    folders = ('pose3d_ros', 'test', 'benchmarks', 'launch')
    found = [path for folder in folders for path in (ROOT / folder).rglob('*.py')]
    found += [path for folder in ('test', 'benchmarks') for path in (ROOT / folder).rglob('*.sh')]
    found += [path for path in (ROOT / '.ci').iterdir() if path.is_file()]
    return sorted([*found, ROOT / 'setup.py'])


def test_every_source_names_its_licence() -> None:
    line = '# SPDX-License-Identifier: Apache-2.0'
    lacking = []
    for path in sources():
        head = path.read_text(encoding='utf-8').splitlines()[:2]
        if line not in (head[1:] if head and head[0].startswith('#!') else head[:1]):
            lacking.append(str(path.relative_to(ROOT)))
    assert lacking == []


def has_code(path: Path) -> bool:
    """Whether a module defines a function or a class."""
    body = ast.parse(path.read_text(encoding='utf-8')).body
    return any(isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) for n in body)


def mirror(path: Path) -> list[Path]:
    """The tests of a module: test/<package>/test_<module>.py, or several that begin so.

    Comparisons with a published program, test/published/test_<module>.py, count too.
    """
    relative = path.relative_to(PACKAGE)
    tests = ROOT / 'test' / relative.parent
    if relative.name == '__init__.py':
        return [*tests.parent.glob(f'test_{tests.name}.py'), *tests.glob(f'test_{tests.name}.py')]
    return [
        *tests.glob(f'test_{relative.stem}.py'),
        *tests.glob(f'test_{relative.stem}_*.py'),
        *(ROOT / 'test' / 'published').glob(f'test_{relative.stem}.py'),
    ]


def test_tests_mirror_the_package() -> None:
    untested = [
        str(path.relative_to(PACKAGE))
        for path in MODULES
        # What needs a ROS 2 is tested through the node, in test/ros.
        if part_of(path) != 'ros' and has_code(path) and not mirror(path)
    ]
    assert sorted(untested) == sorted(TESTED_ELSEWHERE)


# Words that say nothing of what a name stands for, and folders and modules that are free of them.
# The list of places only grows.
VAGUE = {'found', 'known', 'seen', 'sure', 'there', 'told', 'kind', 'whole', 'given', 'dice'}
# The option `lifter.kind`, and what a source is.
KINDS = {PACKAGE / 'sources.py', *(PACKAGE / 'estimators' / 'lifter').glob('*.py')}


def names_bound(path: Path) -> Iterator[str]:
    """Names of variables, arguments, attributes, functions and classes that a module makes."""
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name


def test_names_say_what_they_stand_for() -> None:
    vague = {
        f'{path.relative_to(PACKAGE)}: {name}'
        for path in MODULES
        for name in names_bound(path)
        if name in VAGUE and not (name == 'kind' and path in KINDS)
    }
    assert sorted(vague) == []


def test_layout() -> None:
    # It would hide the generated messages of a ROS install.
    assert not (PACKAGE / 'msg').exists()
    folders = {path.parent for path in MODULES}
    assert [str(f) for f in folders if not (f / '__init__.py').is_file()] == []


def test_one_version() -> None:
    manifest = ROOT / 'package.xml'
    if not manifest.is_file():
        pytest.skip('no package.xml')
    found = re.search(r'<version>(.*?)</version>', manifest.read_text(encoding='utf-8'))
    assert found is not None
    assert found.group(1) == pose3d_ros.__version__
