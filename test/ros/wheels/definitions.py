# SPDX-License-Identifier: Apache-2.0
"""Writes tf2_msgs and vision_msgs as packages to build: no wheel brings them.

definitions.py FOLDER, with the checkout on PYTHONPATH. The definitions are those that the node
without ROS uses: of rosbags' typestore, and of this package where that has none.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pose3d_ros.messages.standalone import typestore

# Package, its version in Jazzy, and the packages of the messages within its own.
PACKAGES = {
    'tf2_msgs': ('0.36.0', ('builtin_interfaces', 'geometry_msgs')),
    'vision_msgs': ('4.1.1', ('geometry_msgs', 'std_msgs')),
}
MANIFEST = """<package format="3">
  <name>{name}</name><version>{version}</version>
  <description>Messages, for tests</description>
  <maintainer email="maintainers@example.org">The pose3d_ros developers</maintainer>
  <license>BSD</license>
  <buildtool_depend>ament_cmake</buildtool_depend>
  <buildtool_depend>rosidl_default_generators</buildtool_depend>
  {depends}
  <member_of_group>rosidl_interface_packages</member_of_group>
  <export><build_type>ament_cmake</build_type></export>
</package>
"""
CMAKE = """cmake_minimum_required(VERSION 3.20)
project({name})
find_package(ament_cmake REQUIRED)
find_package(rosidl_default_generators REQUIRED)
{find}
rosidl_generate_interfaces({name} {files} DEPENDENCIES {depends})
ament_export_dependencies({depends})
ament_package()
"""


def write(folder: Path) -> None:
    """One folder for each package."""
    store = typestore('jazzy')
    for name, (version, depends) in PACKAGES.items():
        files = []
        (folder / name / 'msg').mkdir(parents=True, exist_ok=True)
        for full in sorted(store.fielddefs):
            package, _, kind = full.split('/')
            if package == name:
                # Definitions of the messages within follow below a line of this kind.
                text = store.generate_msgdef(full, ros_version=2)[0].partition('=' * 80)[0]
                files.append(f'msg/{kind}.msg')
                (folder / name / files[-1]).write_text(text, encoding='utf-8')
        (folder / name / 'package.xml').write_text(
            MANIFEST.format(
                name=name,
                version=version,
                depends=''.join(f'<depend>{depend}</depend>' for depend in depends),
            ),
            encoding='utf-8',
        )
        (folder / name / 'CMakeLists.txt').write_text(
            CMAKE.format(
                name=name,
                files=' '.join(files),
                depends=' '.join(depends),
                find='\n'.join(f'find_package({depend} REQUIRED)' for depend in depends),
            ),
            encoding='utf-8',
        )


if __name__ == '__main__':
    write(Path(sys.argv[1]))
