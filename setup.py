# SPDX-License-Identifier: Apache-2.0
"""Ships the folders of the repository's root that the package reads as its data.

Everything else stands in pyproject.toml.
"""

from pathlib import Path

from setuptools import find_packages, setup

DATA = [kind for kind in ('config', 'msg', 'demo') if Path(kind).is_dir()]

setup(
    packages=find_packages(include=['pose3d_ros', 'pose3d_ros.*'])
    + [f'pose3d_ros._data.{kind}' for kind in DATA],
    package_dir={f'pose3d_ros._data.{kind}': kind for kind in DATA},
    package_data={f'pose3d_ros._data.{kind}': ['*', '*/*'] for kind in DATA}
    | {'pose3d_ros': ['py.typed']},
    include_package_data=False,
)
