# SPDX-License-Identifier: Apache-2.0
"""What is installed, and that other packages can use the messages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ament_index_python.packages import get_package_prefix, get_package_share_path

import pose3d_ros
from pose3d_ros import resources

PREFIX = Path(get_package_prefix('pose3d_ros'))
SHARE = get_package_share_path('pose3d_ros')
ROOT = Path(__file__).parents[2]


def test_messages_and_modules_are_side_by_side():
    from pose3d_ros import msg

    assert Path(pose3d_ros.__file__).is_relative_to(PREFIX)
    assert Path(msg.__file__).parents[1] == Path(pose3d_ros.__file__).parent
    kinds = {path.stem for path in (ROOT / 'msg').glob('*.msg')}
    assert all(hasattr(msg, kind) for kind in kinds)


def test_a_checkout_finds_the_installed_messages():
    code = 'import pose3d_ros, pose3d_ros.msg; print(pose3d_ros.__file__, pose3d_ros.msg.__file__)'
    path = os.pathsep.join([str(ROOT), os.environ['PYTHONPATH']])
    found = subprocess.run(
        [sys.executable, '-c', code],
        env={**os.environ, 'PYTHONPATH': path},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert Path(found[0]).is_relative_to(ROOT / 'pose3d_ros')
    assert Path(found[1]).is_relative_to(PREFIX)


def test_files_that_come_with_the_package_are_found():
    for kind in resources.CATEGORIES:
        assert resources.folder(kind) == SHARE / kind
    for file in ('estimator', 'demo', 'fusion', 'multi_camera', 'rviz'):
        assert (SHARE / 'launch' / f'{file}.launch.py').is_file()
    assert (SHARE / 'config' / 'pose3d.rviz').is_file()


@pytest.mark.needs('ros2pkg', 'ros2run')
def test_executables():
    found = subprocess.run(
        [shutil.which('ros2'), 'pkg', 'executables', 'pose3d_ros'],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split('\n')
    assert {f'pose3d_ros {n}' for n in ('camera', 'estimator', 'fusion', 'pose3d', 'rviz')} <= set(
        found
    )
    line = subprocess.run(
        [shutil.which('ros2'), 'run', 'pose3d_ros', 'pose3d', '--help'],
        capture_output=True,
        text=True,
        check=False,
    )
    assert line.returncode == 0, line.stderr
    assert 'usage: pose3d' in line.stdout


CPP = """
#include <cstdio>
#include <pose3d_ros/msg/skeleton3_d_array.hpp>
int main()
{
  pose3d_ros::msg::Skeleton3DArray array;
  array.skeletons.resize(2);
  array.skeletons[0].joints.resize(17);
  array.skeletons[0].joints[3].position.z = 2.5;
  array.skeletons[0].tracking_state = pose3d_ros::msg::Skeleton3D::TRACKED;
  std::printf("%zu %.1f\\n", array.skeletons[0].joints.size(),
    array.skeletons[0].joints[3].position.z);
}
"""
CMAKE = """
cmake_minimum_required(VERSION 3.20)
project(uses_cpp)
find_package(ament_cmake REQUIRED)
find_package(pose3d_ros REQUIRED)
add_executable(show show.cpp)
target_link_libraries(show ${pose3d_ros_TARGETS})
install(TARGETS show DESTINATION lib/${PROJECT_NAME})
ament_package()
"""
MANIFEST = """<package format="3">
  <name>{name}</name><version>0.0.0</version><description>uses the messages</description>
  <maintainer email="nobody@example.org">nobody</maintainer><license>Apache-2.0</license>
  <depend>pose3d_ros</depend><export><build_type>{kind}</build_type></export></package>
"""
SETUP = """
from setuptools import setup
setup(name='uses_python', version='0.0.0', py_modules=['uses_python'],
      data_files=[('share/ament_index/resource_index/packages', ['resource/uses_python']),
                  ('share/uses_python', ['package.xml'])],
      entry_points={'console_scripts': ['show = uses_python:main']})
"""
PYTHON = """
from pose3d_ros.msg import Joint3D, Skeleton3D, Skeleton3DArray
def main():
    joints = [Joint3D(id=k) for k in range(17)]
    print(len(Skeleton3DArray(skeletons=[Skeleton3D(joints=joints)]).skeletons[0].joints))
"""


@pytest.mark.needs('colcon', 'ros2run')
@pytest.mark.skipif('POSE3D_SKIP_BUILDS' in os.environ, reason='no builds within `colcon test`')
def test_dependent_packages_in_a_merged_and_linked_workspace(tmp_path):
    cpp, python = tmp_path / 'src' / 'uses_cpp', tmp_path / 'src' / 'uses_python'
    for folder in (cpp, python / 'resource'):
        folder.mkdir(parents=True)
    (cpp / 'show.cpp').write_text(CPP)
    (cpp / 'CMakeLists.txt').write_text(CMAKE)
    (cpp / 'package.xml').write_text(MANIFEST.format(name='uses_cpp', kind='ament_cmake'))
    (python / 'setup.py').write_text(SETUP)
    (python / 'setup.cfg').write_text('[install]\ninstall_scripts=$base/lib/uses_python\n')
    (python / 'uses_python.py').write_text(PYTHON)
    (python / 'resource' / 'uses_python').write_text('')
    (python / 'package.xml').write_text(MANIFEST.format(name='uses_python', kind='ament_python'))
    # As in a terminal where only the ROS below this package was sourced.
    overlay = str(PREFIX)
    clean = {
        name: os.pathsep.join(p for p in value.split(os.pathsep) if not p.startswith(overlay))
        for name, value in os.environ.items()
    }
    python3 = os.environ.get('POSE3D_ROS_PYTHON', sys.executable)
    built = subprocess.run(
        [
            'colcon', 'build', '--merge-install', '--symlink-install', '--event-handlers',
            'console_direct+', '--base-paths', 'src', str(ROOT), '--cmake-args',
            '-DBUILD_TESTING=OFF', f'-DPython3_EXECUTABLE={python3}', '--no-warn-unused-cli',
        ],
        cwd=tmp_path, env=clean, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stdout[-3000:] + built.stderr[-3000:]

    def run(*command: str) -> str:
        line = f'. install/setup.sh && ros2 run {" ".join(command)}'
        done = subprocess.run(
            ['sh', '-c', line], cwd=tmp_path, env=clean, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert run('uses_cpp', 'show') == '17 2.5'
    assert run('uses_python', 'show') == '17'
    assert 'usage: pose3d' in run('pose3d_ros', 'pose3d', '--help')
    # With links the files are those of the checkout, which are found all the same.
    code = 'from pose3d_ros.resources import folder; print(folder("demo"))'
    done = subprocess.run(
        ['sh', '-c', f'. install/setup.sh && {python3} -c \'{code}\''],
        cwd=tmp_path, env=clean, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(done.stdout.strip()) == tmp_path / 'install' / 'share' / 'pose3d_ros' / 'demo'
