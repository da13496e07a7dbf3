# SPDX-License-Identifier: Apache-2.0
"""Finds the files that come with the package: settings, message definitions, the demo's clip.

They lie in folders of the repository's root, where ROS wants them, and therefore elsewhere once
installed: pip puts them into `pose3d_ros/_data/<category>`, ROS into `share/pose3d_ros/<category>`.
"""

from __future__ import annotations

from pathlib import Path

from .errors import Pose3DError

CATEGORIES = ('config', 'msg', 'demo')
_PACKAGE = Path(__file__).parent


def folder(category: str, package: Path = _PACKAGE) -> Path:
    """The folder of a category of files.

    Raises Pose3DError if the installation lacks it.
    """
    if category not in CATEGORIES:
        raise ValueError(f'category must be one of {", ".join(CATEGORIES)}, not {category!r}')
    candidates = [package / '_data' / category]
    if (package.parent / 'pyproject.toml').is_file():
        candidates.append(package.parent / category)
    # Not resolved: a symlinked ROS install holds links, and only their folder leads to share/.
    candidates += [
        parent / 'share' / 'pose3d_ros' / category for parent in package.absolute().parents
    ]
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise Pose3DError(f'the installation of pose3d_ros in {package} lacks its folder {category}')


def resource(category: str, name: str) -> Path:
    """Path of a file that comes with the package, as in `resource('config', 'models.yaml')`.

    Raises Pose3DError if there is none.
    """
    path = folder(category) / name
    if not path.exists():
        raise Pose3DError(f'pose3d_ros comes without {category}/{name} (not in {path.parent})')
    return path
