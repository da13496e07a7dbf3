# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from pose3d_ros.errors import Pose3DError
from pose3d_ros.resources import folder, resource


def test_in_a_checkout() -> None:
    assert resource('config', 'models.yaml').is_file()
    assert resource('msg', 'Skeleton3DArray.msg').is_file()
    assert resource('config', 'models.yaml') == Path(__file__).parents[1] / 'config/models.yaml'


def test_installed_by_pip(tmp_path: Path) -> None:
    package = tmp_path / 'site-packages' / 'pose3d_ros'
    data = package / '_data' / 'config'
    data.mkdir(parents=True)
    # Folders of other packages do not count.
    (tmp_path / 'site-packages' / 'msg').mkdir()
    assert folder('config', package) == data
    with pytest.raises(Pose3DError, match='lacks its folder msg'):
        folder('msg', package)


@pytest.mark.parametrize('place', ['lib/python3.12/site-packages', 'local/lib/python3.10/packages'])
def test_installed_by_colcon(tmp_path: Path, place: str) -> None:
    package = tmp_path / place / 'pose3d_ros'
    package.mkdir(parents=True)
    share = tmp_path / 'share' / 'pose3d_ros' / 'config'
    share.mkdir(parents=True)
    assert folder('config', package) == share


def test_symlinked_install(tmp_path: Path) -> None:
    source = tmp_path / 'source' / 'pose3d_ros'
    package = tmp_path / 'install' / 'lib' / 'python3.12' / 'site-packages' / 'pose3d_ros'
    share = tmp_path / 'install' / 'share' / 'pose3d_ros' / 'config'
    for path in (source, package, share):
        path.mkdir(parents=True)
    (source / 'resources.py').touch()
    (package / 'resources.py').symlink_to(source / 'resources.py')
    assert folder('config', (package / 'resources.py').parent) == share


def test_what_is_missing_is_named() -> None:
    with pytest.raises(Pose3DError, match=r'comes without config/none\.yaml'):
        resource('config', 'none.yaml')
    with pytest.raises(ValueError, match='category must be one of'):
        resource('weights', 'x')
