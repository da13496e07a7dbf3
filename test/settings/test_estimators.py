# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from pose3d_ros.errors import ConfigError
from pose3d_ros.settings.estimators import ESTIMATORS, EstimatorSpec, models_of, options_of, spec_of
from pose3d_ros.settings.pipeline import PipelineConfig


def test_an_estimator_without_a_spec() -> None:
    with pytest.raises(ConfigError, match='has no `spec`'):
        spec_of('os.path:join')


def test_an_estimator_that_declares_nothing_but_its_options() -> None:
    config = PipelineConfig(estimator='support.blobs', model='mine')
    spec = spec_of(config.estimator)
    assert options_of('support.blobs') is spec.options
    assert not spec.defaults
    assert not spec.lifts
    assert not spec.overlaps
    assert models_of(config) == ('mine',)


def test_models_of_every_estimator_with_its_default_sources() -> None:
    for name in ESTIMATORS:
        models = models_of(PipelineConfig(estimator=name))
        assert models
        assert len(set(models)) == len(models)
    rtmpose = {'keypoints': 'rtmpose'}
    lifters = ('lifter', 'lifting_from_the_deep')
    for config in (PipelineConfig(estimator=name, options=rtmpose) for name in lifters):
        assert models_of(config) == ('yolox_tiny', 'rtmpose_m')


def test_the_same_class_by_either_notation() -> None:
    assert spec_of('support.blobs') is spec_of('support.blobs:Estimator')
    assert isinstance(spec_of('blazepose'), EstimatorSpec)
