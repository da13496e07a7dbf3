# SPDX-License-Identifier: Apache-2.0
"""Finds the files that come with the package: settings, message definitions, the demo's clip.

They lie in folders of the repository's root, where ROS wants them, and therefore elsewhere once
installed: pip puts them into `pose3d_ros/_data/<kind>`, ROS into `share/pose3d_ros/<kind>`.
"""

from __future__ import annotations

from pathlib import Path

from .errors import Pose3DError

KINDS = ('config', 'msg', 'demo')
_PACKAGE = Path(__file__).parent


def folder(kind: str, package: Path = _PACKAGE) -> Path:
    """The folder of one kind of files.

    Raises Pose3DError if the installation lacks it.
    """
    if kind not in KINDS:
        raise ValueError(f'kind must be one of {", ".join(KINDS)}, not {kind!r}')
    candidates = [package / '_data' / kind]
    if (package.parent / 'pyproject.toml').is_file():
        candidates.append(package.parent / kind)
    # Not resolved: a symlinked ROS install holds links, and only their folder leads to share/.
    candidates += [parent / 'share' / 'pose3d_ros' / kind for parent in package.absolute().parents]
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise Pose3DError(f'the installation of pose3d_ros in {package} lacks its folder {kind}')


def resource(kind: str, name: str) -> Path:
    """Path of a file that comes with the package, as in `resource('config', 'models.yaml')`.

    Raises Pose3DError if there is none.
    """
    path = folder(kind) / name
    if not path.exists():
        raise Pose3DError(f'pose3d_ros comes without {kind}/{name} (looked in {path.parent})')
    return path
