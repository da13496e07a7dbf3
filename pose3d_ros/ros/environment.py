# SPDX-License-Identifier: Apache-2.0
"""Lets a node that runs in ROS's Python use the packages of the active virtual environment.

The executables of a ROS package name the Python that ROS was built for, and so pass by the virtual
environment that was activated before `ros2 run` or `ros2 launch`. Inference runtimes are installed
there, because there are no system packages of them.
"""

from __future__ import annotations

import os
import shutil
import site
import sys
from pathlib import Path


def join_virtual_environment() -> Path | None:
    """Put the active virtual environment's packages before those of the system; its folder.

    Packages on PYTHONPATH, ROS's among them, still come first. None if there is no environment, or
    one of another Python version, whose packages could not be loaded. Does nothing if this very
    Python is that of a virtual environment.
    """
    if sys.prefix != sys.base_prefix:
        return None
    folder = _active()
    if folder is None:
        return None
    version = f'python{sys.version_info.major}.{sys.version_info.minor}'
    packages = folder / 'lib' / version / 'site-packages'
    if not packages.is_dir():
        print(
            f'pose3d_ros: the virtual environment {folder} is not one of {version}, the Python '
            'of this ROS: its packages are not used',
            file=sys.stderr,
        )
        return None
    before = list(sys.path)
    site.addsitedir(str(packages))
    added = [path for path in sys.path if path not in before]
    system = [*site.getsitepackages(), site.getusersitepackages()]
    place = min((before.index(path) for path in system if path in before), default=len(before))
    sys.path[:] = [*before[:place], *added, *before[place:]]
    return folder


def _active() -> Path | None:
    """Folder of the virtual environment that is activated, or whose Python comes first on PATH."""
    named = os.environ.get('VIRTUAL_ENV')
    if named:
        return Path(named)
    python = shutil.which('python3')
    if python is not None:
        # Not resolved: python3 in a virtual environment is a link to the system's.
        folder = Path(python).absolute().parents[1]
        if (folder / 'pyvenv.cfg').is_file():
            return folder
    return None
