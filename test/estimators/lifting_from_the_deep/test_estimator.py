# SPDX-License-Identifier: Apache-2.0
"""The estimator with its own prior: projected motion, BlazePose's joints, bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from shared import CLIPS

from pose3d_ros.camera import Camera
from pose3d_ros.cli.loading import needed_models
from pose3d_ros.errors import ConfigError, ModelError
from pose3d_ros.estimators.lifting_from_the_deep import estimator as module
from pose3d_ros.estimators.lifting_from_the_deep import prior as lifting
from pose3d_ros.estimators.lifting_from_the_deep.level_view import (
    LevelView,
    PitchEstimate,
    down,
    level_rotation,
)
from pose3d_ros.estimators.lifting_from_the_deep.observations import Observation, sources
from pose3d_ros.estimators.lifting_from_the_deep.posterior import PosteriorLifter
from pose3d_ros.pipeline import Pipeline
from pose3d_ros.resources import resource
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.skeleton import SKELETONS
from pose3d_ros.tools.clips import Clip
from pose3d_ros.tools.evaluate import evaluate_clip
from pose3d_ros.tools.metrics import pa_mpjpe
from pose3d_ros.types import Frame, JointStatus, PositionSource

CAMERA = Camera(K=np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), size=(640, 480))
H36M = SKELETONS['h36m_17']


@pytest.fixture(scope='module')
def prior() -> lifting.Prior:
    return lifting.Prior.load(resource('config', 'pose_prior.npz'))


@pytest.fixture(scope='module')
def loaded(blazepose_model):
    # The points of these tests are exact, other than a detector's.
    config = PipelineConfig(estimator='lifting_from_the_deep', threads=2, options={'noise_mm': 0.0})
    return module.Estimator(config)


def person(pixels: np.ndarray, seen: np.ndarray | None = None) -> Observation:
    seen = np.ones(len(pixels), dtype=bool) if seen is None else seen
    return Observation(pixels, seen.astype(float), seen, 0.9, float(np.ptp(pixels, axis=0).max()))


def shape_in_camera(prior: lifting.Prior, yaw: float, pitch: float, z: float = 4.0) -> np.ndarray:
    """(J, 3) metres of a mean shape in front of a camera that looks down."""
    x, y, up = prior.mu[1] / 1000
    c, s = np.cos(yaw), np.sin(yaw)
    body = np.stack([c * x - s * y, -up, s * x + c * y], axis=1)
    c, s = np.cos(pitch), np.sin(pitch)
    body = body @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]).T
    assert np.allclose(down(pitch), np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ [0, 1, 0])
    return np.asarray(body + np.array([0.2, 0.1, z]))


def run(loaded, options, people, camera=CAMERA, **fields):
    loaded.reset()
    loaded.configure(PipelineConfig(estimator='lifting_from_the_deep', options=options))
    frame = Frame(np.zeros((480, 640, 3), np.uint8), camera=camera, **fields)
    return loaded.poses(frame, people)


@pytest.mark.slow
@pytest.mark.parametrize('yaw', [0.3, 2.5])
@pytest.mark.parametrize('pitch', [0.0, 0.4])
def test_a_known_shape_comes_back(loaded, prior, yaw, pitch):
    truth = shape_in_camera(prior, yaw, pitch)
    for options, fields in (
        ({'pitch': 'fixed', 'pitch_rad': pitch}, {}),
        ({}, {'gravity': down(pitch)}),
    ):
        (pose,) = run(loaded, options, [person(CAMERA.project(truth))], **fields)
        expected = truth[:17] - truth[0]
        assert np.linalg.norm(pose.xyz - expected, axis=1).mean() < 0.07
        assert pose.skeleton is H36M
        assert pose.position_source is PositionSource.RELATIVE
        assert np.abs(pose.xyz[0]).max() == 0
        assert (pose.status == JointStatus.MEASURED).all()
        assert pose.covariance is not None


@pytest.mark.slow
def test_wrong_pitch_is_worse(loaded, prior):
    truth = shape_in_camera(prior, 0.3, 0.5)
    errors = []
    for options in ({'pitch': 'level'}, {'pitch': 'fixed', 'pitch_rad': 0.5}):
        (pose,) = run(loaded, options, [person(CAMERA.project(truth))])
        errors.append(np.linalg.norm(pose.xyz - truth[:17] + truth[0], axis=1).mean())
    assert errors[1] < 0.5 * errors[0]


def test_unseen_joints_are_filled_in(loaded, prior):
    truth = shape_in_camera(prior, 2.8, 0.0)
    seen = np.ones(len(truth), dtype=bool)
    seen[[3, 16]] = False
    pixels = CAMERA.project(truth)
    pixels[3] = 1e6  # must have no influence
    pixels[16] = np.nan
    (pose,) = run(loaded, {'pitch': 'level'}, [person(pixels, seen)])
    assert list(np.flatnonzero(pose.status == JointStatus.INFERRED)) == [3, 16]
    assert np.linalg.norm(pose.xyz - truth[:17] + truth[0], axis=1).max() < 0.15
    assert np.abs(pose.pixels[3] - CAMERA.project(truth)[3]).max() < 40


def test_too_few_joints_and_one_place_give_nobody(loaded, prior):
    pixels = CAMERA.project(shape_in_camera(prior, 0, 0))
    few = np.zeros(len(pixels), dtype=bool)
    few[:4] = True
    together = np.full_like(pixels, 100.0)
    for camera in (CAMERA, None):
        assert run(loaded, {}, [person(pixels, few), person(together)], camera) == []


def test_without_calibration_and_as_published(loaded, prior):
    truth = shape_in_camera(prior, 0.4, 0.0, 6.0)
    (pose,) = run(loaded, {}, [person(CAMERA.project(truth))], None)
    assert 1000 * pa_mpjpe(pose.xyz, truth[:17]) < 60
    loaded._published = True
    try:
        (published,) = run(loaded, {'method': 'published'}, [person(CAMERA.project(truth))])
    finally:
        loaded._published = False
    assert 1000 * pa_mpjpe(published.xyz, truth[:17]) < 80
    bones = np.array(H36M.edges)
    squared = ((published.xyz[bones[:, 0]] - published.xyz[bones[:, 1]]) ** 2).sum()
    assert np.sqrt(squared) == pytest.approx(1.1396366, rel=1e-6)


def test_symmetric_limbs():
    rng = np.random.default_rng(0)
    xyz = module.symmetric(rng.normal(size=(17, 3)))
    parents, mirror = np.array(H36M.parents), list(H36M.mirror)
    length = np.linalg.norm(xyz[1:] - xyz[parents[1:]], axis=1)
    np.testing.assert_allclose(length, np.append(0, length)[mirror][1:])
    np.testing.assert_allclose(module.symmetric(xyz), xyz)


def test_a_camera_learns_its_pitch(loaded, prior):
    options: dict[str, object] = {}
    loaded.reset()
    loaded.configure(PipelineConfig(estimator='lifting_from_the_deep', options=options))
    frame = Frame(np.zeros((480, 640, 3), np.uint8), camera=CAMERA, source='a')
    for k in range(12):
        truth = shape_in_camera(prior, 0.5 * k, 0.35)
        loaded.poses(frame, [person(CAMERA.project(truth))])
    assert loaded._states['a'].pitch.pitch == pytest.approx(0.35, abs=0.1)
    loaded.reset('a')
    assert 'a' not in loaded._states


def test_pitch_estimate_lies_between_grid_points():
    estimate = PitchEstimate()
    assert abs(estimate.pitch - np.radians(8)) < 0.02
    for _ in range(5):
        estimate.add(lambda pitches: 500 * (pitches - 0.3) ** 2)
    assert estimate.pitch == pytest.approx(0.3, abs=0.02)
    estimate.add(lambda pitches: np.full(len(pitches), np.nan))
    assert estimate.updates == 5


def test_level_view():
    gravity = down(0.3)
    R = level_rotation(gravity, np.array([0.2, 0.1, 1.0]))
    assert R is not None
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(R) == pytest.approx(1)
    np.testing.assert_allclose(R @ gravity, [0, 1, 0], atol=1e-12)
    assert (R @ [0.2, 0.1, 1.0])[0] == pytest.approx(0)
    assert level_rotation(np.array([0, 0, 1.0]), np.array([0.01, 0, 1])) is None
    rays = np.array([[0.1, 0.2], [np.nan, 0], [0.0, 0.1]])
    view = LevelView.of(rays, np.ones(3, dtype=bool), gravity)
    assert view is not None
    assert list(view.observed) == [True, False, True]
    assert LevelView.of(rays, np.array([False, True, False]), gravity) is None


def test_sources_go_by_meaning(prior):
    names = prior.joints
    table = dict(zip(names, sources(SKELETONS['blazepose_33'], names)))
    blazepose = SKELETONS['blazepose_33']
    assert table['left_hip'] == (blazepose.index('left_hip'),)
    assert table['left_toe'] == (blazepose.index('left_foot_index'),)
    assert table['pelvis'] == table['spine'] == table['head'] == ()
    assert table['thorax'] == (blazepose.index('left_shoulder'), blazepose.index('right_shoulder'))
    cpm = SKELETONS['cpm_14']
    published = sources(cpm, H36M.names)
    slots = (10, 8, 14, 15, 16, 11, 12, 13, 1, 2, 3, 4, 5, 6)  # of h36m_17, as published
    assert [published[slot] for slot in slots] == [(k,) for k in range(14)]
    assert [k for k, found in enumerate(published) if not found] == [0, 7, 9]


def test_opposite_angles_and_cache(prior):
    """The fast form sees every angle, also those that share a matrix with their opposite."""
    lifter = PosteriorLifter(prior)
    rng = np.random.default_rng(1)
    seen = np.ones(len(prior.joints), dtype=bool)
    for yaw in (0.2, 0.2 + np.pi):
        truth = shape_in_camera(prior, yaw, 0.0, 50.0)
        found = lifter.fit(CAMERA.project(truth) + rng.normal(0, 0.1, (len(seen), 2)), seen)
        xyz = np.stack([found.shape[0], -found.shape[2], found.shape[1]], axis=1) / 1000
        spread = truth - truth.mean(axis=0)
        assert np.linalg.norm(xyz - xyz.mean(axis=0) - spread, axis=1).mean() < 0.06
        # A unit is a pixel: 50 m / 600 px.
        assert found.mm_per_unit == pytest.approx(1000 * 50 / 600, rel=0.1)
    for k in range(60):
        lifter.fit(CAMERA.project(truth), np.roll(seen & (np.arange(len(seen)) > 0), k))
    assert len(lifter._systems) <= 24


@pytest.mark.parametrize(
    ('change', 'told'),
    [
        ({'mu': np.zeros((2, 50))}, 'no prior of 17 joints'),
        ({'sigma': -np.ones((2, 6))}, 'sigma must be positive'),
        ({'e': np.zeros((3, 5, 51))}, 'no prior of 17 joints'),
        ({'share': np.array([1.0, -1.0])}, 'share must be 2 positive'),
        ({'joint_names': np.array([f'joint{k}' for k in range(17)])}, 'must be those of h36m_17'),
    ],
)
def test_bad_priors(tmp_path: Path, change, told):
    good = {'mu': np.ones((2, 51)), 'e': np.ones((2, 5, 51)), 'sigma': np.ones((2, 6))}
    np.savez(tmp_path / 'prior.npz', **good)
    assert len(lifting.Prior.load(tmp_path / 'prior.npz')) == 2
    np.savez(tmp_path / 'prior.npz', **{**good, **change})
    with pytest.raises(ModelError, match=told):
        lifting.Prior.load(tmp_path / 'prior.npz')


@pytest.mark.parametrize('name', ['prior.npz', 'prior.mat'])
def test_damaged_priors(tmp_path: Path, name):
    path = tmp_path / name
    with pytest.raises(ModelError, match='does not exist'):
        lifting.Prior.load(path)
    path.write_bytes(b'nothing of the kind' * 20)
    with pytest.raises(ModelError, match=name):
        lifting.Prior.load(path)


def test_sources_that_are_none():
    for name in ('nonsense', 'lifting_from_the_deep'):
        config = PipelineConfig(estimator='lifting_from_the_deep', options={'keypoints': name})
        with pytest.raises(ConfigError, match='blazepose'):
            module.Estimator(config)


def test_needs_the_model_of_its_source():
    config = PipelineConfig(estimator='lifting_from_the_deep')
    assert [entry.name for entry in needed_models(config)] == ['blazepose', 'movenet_multipose']


@pytest.mark.slow
def test_rendered_clip(blazepose_model):
    clip = Clip.load(CLIPS / 'jump.mp4')
    pipeline = Pipeline(PipelineConfig(estimator='lifting_from_the_deep', threads=2))
    scores = evaluate_clip(pipeline, clip, lambda frames: (f for f, _ in zip(frames, range(60))))
    assert scores.scores()['pa_mpjpe_mm'] < 80
    assert scores.scores()['detection_rate'] > 0.95
