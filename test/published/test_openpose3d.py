# SPDX-License-Identifier: Apache-2.0
"""The published post-processing, number by number."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from shared import Recorded, parity_files, stem_of

from pose3d_ros.estimators.openpose3d.published import (
    PublishedTracker,
    prepare_published,
    published,
)
from pose3d_ros.networks.openpose3d_people import People2D, extract
from pose3d_ros.people.filters import OneEuro, OneEuroSettings

FOLDER = 'openpose3d'
PROGRAMS = {'standalone': '', 'demo': '_demo'}
POSTS = parity_files(FOLDER, 'post_*.npz')
SEQUENCES = parity_files(FOLDER, 'sequence_*.npz')


def maps(case, k=...) -> tuple[np.ndarray, ...]:
    return tuple(case[name][k].astype(np.float32) for name in ('heatmaps', 'pafs', 'features'))


def rows(people: People2D) -> np.ndarray:
    """(n, 55): 18 x (x, y, score) and the person's score."""
    xy = np.nan_to_num(people.xy + 0.5, nan=-1)
    score = np.nan_to_num(people.score, nan=-1)
    joints = np.concatenate([xy, score[..., None]], axis=2).reshape(len(xy), 54)
    return np.column_stack([joints, people.total * np.maximum(0, people.count - 1)])


@pytest.mark.parametrize('path', POSTS, ids=stem_of)
def test_extractor(path: Path) -> None:
    case = np.load(path)
    heatmaps, pafs, _ = maps(case)
    found = rows(extract(heatmaps, pafs))
    assert found.shape == case['extractor_poses'].shape
    np.testing.assert_allclose(found, case['extractor_poses'], atol=1e-3)
    np.testing.assert_allclose(found[:, 2:54:3], case['extractor_poses'][:, 2:54:3], atol=1e-5)


@pytest.mark.parametrize('program', PROGRAMS)
@pytest.mark.parametrize('path', POSTS, ids=stem_of)
def test_single_images(path: Path, program: str) -> None:
    case = np.load(path)
    heatmaps, pafs, features = maps(case)
    scale, focal = float(case['input_scale']), float(case['fx'])
    found = published(extract(heatmaps, pafs), features, scale, focal, program)
    assert found.poses_3d.shape == case['poses_3d'].shape
    np.testing.assert_allclose(found.poses_3d, case['poses_3d'], atol=2e-3)
    np.testing.assert_allclose(found.poses_3d[:, 3::4], case['poses_3d'][:, 3::4], atol=1e-4)
    wanted = case['poses_2d' + PROGRAMS[program]]
    np.testing.assert_allclose(found.poses_2d, wanted, atol=1e-3)


@pytest.mark.parametrize('path', POSTS, ids=stem_of)
def test_world_coordinates(path: Path) -> None:
    """Camera and extrinsics to the axes that the published programs draw in."""
    case = np.load(path)
    heatmaps, pafs, features = maps(case)
    scale, focal = float(case['input_scale']), float(case['fx'])
    found = published(extract(heatmaps, pafs), features, scale, focal, 'standalone')
    xyz = found.poses_3d.reshape(-1, 19, 4)[..., :3]
    world = (xyz - case['extrinsics_t'].ravel()) @ np.linalg.inv(case['extrinsics_R']).T
    drawn = np.stack([-world[..., 2], world[..., 0], -world[..., 1]], axis=-1)
    np.testing.assert_allclose(drawn, case['poses_world'], atol=0.01)


@pytest.mark.parametrize('program', PROGRAMS)
@pytest.mark.parametrize('path', SEQUENCES, ids=stem_of)
def test_sequences(path: Path, program: str) -> None:
    case, suffix = np.load(path), PROGRAMS[program]
    tracker = PublishedTracker()
    scale, focal = float(case['input_scale']), float(case['fx'])
    first = 0
    for k, count in enumerate(case['count' + suffix]):
        heatmaps, pafs, features = maps(case, k)
        result = published(extract(heatmaps, pafs), features, scale, focal, program)
        ids, result = tracker.update(result, program)
        part = slice(first, first + count)
        first += count
        assert ids == case['ids' + suffix][part].tolist(), k
        np.testing.assert_allclose(result.poses_3d, case['poses_3d' + suffix][part], atol=2e-3)
        np.testing.assert_allclose(result.poses_2d, case['poses_2d' + suffix][part], atol=1e-3)


@pytest.mark.parametrize('path', parity_files(FOLDER, 'one_euro*.npz'), ids=stem_of)
def test_filters(path: Path) -> None:
    case = np.load(path)
    for (rate, low, beta, derivative), x, y in zip(case['params'], case['x'], case['y']):
        smooth = OneEuro(OneEuroSettings(low, beta, derivative))
        step = 1e9 / rate
        found = [float(smooth(np.array([v]), round(k * step))[0]) for k, v in enumerate(x)]
        np.testing.assert_allclose(found, y, atol=1e-4 * np.ptp(y))


@pytest.mark.parametrize('path', parity_files(FOLDER, 'preprocess_*.npz'), ids=stem_of)
def test_preparation(path: Path) -> None:
    case = np.load(path)
    picture, scale = prepare_published(case['frame_bgr'], int(case['base_height']), 'demo')
    assert scale == pytest.approx(float(case['input_scale']))
    # A grey level at most.
    expected = case['network_input'][0].transpose(1, 2, 0) * 255 + 128
    assert picture.shape == expected.shape
    np.testing.assert_allclose(picture, expected, atol=1.01)


def test_input_sizes(recorded: Recorded) -> None:
    for case in json.loads(recorded(f'{FOLDER}/input_shapes.json').read_text()):
        size, base = (case['frame_height'], case['frame_width']), case['base_height']
        picture, scale = prepare_published(np.zeros((*size, 3), np.uint8), base, 'demo')
        assert scale == pytest.approx(case['input_scale'])
        assert list(picture.shape[1::-1]) == case['network_input'], case
