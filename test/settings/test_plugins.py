# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from pose3d_ros.detectors import boxes, crop_keypoints, keypoints
from pose3d_ros.errors import ConfigError
from pose3d_ros.settings.estimators import ESTIMATORS, EstimatorSpec
from pose3d_ros.settings.plugins import Plugins

PATHS = Plugins('path', {'join': 'os.path:join', 'sep': 'os.path:sep'}, 'curdir')


def test_a_name_of_the_table_or_of_another_package() -> None:
    assert PATHS.load('sep') == '/'
    assert PATHS.load('string:digits') == '0123456789'
    assert PATHS.load('os.path') == '.'
    assert list(PATHS) == ['join', 'sep']
    assert 'join' in PATHS
    assert not PATHS.names('other')


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('joint', "path 'joint' is unknown; did you mean 'join'"),
        ('xyz', "path 'xyz' is unknown; known: join, sep"),
        ('', 'is unknown'),
        ('.os', 'is unknown'),
        (':join', 'is unknown'),
        ('no_such_package.part', 'there is no module no_such_package'),
        ('os.path:nothing', 'module os.path has no nothing'),
    ],
)
def test_what_does_not_exist_is_said(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PATHS.load(name)


def test_a_package_that_a_part_lacks_is_not_its_absence(tmp_path, monkeypatch) -> None:
    (tmp_path / 'needy_part.py').write_text('import no_such_package_either\n')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match='no_such_package_either'):
        PATHS.load('needy_part:Anything')


@pytest.mark.parametrize(
    'plugins', [ESTIMATORS, boxes.DETECTORS, keypoints.SOURCES, crop_keypoints.SOURCES]
)
def test_every_part_exists_and_says_what_models_it_needs(plugins: Plugins) -> None:
    for name in plugins:
        part = plugins.load(name)
        if plugins is ESTIMATORS:
            assert isinstance(part.spec, EstimatorSpec)
        else:
            assert all(isinstance(model, str) for model in part.models('mine'))
